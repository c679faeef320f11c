import ComputeNode
import Coordination
import EventLoop
import Metadata
import SQLTypes
import SQLite

/// Shards that run fragments in SQLite in memory, one database per shard, on the loop's thread: enough to see that what
/// the compute node sends is right. A transaction is SQLite's own; a second one at the same time is refused.
@LoopActor
final class SQLiteShards: ShardAccess {
  private let image: @LoopActor () -> Image
  private var databases: [ShardID: SQLiteDatabase] = [:]
  private var tables: [ShardID: Set<TabletID>] = [:]
  /// The transaction that is open, by shard.
  private var open: [ShardID: [UInt8]] = [:]
  private var prepared: [GlobalTransactionID: [ShardID: [UInt8]]] = [:]
  private(set) var requests: [ShardRequest] = []
  var reports: [ShardID: ShardTransactions] = [:]
  private(set) var commits = 0

  init(image: @escaping @LoopActor () -> Image) { self.image = image }

  func forgetRequests() {
    requests = []
    commits = 0
  }

  func execute(_ request: ShardRequest) -> any ShardCall {
    requests.append(request)
    do {
      return SQLiteShardCall(try run(request), nil)
    } catch let error as ShardFailure {
      return SQLiteShardCall([], error)
    } catch {
      return SQLiteShardCall([], .statement(SQLError(.internalError, "\(error)"), nil))
    }
  }

  func commit(_ transactionID: [UInt8], on shardID: ShardID) async throws(ShardFailure) {
    commits += 1
    guard open[shardID] == transactionID else { throw .transactionLost }
    open[shardID] = nil
    try? databases[shardID]?.execute("COMMIT")
  }

  func prepare(
    _ transactionID: [UInt8], as id: GlobalTransactionID, participants: [ShardID], on shardID: ShardID
  ) async throws(ShardFailure) -> Bool {
    guard open[shardID] == transactionID else { throw .transactionLost }
    prepared[id, default: [:]][shardID] = transactionID
    return true
  }

  /// Shards consume the log: what it decides is carried out at once.
  func decided(_ id: GlobalTransactionID, _ outcome: TransactionOutcome) {
    for (shard, transaction) in prepared.removeValue(forKey: id) ?? [:] {
      guard open[shard] == transaction else { continue }
      open[shard] = nil
      try? databases[shard]?.execute(outcome == .commit ? "COMMIT" : "ROLLBACK")
    }
  }

  func finish(
    _ transactionID: [UInt8], as id: GlobalTransactionID, _ outcome: TransactionOutcome, decisionIndex: UInt64,
    on shardID: ShardID
  ) async throws(ShardFailure) {
    // What was not prepared is undone.
    rollback(transactionID, on: shardID)
  }

  func hold(_ name: [UInt8], on shardID: ShardID) async throws(ShardFailure) -> UInt64 { 0 }

  func transactions(onlyBlocking: Bool) async -> [ShardID: ShardTransactions] { reports }

  func rollback(_ transactionID: [UInt8], on shardID: ShardID) {
    guard open[shardID] == transactionID else { return }
    open[shardID] = nil
    try? databases[shardID]?.execute("ROLLBACK")
  }

  private func run(_ request: ShardRequest) throws -> [ShardAnswer] {
    let database = try database(request.shardID)
    for fragment in request.fragments {
      for tablet in fragment.tablets { try create(tablet, on: request.shardID, database) }
    }
    let isOwn = request.transactionID.isEmpty || open[request.shardID] == nil
    if isOwn, !request.transactionID.isEmpty {
      try database.execute("BEGIN")
      open[request.shardID] = request.transactionID
    } else if !isOwn, open[request.shardID] != request.transactionID {
      throw ShardFailure.unavailable("another transaction is open")
    }
    var answers: [ShardAnswer] = []
    for (index, fragment) in request.fragments.enumerated() {
      do {
        try run(fragment, index, database, &answers)
      } catch let error as SQLiteError {
        if request.commits { rollback(request.transactionID, on: request.shardID) }
        throw failure(error, fragment, index)
      }
    }
    if request.commits {
      open[request.shardID] = nil
      try database.execute("COMMIT")
      answers.append(.committed)
    }
    return answers
  }

