import EventLoop
import Metadata
import PostgresWire
import SQLTypes

/// Words the failures of shards as PostgreSQL words its own: tables and constraints by their names in the catalog.
@LoopActor
struct ConstraintErrors {
  let image: Image
  /// How the values of a violating row are printed.
  var conversion = ConversionContext.standard

  func sqlError(_ failure: ShardFailure, request: ShardRequest) -> SQLError {
    let shard = request.shardID
    switch failure {
    case .statement(let error, nil): return error
    case .statement(let error, let violation?): return worded(error, violation, request)
    case .staleRoute:
      return SQLError(
        .serializationFailure, "a table moved while the statement ran", hint: "Repeat the transaction.")
    case .unavailable(let reason):
      return SQLError(
        .connectionFailure, "shard \(shard) cannot be reached", detail: reason,
        hint: "The statement was not executed there. Repeat it once the shard has a leader again.")
    case .interrupted(let reason):
      return SQLError(.connectionFailure, "the connection to shard \(shard) was lost", detail: reason)
    case .transactionLost:
      return SQLError(
        .serializationFailure, "the transaction was rolled back because the leader of shard \(shard) changed",
        hint: "Repeat the transaction.")
    case .cancelled: return SQLError(.queryCanceled, "canceling statement due to user request")
    }
  }

  private func worded(_ error: SQLError, _ violation: ConstraintViolation, _ request: ShardRequest) -> SQLError {
    guard let tablet = image.tablets[violation.tabletID], let table = image.tables[tablet.tableID] else { return error }
    let schema = image.schemas[table.schemaID]?.name
    switch violation.kind {
    case .notNull:
      guard let column = violation.columns.first else { return error }
      return SQLError(
        .notNullViolation,
        "null value in column \"\(column)\" of relation \"\(table.name)\" violates not-null constraint",
        detail: failingRow(violation, of: table) ?? error.detail, schema: schema, table: table.name, column: column)
    case .check:
      guard let name = violation.name else { return error }
      return SQLError(
        .checkViolation, "new row for relation \"\(table.name)\" violates check constraint \"\(name)\"",
        detail: failingRow(violation, of: table) ?? error.detail, schema: schema, table: table.name, constraint: name)
    case .unique:
      guard let index = index(of: table, violation) else { return error }
      return SQLError(
        .uniqueViolation, "duplicate key value violates unique constraint \"\(index.name)\"",
        detail: existingKey(violation, of: table, index) ?? error.detail, schema: schema, table: table.name,
        constraint: index.name)
    }
  }

  /// The violated index, by name, or by the set of its columns where the engine knows only those.
  private func index(of table: TableDefinition, _ violation: ConstraintViolation) -> IndexDefinition? {
    if let id = violation.indexID { return image.indexes[id] }
    let unique = image.indexes(of: table.id).filter(\.isUnique)
    if let id = violation.indexID, let index = unique.first(where: { $0.id == id }) { return index }
    if let name = violation.name, let index = unique.first(where: { $0.name == name }) { return index }
    let columns = Set(violation.columns)
    guard !columns.isEmpty else { return nil }
    return unique.first { index in
      Set(index.parts.map { table.columns[$0.column - 1].name }) == columns
    }
  }
}
