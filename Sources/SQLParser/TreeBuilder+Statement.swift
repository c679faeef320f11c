import SQLTree
import SQLTypes

extension TreeBuilder {
  /// A statement of any kind within its node.
  func statement(_ value: JSONValue) throws(SQLError) -> Statement {
    guard let (type, body) = value.node else { throw SQLError(.internalError, "a statement is missing") }
    switch type {
    case "SelectStmt": return .select(try select(body))
    case "InsertStmt": return try insert(body)
    case "UpdateStmt": return try update(body)
    case "DeleteStmt": return try delete(body)
    case "CopyStmt": return try copy(body)
    case "TransactionStmt": return transaction(body)
    case "ExplainStmt":
      guard let query = body["query"] else { throw SQLError(.internalError, "EXPLAIN without a statement") }
      return .explain(
        try nested { () throws(SQLError) in try self.statement(query) }, options: options(body.list("options")))
    case "PrepareStmt":
      guard let query = body["query"] else { throw SQLError(.internalError, "PREPARE without a statement") }
      let types = try all(body.list("argtypes")) { (value) throws(SQLError) in
        try self.typeName(value["TypeName"] ?? value)
      }
      return .prepare(
        name: body.string("name"), types: types,
        statement: try nested { () throws(SQLError) in try self.statement(query) })
    case "ExecuteStmt": return .execute(name: body.string("name"), parameters: try expressions(body.list("params")))
    case "DeallocateStmt": return .deallocate(name: body.optionalString("name"))
    default:
      return try definition(type, body) ?? session(type, body)
        ?? .unsupported(
          Self.statementName(type, body), location: statementStart)
    }
  }

  /// Statements that define objects; nil for any other.
  private func definition(_ type: String, _ body: JSONValue) throws(SQLError) -> Statement? {
    switch type {
    case "CreateStmt": return try createTable(body)
    case "AlterTableStmt": return alterTable(body)
    case "IndexStmt": return try createIndex(body)
    case "CreateSeqStmt": return try createSequence(body)
    case "ViewStmt": return try createView(body)
    case "DropStmt": return drop(body)
    case "AlterSeqStmt":
      guard let relation = body["sequence"] else { return nil }
      return .alterSequence(
        relationName(relation), ifExists: body.flag("missing_ok"), options: options(body.list("options")))
    case "CreateSchemaStmt":
      if !body.list("schemaElts").isEmpty { throw unsupported("CREATE SCHEMA with objects") }
      if body["authrole"] != nil {
        throw unsupported("CREATE SCHEMA AUTHORIZATION", at: body["authrole"]?.location ?? -1)
      }
      return .createSchema(
        name: body.string("schemaname"), ifNotExists: body.flag("if_not_exists"), location: statementStart)
    case "CreatedbStmt": return .createDatabase(name: body.string("dbname"), location: statementStart)
    case "DropdbStmt":
      return .drop(
        DropStatement(
          kind: .database, names: [[body.string("dbname")]], ifExists: body.flag("missing_ok"), isCascade: false))
    case "TruncateStmt":
      return .truncate(
        body.list("relations").map(relationNode), restartIdentity: body.flag("restart_seqs"),
        isCascade: body.string("behavior") == "DROP_CASCADE")
    case "CreateRoleStmt":
      return .createRole(
        name: body.string("role"), isUser: body.string("stmt_type") == "ROLESTMT_USER",
        options: options(body.list("options")))
    case "AlterRoleStmt":
      return .alterRole(name: try roleName(body["role"]), options: options(body.list("options")))
    case "DropRoleStmt":
      return .dropRole(
        names: try all(body.list("roles")) { (value) throws(SQLError) in try self.roleName(value["RoleSpec"]) },
        ifExists: body.flag("missing_ok"))
    default: return nil
    }
  }

  /// A role by name; CURRENT_USER and its like are kept as their keyword.
  private func roleName(_ body: JSONValue?) throws(SQLError) -> String {
    guard let body else { throw SQLError(.internalError, "a role is missing") }
    switch body.string("roletype") {
    case "ROLESPEC_CSTRING": return body.string("rolename")
    case let other:
      throw unsupported(other.dropFirst("ROLESPEC_".count) + " as the name of a role", at: body.location)
    }
  }

