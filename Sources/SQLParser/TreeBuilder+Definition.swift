import SQLTree
import SQLTypes

extension TreeBuilder {
  func createTable(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["relation"] else { throw SQLError(.internalError, "CREATE TABLE without a name") }
    var table = CreateTableStatement(name: relationName(relation), ifNotExists: body.flag("if_not_exists"))
    table.isTemporary = relation.string("relpersistence") == "t"
    table.isUnlogged = relation.string("relpersistence") == "u"
    for element in body.list("tableElts") {
      guard let (type, value) = element.node else { continue }
      switch type {
      case "ColumnDef": table.columns.append(try column(value))
      case "Constraint": table.constraints.append(try constraint(value))
      case "TableLikeClause": table.unsupported = "LIKE in CREATE TABLE"
      default: table.unsupported = Self.words(type)
      }
    }
    table.partitionBy = try body["partspec"].map { (value) throws(SQLError) in try self.partitionClause(value) }
    let parents = body.list("inhRelations").map(relationNode)
    if let bound = body["partbound"] {
      table.partitionOf = parents.first
      table.bound = try partitionBound(bound)
    } else if !parents.isEmpty {
      table.unsupported = "INHERITS"
    }
    if body["ofTypename"] != nil { table.unsupported = "CREATE TABLE OF" }
    if body["tablespacename"] != nil { table.unsupported = "TABLESPACE" }
    if body["accessMethod"] != nil { table.unsupported = "USING in CREATE TABLE" }
    table.options = options(body.list("options"))
    return .createTable(table)
  }

  /// nil where it does anything but to set and reset options.
  func alterTable(_ body: JSONValue) -> Statement? {
    guard body.string("objtype") == "OBJECT_TABLE", let relation = body["relation"] else { return nil }
    var statement = AlterTableStatement(name: relationName(relation), ifExists: body.flag("missing_ok"))
    for command in body.list("cmds") {
      let command = command["AlterTableCmd"] ?? command
      let list = command["def"]?["List"]?.list("items") ?? []
      switch command.string("subtype") {
      case "AT_SetRelOptions": statement.set += options(list)
      case "AT_ResetRelOptions": statement.reset += options(list)
      default: return nil
      }
    }
    return .alterTable(statement)
  }

  private func column(_ body: JSONValue) throws(SQLError) -> ColumnDeclaration {
    ColumnDeclaration(
      name: body.string("colname"),
      type: try body["typeName"].map { (value) throws(SQLError) in try self.typeName(value) },
      constraints: try all(body.list("constraints")) { (value) throws(SQLError) in
        try self.constraint(value["Constraint"] ?? value)
      },
      collation: body["collClause"].map { $0.names("collname") }, location: body.location)
  }

  private func constraint(_ body: JSONValue) throws(SQLError) -> ConstraintDeclaration {
    ConstraintDeclaration(
      name: body.optionalString("conname"), kind: try constraintKind(body), location: body.location)
  }

  private func constraintKind(_ body: JSONValue) throws(SQLError) -> ConstraintDeclaration.Kind {
    if body.flag("deferrable") || body.flag("initdeferred") { return .unsupported("DEFERRABLE") }
    switch body.string("contype") {
    case "CONSTR_NULL": return .null
    case "CONSTR_NOTNULL": return .notNull
    case "CONSTR_DEFAULT": return .defaultValue(try required(body["raw_expr"]))
    case "CONSTR_IDENTITY":
      return .identity(isAlways: body.string("generated_when") == "a", options: options(body.list("options")))
    case "CONSTR_GENERATED": return .generated(try required(body["raw_expr"]))
    case "CONSTR_CHECK":
      if body.flag("is_no_inherit") { return .unsupported("NO INHERIT") }
      return .check(try required(body["raw_expr"]))
    case "CONSTR_PRIMARY", "CONSTR_UNIQUE":
      if !body.list("including").isEmpty { return .unsupported("INCLUDE in a constraint") }
      if body.flag("nulls_not_distinct") { return .unsupported("NULLS NOT DISTINCT") }
      return body.string("contype") == "CONSTR_PRIMARY" ? .primaryKey(body.names("keys")) : .unique(body.names("keys"))
    case "CONSTR_FOREIGN": return .foreignKey
    case "CONSTR_EXCLUSION": return .exclusion
    case "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_IMMEDIATE": return .unsupported("NOT DEFERRABLE")
    default: return .unsupported("DEFERRABLE")
    }
  }

  private func partitionClause(_ body: JSONValue) throws(SQLError) -> PartitionClause {
    let strategy: PartitionClause.Strategy
    switch body.string("strategy").lowercased() {
    case "hash": strategy = .hash
    case "range": strategy = .range
    case "list": strategy = .list
    case let other:
      throw SQLError(
        .invalidTableDefinition, "unrecognized partitioning strategy \"\(other)\"", position: body.location + 1)
    }
    let keys = try all(body.list("partParams")) { (value) throws(SQLError) -> PartitionClause.Key in
      let element = value["PartitionElem"] ?? value
      if !element.list("opclass").isEmpty { throw self.unsupported("an operator class", at: element.location) }
      if !element.list("collation").isEmpty {
        throw self.unsupported("COLLATE of a partition key", at: element.location)
      }
      if let name = element.optionalString("name") { return .column(name) }
      return .expression(try self.required(element["expr"]))
    }
    return PartitionClause(strategy: strategy, keys: keys, location: body.location)
  }

