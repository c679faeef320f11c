import SQLTree
import SQLTypes

extension TreeBuilder {
  /// A SelectStmt within its node.
  func selectNode(_ value: JSONValue?) throws(SQLError) -> SelectStatement {
    guard let body = value?["SelectStmt"] else { throw SQLError(.internalError, "a query is missing") }
    return try select(body)
  }

  /// A SelectStmt: SELECT, VALUES, TABLE or a set operation.
  func select(_ body: JSONValue) throws(SQLError) -> SelectStatement {
    try nested { () throws(SQLError) in
      var statement = SelectStatement(body: try self.selectBody(body))
      statement.with = try self.withClause(body["withClause"])
      statement.orderBy = try self.sortItems(body.list("sortClause"))
      statement.limit = try self.optionalExpression(body["limitCount"])
      statement.offset = try self.optionalExpression(body["limitOffset"])
      statement.isWithTies = body.string("limitOption") == "LIMIT_OPTION_WITH_TIES"
      statement.locking = try self.all(body.list("lockingClause")) { (value) throws(SQLError) in
        try self.lockingClause(value["LockingClause"] ?? value)
      }
      return statement
    }
  }

  private func selectBody(_ body: JSONValue) throws(SQLError) -> SelectStatement.Body {
    let operation = body.string("op")
    if !operation.isEmpty, operation != "SETOP_NONE" {
      guard let left = body["larg"], let right = body["rarg"] else {
        throw SQLError(.internalError, "a set operation without two sides")
      }
      let kind: SelectStatement.SetOperation =
        operation == "SETOP_UNION" ? .union : operation == "SETOP_INTERSECT" ? .intersect : .except
      return .setOperation(kind, isAll: body.flag("all"), left: try select(left), right: try select(right))
    }
    let rows = body.list("valuesLists")
    if !rows.isEmpty {
      return .values(
        try all(rows) { (row) throws(SQLError) in try self.expressions(row["List"]?.list("items") ?? []) })
    }
    return .select(try selectCore(body))
  }

  private func selectCore(_ body: JSONValue) throws(SQLError) -> SelectCore {
    var core = SelectCore(targets: try targets(body.list("targetList")))
    let distinct = body.list("distinctClause")
    if !distinct.isEmpty {
      // A plain DISTINCT is a list of one null.
      core.distinct = distinct[0].node == nil ? .all : .on(try expressions(distinct))
    }
    core.from = try fromItems(body.list("fromClause"))
    core.condition = try optionalExpression(body["whereClause"])
    core.groupBy = try expressions(body.list("groupClause"))
    core.isGroupByDistinct = body.flag("groupDistinct")
    core.having = try optionalExpression(body["havingClause"])
    core.windows = try all(body.list("windowClause")) { (value) throws(SQLError) in
      try self.windowDefinition(value["WindowDef"] ?? value)
    }
    core.into = body["intoClause"]?["rel"].map { relationName($0) }
    return core
  }

  /// Output columns, of SELECT and RETURNING.
  func targets(_ values: [JSONValue]) throws(SQLError) -> [SelectTarget] {
    try all(values) { (value) throws(SQLError) in
      let body = value["ResTarget"] ?? value
      return SelectTarget(
        expression: try self.required(body["val"]), alias: body.optionalString("name"), location: body.location)
    }
  }

  func withClause(_ value: JSONValue?) throws(SQLError) -> WithClause? {
    guard let value else { return nil }
    let tables = try all(value.list("ctes")) { (entry) throws(SQLError) in
      try self.commonTable(entry["CommonTableExpr"] ?? entry)
    }
    return WithClause(isRecursive: value.flag("recursive"), tables: tables, location: value.location)
  }

  private func commonTable(_ body: JSONValue) throws(SQLError) -> CommonTable {
    if body["search_clause"] != nil { throw unsupported("SEARCH", at: body.location) }
    if body["cycle_clause"] != nil { throw unsupported("CYCLE", at: body.location) }
    guard let query = body["ctequery"] else { throw SQLError(.internalError, "a common table without a query") }
    let materialization: CommonTable.Materialization
    switch body.string("ctematerialized") {
    case "CTEMaterializeAlways": materialization = .always
    case "CTEMaterializeNever": materialization = .never
    default: materialization = .unspecified
    }
    return CommonTable(
      name: body.string("ctename"), columnNames: body.names("aliascolnames"), materialization: materialization,
      statement: try nested { () throws(SQLError) in try self.statement(query) }, location: body.location)
  }