  private func run(
    _ fragment: ShardFragment, _ index: Int, _ database: SQLiteDatabase, _ answers: inout [ShardAnswer]
  ) throws {
    let statement = try database.prepare(fragment.sql)
    let parameters =
      fragment.parameterColumns > 0
      ? try RowCodec.decodeRows(fragment.parameters, columnCount: fragment.parameterColumns) : []
    let runs = max(1, fragment.parameterRows)
    let before = database.totalChanges
    var values: [UInt8] = []
    var rowCount = 0
    for run in 0..<runs {
      // What a text does not use is left over, as the engine does.
      try statement.bind(run < parameters.count ? Array(parameters[run].prefix(statement.parameterCount)) : [])
      while try statement.step() {
        statement.appendRow(to: &values)
        rowCount += 1
      }
    }
    if rowCount > 0 { answers.append(.rows(fragment: index, rowCount: rowCount, values: values)) }
    answers.append(.done(fragment: index, affected: database.totalChanges - before))
  }

  private func failure(_ error: SQLiteError, _ fragment: ShardFragment, _ index: Int) -> ShardFailure {
    guard error.isConstraintViolation, let tablet = fragment.tablets.first else {
      return .statement(error.sqlError, nil)
    }
    let text = error.message.split(separator: ":").last.map(String.init) ?? ""
    let columns = text.split(separator: ",").map { part in
      String(part.split(separator: ".").last ?? "").filter { $0 != " " }
    }
    let kind: ConstraintViolation.Kind
    switch error.sqlError.sqlState {
    case .uniqueViolation: kind = .unique
    case .notNullViolation: kind = .notNull
    default: kind = .check
    }
    return .statement(
      error.sqlError,
      ConstraintViolation(
        kind: kind, tabletID: tablet.id, columns: columns, name: kind == .check ? columns.first : nil, fragment: index))
  }

  private func database(_ shard: ShardID) throws -> SQLiteDatabase {
    if let database = databases[shard] { return database }
    let database = try SQLiteDatabase(.memory)
    try PostgresFunctions.register(on: database, context: SessionContext())
    databases[shard] = database
    return database
  }

  /// Makes the tablet's table as the engine does.
  private func create(_ tablet: ShardFragment.Tablet, on shard: ShardID, _ database: SQLiteDatabase) throws {
    guard tables[shard, default: []].insert(tablet.id).inserted else { return }
    let image = image()
    guard let definition = image.tablets[tablet.id], let table = image.tables[definition.tableID] else {
      throw ShardFailure.staleRoute(requiredIndex: image.index)
    }
    var parts: [String] = []
    let key = image.primaryKey(of: table.id)
    if key == nil { parts.append("_kunlog_row_id INTEGER PRIMARY KEY") }
    for column in table.columns {
      var text = "\"\(column.name)\" \(column.type.sqliteColumnType)"
      if let collation = column.type.sqliteCollation { text += " COLLATE \(collation)" }
      if column.isNotNull { text += " NOT NULL" }
      parts.append(text)
    }
    if let key {
      parts.append(
        "PRIMARY KEY (" + key.parts.map { "\"\(table.columns[$0.column - 1].name)\"" }.joined(separator: ",") + ")")
    }
    for check in table.checks { parts.append("CONSTRAINT \"\(check.name)\" CHECK (\(check.storageExpression))") }
    let suffix = key != nil ? " WITHOUT ROWID" : ""
    try database.execute("CREATE TABLE \"t\(tablet.id)\" (\(parts.joined(separator: ", ")))\(suffix)")
    for index in image.indexes(of: table.id) where index.isUnique && index.constraint != .primaryKey {
      let columns = index.parts.map { "\"\(table.columns[$0.column - 1].name)\"" }.joined(separator: ", ")
      try database.execute("CREATE UNIQUE INDEX \"i\(index.id)\" ON \"t\(tablet.id)\" (\(columns))")
    }
  }
}

@LoopActor
private final class SQLiteShardCall: ShardCall {
  private var answers: [ShardAnswer]
  private let failure: ShardFailure?

  init(_ answers: [ShardAnswer], _ failure: ShardFailure?) {
    self.answers = answers
    self.failure = failure
  }

  func next() async throws(ShardFailure) -> ShardAnswer? {
    if !answers.isEmpty { return answers.removeFirst() }
    if let failure { throw failure }
    return nil
  }

  func cancel() { answers = [] }
}