  /// Statements that steer the session; nil for any other.
  private func session(_ type: String, _ body: JSONValue) throws(SQLError) -> Statement? {
    switch type {
    case "VariableShowStmt": return .show(name: body.string("name"))
    case "VariableSetStmt": return try set(body)
    case "DiscardStmt":
      return .discard(body.string("target").dropFirst("DISCARD_".count).lowercased())
    // There are no cursors and no channels of notifications: connection pools make sure of it when they reset a session.
    case "ClosePortalStmt" where body.optionalString("portalname") == nil: return .maintenance("CLOSE CURSOR ALL")
    case "UnlistenStmt": return .maintenance("UNLISTEN")
    case "VacuumStmt": return .maintenance(body.flag("is_vacuumcmd") ? "VACUUM" : "ANALYZE")
    default: return nil
    }
  }

  private func set(_ body: JSONValue) throws(SQLError) -> Statement {
    let name = body.string("name")
    let isLocal = body.flag("is_local")
    switch body.string("kind") {
    case "VAR_RESET_ALL": return .resetAll
    case "VAR_RESET": return .reset(name: name)
    case "VAR_SET_MULTI":
      if name == "TRANSACTION SNAPSHOT" { throw unsupported("SET TRANSACTION SNAPSHOT") }
      return .setTransaction(options(body.list("args")), isSession: name == "SESSION CHARACTERISTICS")
    case "VAR_SET_CURRENT": throw unsupported("SET FROM CURRENT")
    case "VAR_SET_VALUE":
      return .set(name: name, values: try expressions(body.list("args")), isLocal: isLocal)
    default: return .set(name: name, values: [], isLocal: isLocal)
    }
  }

  private func transaction(_ body: JSONValue) -> Statement {
    let kind: TransactionStatement.Kind
    switch body.string("kind") {
    case "TRANS_STMT_COMMIT": kind = .commit
    case "TRANS_STMT_ROLLBACK": kind = .rollback
    case "TRANS_STMT_SAVEPOINT": kind = .savepoint(body.string("savepoint_name"))
    case "TRANS_STMT_RELEASE": kind = .release(body.string("savepoint_name"))
    case "TRANS_STMT_ROLLBACK_TO": kind = .rollbackTo(body.string("savepoint_name"))
    case "TRANS_STMT_PREPARE": kind = .prepare(body.string("gid"))
    case "TRANS_STMT_COMMIT_PREPARED": kind = .commitPrepared(body.string("gid"))
    case "TRANS_STMT_ROLLBACK_PREPARED": kind = .rollbackPrepared(body.string("gid"))
    default: kind = .begin
    }
    var statement = TransactionStatement(
      kind: kind, options: options(body.list("options")), isChained: body.flag("chain"))
    statement.isStart = body.string("kind") == "TRANS_STMT_START"
    return .transaction(statement)
  }

  /// The options of WITH (…), roles, sequences, COPY and transactions.
  func options(_ values: [JSONValue]) -> [DefinitionOption] {
    values.map { value in
      let body = value["DefElem"] ?? value
      return DefinitionOption(name: body.string("defname"), value: optionValue(body), location: body.location)
    }
  }

  private func optionValue(_ body: JSONValue) -> DefinitionOption.Value {
    guard let (type, value) = body["arg"]?.node else { return .none }
    switch type {
    case "String": return .string(value.string("sval"))
    case "Integer":
      return .integer(value["ival"]?.integer ?? integerInText(at: body.location, skippingWords: true))
    case "Float": return .decimal(value.string("fval"))
    case "Boolean": return .boolean(value.flag("boolval"))
    case "A_Star": return .star
    case "TypeName": return .name(value.names("names"))
    case "List":
      return .names(
        value.list("items").map { item in
          item["RoleSpec"]?.string("rolename") ?? item.name
        })
    case "A_Const":
      switch constant(value) {
      case .constant(.string(let text), location: _): return .string(text)
      case .constant(.integer(let number), location: _): return .integer(number)
      case .constant(.decimal(let text), location: _): return .decimal(text)
      case .constant(.boolean(let flag), location: _): return .boolean(flag)
      default: return .none
      }
    default: return .none
    }
  }
}
