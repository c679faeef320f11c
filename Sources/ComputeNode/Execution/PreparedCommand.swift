import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// A statement that a session has understood.
struct PreparedCommand: ParsedStatement {
  let text: String
  /// nil: nothing but blanks and comments.
  let tree: Statement?
  /// As the client declared them; 0 where it left them open.
  let declaredTypes: [UInt32]
  let parameterTypes: [SQLType]
  let columns: [ResultColumn]?
  /// The plan of SELECT, INSERT, UPDATE and DELETE; taken anew where it no longer holds.
  let analyzed: AnalyzedStatement?
  /// The search path that the plan rests on.
  let searchPath: [String]
  /// The literals of `text`, where `tree` and `analyzed` have parameters in their places.
  let literals: [StoredValue]?

  init(
    text: String, tree: Statement?, declaredTypes: [UInt32] = [], parameterTypes: [SQLType] = [],
    columns: [ResultColumn]? = nil, analyzed: AnalyzedStatement? = nil,
    searchPath: [String] = [], literals: [StoredValue]? = nil
  ) {
    self.text = text
    self.tree = tree
    self.declaredTypes = declaredTypes
    self.parameterTypes = parameterTypes
    self.columns = columns
    self.analyzed = analyzed
    self.searchPath = searchPath
    self.literals = literals
  }
}

extension PreparedCommand {
  var kind: StatementKind {
    switch tree {
    case .select: .select
    case .insert: .insert
    case .update: .update
    case .delete: .delete
    case .copy: .copy
    case .createTable, .alterTable, .createIndex, .createSequence, .alterSequence, .createView, .createSchema,
      .createDatabase, .drop, .truncate, .createRole, .alterRole, .dropRole:
      .definition
    case .transaction: .transaction
    default: .other
    }
  }
}

extension OutputColumn {
  /// As RowDescription announces it.
  var resultColumn: ResultColumn {
    ResultColumn(name: name, type: type, tableOID: tableOID, columnNumber: Int16(clamping: columnNumber))
  }
}

extension AnalyzedStatement {
  /// nil for a write without RETURNING.
  var resultColumns: [ResultColumn]? {
    command == .select || !columns.isEmpty ? columns.map(\.resultColumn) : nil
  }

  /// The command tag for a number of rows.
  func tag(_ count: Int) -> String {
    switch command {
    case .select: "SELECT \(count)"
    case .insert: "INSERT 0 \(count)"
    case .update: "UPDATE \(count)"
    case .delete: "DELETE \(count)"
    }
  }

  /// For errors: `INSERT`.
  var commandName: String {
    switch command {
    case .select: "SELECT"
    case .insert: "INSERT"
    case .update: "UPDATE"
    case .delete: "DELETE"
    }
  }
}