  private func lockingClause(_ body: JSONValue) throws(SQLError) -> LockingClause {
    let strength: LockingClause.Strength
    switch body.string("strength") {
    case "LCS_FORKEYSHARE": strength = .keyShare
    case "LCS_FORSHARE": strength = .share
    case "LCS_FORNOKEYUPDATE": strength = .noKeyUpdate
    default: strength = .update
    }
    let wait: LockingClause.Wait
    switch body.string("waitPolicy") {
    case "LockWaitSkip": wait = .skipLocked
    case "LockWaitError": wait = .noWait
    default: wait = .block
    }
    return LockingClause(strength: strength, wait: wait, relations: body.list("lockedRels").map(relationNode))
  }

  /// A RangeVar within its node.
  func relationNode(_ value: JSONValue) -> RelationName { relationName(value["RangeVar"] ?? value) }

  /// A RangeVar.
  func relationName(_ body: JSONValue) -> RelationName {
    RelationName(
      catalog: body.optionalString("catalogname"), schema: body.optionalString("schemaname"),
      name: body.string("relname"), includesDescendants: body.flag("inh"), location: body.location)
  }

  /// The alias of a FROM entry.
  func alias(_ value: JSONValue?) -> TableAlias? {
    value.map { TableAlias(name: $0.string("aliasname"), columnNames: $0.names("colnames")) }
  }

  /// The entries of FROM or USING.
  func fromItems(_ values: [JSONValue]) throws(SQLError) -> [FromItem] {
    try all(values) { (value) throws(SQLError) in try self.fromItem(value) }
  }

  private func fromItem(_ value: JSONValue) throws(SQLError) -> FromItem {
    guard let (type, body) = value.node else { throw SQLError(.internalError, "an entry of FROM is missing") }
    return try nested { () throws(SQLError) in
      switch type {
      case "RangeVar": return .table(self.relationName(body), alias: self.alias(body["alias"]))
      case "RangeSubselect":
        return .subquery(
          try self.selectNode(body["subquery"]), isLateral: body.flag("lateral"), alias: self.alias(body["alias"]),
          location: -1)
      case "RangeFunction": return try self.functionItem(body)
      case "JoinExpr": return .join(try self.join(body))
      case "RangeTableSample": throw self.unsupported("TABLESAMPLE", at: body.location)
      case "RangeTableFunc": throw self.unsupported("XMLTABLE", at: body.location)
      default: throw self.unsupported(Self.words(type))
      }
    }
  }

  private func functionItem(_ body: JSONValue) throws(SQLError) -> FromItem {
    var calls: [FunctionCall] = []
    for entry in body.list("functions") {
      // Each entry is a list of the call and its own column definitions (ROWS FROM only), null as a rule.
      let items = entry["List"]?.list("items") ?? []
      guard let first = items.first else { continue }
      guard let function = first["FuncCall"] else { throw unsupported("an SQL value function in FROM") }
      if items.count > 1, items[1].node != nil {
        throw unsupported("a column definition list in ROWS FROM", at: function.location)
      }
      calls.append(try call(function))
    }
    let columns = try all(body.list("coldeflist")) { (value) throws(SQLError) in
      let column = value["ColumnDef"] ?? value
      return ColumnTypeAlias(name: column.string("colname"), type: try self.typeName(column["typeName"]))
    }
    return .function(
      calls, isLateral: body.flag("lateral"), hasOrdinality: body.flag("ordinality"), alias: alias(body["alias"]),
      columns: columns, location: calls.first?.location ?? -1)
  }

  private func join(_ body: JSONValue) throws(SQLError) -> JoinedTable {
    guard let left = body["larg"], let right = body["rarg"] else {
      throw SQLError(.internalError, "a join without two sides")
    }
    if body["join_using_alias"] != nil { throw unsupported("an alias of JOIN USING") }
    let kind: JoinedTable.Kind
    switch body.string("jointype") {
    case "JOIN_LEFT": kind = .left
    case "JOIN_RIGHT": kind = .right
    case "JOIN_FULL": kind = .full
    default: kind = .inner
    }
    return JoinedTable(
      kind: kind, isNatural: body.flag("isNatural"), left: try fromItem(left), right: try fromItem(right),
      using: body.names("usingClause"), condition: try optionalExpression(body["quals"]),
      alias: alias(body["alias"]))
  }
}