  private func partitionBound(_ body: JSONValue) throws(SQLError) -> PartitionBoundDeclaration {
    let location = body.location
    if body.flag("is_default") { return .standard(location: location) }
    switch body.string("strategy") {
    case "h":
      return .hash(
        modulus: Int(body.integer("modulus")), remainder: Int(body.integer("remainder")), location: location)
    case "l": return .list(try expressions(body.list("listdatums")), location: location)
    default:
      return .range(
        from: try rangeDatums(body.list("lowerdatums")), to: try rangeDatums(body.list("upperdatums")),
        location: location)
    }
  }

  /// MINVALUE and MAXVALUE reach the grammar as column names.
  private func rangeDatums(_ values: [JSONValue]) throws(SQLError) -> [PartitionBoundDeclaration.RangeDatum] {
    try all(values) { (value) throws(SQLError) in
      switch try self.expression(value) {
      case .column(["minvalue"], isStar: false, location: _): .minimum
      case .column(["maxvalue"], isStar: false, location: _): .maximum
      case let other: .value(other)
      }
    }
  }

  func createIndex(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["relation"] else { throw SQLError(.internalError, "CREATE INDEX without a table") }
    if body.flag("nulls_not_distinct") { throw unsupported("NULLS NOT DISTINCT") }
    if body["tableSpace"] != nil { throw unsupported("TABLESPACE") }
    let parts = try all(body.list("indexParams")) { (value) throws(SQLError) -> CreateIndexStatement.Part in
      let element = value["IndexElem"] ?? value
      if !element.list("opclass").isEmpty { throw self.unsupported("an operator class of an index") }
      if !element.list("collation").isEmpty { throw self.unsupported("COLLATE of an index column") }
      let key: CreateIndexStatement.Key
      if let name = element.optionalString("name") {
        key = .column(name)
      } else {
        key = .expression(try self.required(element["expr"]))
      }
      return CreateIndexStatement.Part(
        key: key, isDescending: element.string("ordering") == "SORTBY_DESC",
        nulls: nullsOrder(element.string("nulls_ordering")))
    }
    var index = CreateIndexStatement(
      name: body.optionalString("idxname"), table: relationName(relation), parts: parts, isUnique: body.flag("unique"),
      ifNotExists: body.flag("if_not_exists"))
    index.isConcurrent = body.flag("concurrent")
    index.method = body.optionalString("accessMethod") ?? "btree"
    index.including = body.list("indexIncludingParams").map { ($0["IndexElem"] ?? $0).string("name") }
    index.condition = try optionalExpression(body["whereClause"])
    return .createIndex(index)
  }

  func createSequence(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let relation = body["sequence"] else { throw SQLError(.internalError, "CREATE SEQUENCE without a name") }
    if relation.string("relpersistence") == "t" { throw unsupported("CREATE TEMPORARY SEQUENCE") }
    return .createSequence(
      CreateSequenceStatement(
        name: relationName(relation), ifNotExists: body.flag("if_not_exists"), options: options(body.list("options"))))
  }

  func createView(_ body: JSONValue) throws(SQLError) -> Statement {
    guard let view = body["view"] else { throw SQLError(.internalError, "CREATE VIEW without a name") }
    if view.string("relpersistence") == "t" { throw unsupported("CREATE TEMPORARY VIEW") }
    let check = body.string("withCheckOption")
    if !check.isEmpty, check != "NO_CHECK_OPTION" { throw unsupported("WITH CHECK OPTION") }
    let query = try selectNode(body["query"])
    if let table = query.with?.tables.first, query.with?.location == -1, table.location == -1 {
      throw unsupported("CREATE RECURSIVE VIEW")
    }
    return .createView(
      CreateViewStatement(
        name: relationName(view), columnNames: body.names("aliases"), query: query, queryText: textBehindAs(),
        orReplace: body.flag("replace")))
  }

  /// The text of a view's query: what stands behind the first AS outside of parentheses. AS is a reserved word, so
  /// that no name before it can be mistaken for it.
  private func textBehindAs() -> String {
    bytes.withUnsafeBufferPointer { all in
      var scanner = SQLScanner(UnsafeBufferPointer(rebasing: all[..<statementEnd]), from: statementStart)
      var depth = 0
      while let token = scanner.next() {
        if scanner.isSign(token, UInt8(ascii: "(")) { depth += 1 }
        if scanner.isSign(token, UInt8(ascii: ")")) { depth -= 1 }
        guard depth == 0, scanner.matches(token, "as"), let first = scanner.next() else { continue }
        var end = statementEnd
        while end > first.start, all[end - 1] == 32 || (9...13).contains(all[end - 1]) { end -= 1 }
        return String(decoding: all[first.start..<end], as: UTF8.self)
      }
      return ""
    }
  }

  func drop(_ body: JSONValue) -> Statement {
    let names = body.list("objects").map { object -> QualifiedName in
      if let items = object["List"] { return items.names("items") }
      if let type = object["TypeName"] { return type.names("names") }
      if let function = object["ObjectWithArgs"] { return function.names("objname") }
      return [object.name]
    }
    let kind: DropStatement.Kind
    switch body.string("removeType") {
    case "OBJECT_TABLE": kind = .table
    case "OBJECT_INDEX": kind = .index
    case "OBJECT_SEQUENCE": kind = .sequence
    case "OBJECT_VIEW": kind = .view
    case "OBJECT_SCHEMA": kind = .schema
    case "OBJECT_MATVIEW": kind = .materializedView
    case let other: kind = .other(other.dropFirst("OBJECT_".count).map { $0 == "_" ? " " : String($0) }.joined())
    }
    return .drop(
      DropStatement(
        kind: kind, names: names, ifExists: body.flag("missing_ok"),
        isCascade: body.string("behavior") == "DROP_CASCADE"))
  }
}
