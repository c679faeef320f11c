import SQLTree
import SQLTypes

extension TreeBuilder {
  func insert(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["relation"] else { throw SQLError(.internalError, "INSERT without a table") }
    let source: InsertStatement.Source =
      body["selectStmt"] == nil ? .defaultValues : .query(try selectNode(body["selectStmt"]))
    var statement = InsertStatement(
      table: relationName(relation), alias: alias(relation["alias"])?.name,
      columns: try all(body.list("cols")) { (value) throws(SQLError) in try self.assignmentTarget(value) },
      source: source)
    statement.with = try withClause(body["withClause"])
    switch body.string("override") {
    case "OVERRIDING_USER_VALUE": statement.overriding = .userValue
    case "OVERRIDING_SYSTEM_VALUE": statement.overriding = .systemValue
    default: statement.overriding = .none
    }
    statement.onConflict = try onConflict(body["onConflictClause"])
    statement.returning = try targets(body.list("returningList"))
    return .insert(statement)
  }

  func update(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["relation"] else { throw SQLError(.internalError, "UPDATE without a table") }
    var statement = UpdateStatement(
      table: relationName(relation), alias: alias(relation["alias"])?.name,
      assignments: try assignments(body.list("targetList")))
    statement.with = try withClause(body["withClause"])
    statement.from = try fromItems(body.list("fromClause"))
    statement.condition = try optionalExpression(body["whereClause"])
    statement.returning = try targets(body.list("returningList"))
    return .update(statement)
  }

  func delete(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["relation"] else { throw SQLError(.internalError, "DELETE without a table") }
    var statement = DeleteStatement(table: relationName(relation), alias: alias(relation["alias"])?.name)
    statement.with = try withClause(body["withClause"])
    statement.using = try fromItems(body.list("usingClause"))
    statement.condition = try optionalExpression(body["whereClause"])
    statement.returning = try targets(body.list("returningList"))
    return .delete(statement)
  }

  private func assignmentTarget(_ value: JSONValue) throws(SQLError) -> AssignmentTarget {
    let body = value["ResTarget"] ?? value
    return AssignmentTarget(
      column: body.string("name"), indirection: try indirections(body.list("indirection")), location: body.location)
  }

  /// `a = 1, (b, c) = (…)`: the grammar repeats the source of a row assignment at each of its columns.
  private func assignments(_ values: [JSONValue]) throws(SQLError) -> [Assignment] {
    var result: [Assignment] = []
    for value in values {
      let target = try assignmentTarget(value)
      guard let assigned = (value["ResTarget"] ?? value)["val"] else { continue }
      guard let multiple = assigned["MultiAssignRef"] else {
        result.append(Assignment(targets: [target], value: try expression(assigned)))
        continue
      }
      if multiple.integer("colno") <= 1 {
        result.append(Assignment(targets: [target], value: try required(multiple["source"])))
      } else if !result.isEmpty {
        result[result.count - 1].targets.append(target)
      }
    }
    return result
  }

  private func onConflict(_ body: JSONValue?) throws(SQLError) -> OnConflict? {
    guard let body else { return nil }
    var target = OnConflict.Target.none
    if let infer = body["infer"] {
      if let constraint = infer.optionalString("conname") {
        target = .constraint(constraint)
      } else {
        let columns = try all(infer.list("indexElems")) { (value) throws(SQLError) -> Expression in
          let element = value["IndexElem"] ?? value
          if let name = element.optionalString("name") {
            return .column([name], isStar: false, location: infer.location)
          }
          return try self.required(element["expr"])
        }
        target = .columns(columns, condition: try optionalExpression(infer["whereClause"]))
      }
    }
    let action: OnConflict.Action =
      body.string("action") == "ONCONFLICT_UPDATE"
      ? .update(
        try assignments(body.list("targetList")), condition: try optionalExpression(body["whereClause"]))
      : .nothing
    return OnConflict(target: target, action: action, location: body.location)
  }

  func copy(_ body: JSONValue) throws(SQLError) -> Statement {
    let source: CopyStatement.Source
    if let relation = body["relation"] {
      source = .table(relationName(relation), columns: body.names("attlist"))
    } else if let query = body["query"] {
      source = .query(try statement(query))
    } else {
      throw SQLError(.internalError, "COPY without a source")
    }
    var endpoint = CopyStatement.Endpoint.client
    if let file = body.optionalString("filename") {
      endpoint = body.flag("is_program") ? .program(file) : .file(file)
    }
    return .copy(
      CopyStatement(
        source: source, isFrom: body.flag("is_from"), endpoint: endpoint, options: options(body.list("options")),
        condition: try optionalExpression(body["whereClause"])))
  }
}
