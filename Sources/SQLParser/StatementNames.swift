extension TreeBuilder {
  /// A node's type in words, for what has no better name: `RangeTableSample` is "RANGE TABLE SAMPLE".
  static func words(_ type: String) -> String {
    var words = ""
    for character in type where character != "_" {
      if character.isUppercase, !words.isEmpty { words += " " }
      words += character.uppercased()
    }
    return words
  }

  /// A statement's name as PostgreSQL's manual has it, for the error that it is not supported.
  static func statementName(_ type: String, _ body: JSONValue) -> String {
    switch type {
    case "AlterTableStmt": return "ALTER \(objectKind(body.string("objtype")))"
    case "RenameStmt": return "ALTER \(objectKind(body.string("renameType"))) … RENAME"
    case "CommentStmt": return "COMMENT ON \(objectKind(body.string("objtype")))"
    case "CreateTableAsStmt":
      return body.string("objtype") == "OBJECT_MATVIEW" ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS"
    case "GrantStmt", "GrantRoleStmt": return body.flag("is_grant") ? "GRANT" : "REVOKE"
    case "FetchStmt": return body.flag("ismove") ? "MOVE" : "FETCH"
    case "CreateFunctionStmt": return body.flag("is_procedure") ? "CREATE PROCEDURE" : "CREATE FUNCTION"
    default: return names[type] ?? words(type.hasSuffix("Stmt") ? String(type.dropLast(4)) : type)
    }
  }

  private static func objectKind(_ type: String) -> String {
    type.hasPrefix("OBJECT_") ? type.dropFirst(7).split(separator: "_").joined(separator: " ") : "OBJECT"
  }

  private static let names = [
    "AlterDatabaseStmt": "ALTER DATABASE", "AlterDatabaseSetStmt": "ALTER DATABASE",
    "AlterObjectSchemaStmt": "ALTER … SET SCHEMA", "AlterOwnerStmt": "ALTER … OWNER TO",
    "AlterRoleSetStmt": "ALTER ROLE … SET", "AlterSystemStmt": "ALTER SYSTEM", "CallStmt": "CALL",
    "CheckPointStmt": "CHECKPOINT", "ClosePortalStmt": "CLOSE", "ClusterStmt": "CLUSTER",
    "CompositeTypeStmt": "CREATE TYPE", "ConstraintsSetStmt": "SET CONSTRAINTS", "CreateDomainStmt": "CREATE DOMAIN",
    "CreateEnumStmt": "CREATE TYPE", "CreateExtensionStmt": "CREATE EXTENSION", "CreatePLangStmt": "CREATE LANGUAGE",
    "CreateRangeStmt": "CREATE TYPE", "CreateStatsStmt": "CREATE STATISTICS", "CreateTrigStmt": "CREATE TRIGGER",
    "DeclareCursorStmt": "DECLARE CURSOR", "DefineStmt": "CREATE TYPE, AGGREGATE or OPERATOR", "DoStmt": "DO",
    "DropOwnedStmt": "DROP OWNED", "ListenStmt": "LISTEN", "LoadStmt": "LOAD", "LockStmt": "LOCK TABLE",
    "MergeStmt": "MERGE", "NotifyStmt": "NOTIFY", "ReassignOwnedStmt": "REASSIGN OWNED",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW", "ReindexStmt": "REINDEX", "RuleStmt": "CREATE RULE",
    "SecLabelStmt": "SECURITY LABEL", "UnlistenStmt": "UNLISTEN",
  ]
}
