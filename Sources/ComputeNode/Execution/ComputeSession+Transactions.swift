import EventLoop
import Metadata
import PostgresWire
import SQLTree
import SQLTypes

extension ComputeSession {
  /// Opens an implicit transaction where none is under way.
  func beginImplicitly() {
    guard transaction == nil else { return }
    transaction = makeTransaction(isBlock: false)
  }

  private func makeTransaction(isBlock: Bool) -> SessionTransaction {
    SessionTransaction(
      id: services.names.next(), isBlock: isBlock,
      isRepeatableRead: settings.known("default_transaction_isolation") == "repeatable read",
      isReadOnly: settings.flag("default_transaction_read_only"), startMicroseconds: services.now,
      number: services.names.nextNumber(atMicroseconds: services.now))
  }

  /// BEGIN, COMMIT, ROLLBACK; answers the command tag.
  func runTransaction(_ statement: TransactionStatement) async throws(SQLError) -> String {
    switch statement.kind {
    case .begin: return try begin(statement)
    case .commit: return try await endBlock(statement, wantsCommit: true)
    case .rollback: return try await endBlock(statement, wantsCommit: false)
    case .savepoint(let name): return try setSavepoint(name)
    case .release(let name): return try releaseSavepoint(name)
    case .rollbackTo(let name): return try await rollBack(toSavepoint: name)
    case .prepare, .commitPrepared, .rollbackPrepared:
      throw SQLError(.featureNotSupported, "PREPARE TRANSACTION is not supported")
    }
  }

  private func begin(_ statement: TransactionStatement) throws(SQLError) -> String {
    let tag = statement.isStart ? "START TRANSACTION" : "BEGIN"
    if let transaction, transaction.isBlock {
      report(.warning(.activeSQLTransaction, "there is already a transaction in progress"))
      try apply(statement.options, to: transaction)
      return tag
    }
    // Statements of the same query text before it belong to the block.
    let block: SessionTransaction
    if let transaction {
      block = transaction
      block.isBlock = true
    } else {
      block = makeTransaction(isBlock: true)
    }
    try apply(statement.options, to: block)
    transaction = block
    return tag
  }

  /// ISOLATION LEVEL, READ ONLY and DEFERRABLE of BEGIN and SET TRANSACTION.
  func apply(_ options: [DefinitionOption], to transaction: SessionTransaction) throws(SQLError) {
    for option in options {
      switch (option.name, option.value) {
      case ("transaction_isolation", .string(let level)):
        let isRepeatableRead = try Self.isRepeatableRead(level)
        if transaction.hasRun, isRepeatableRead != transaction.isRepeatableRead {
          throw SQLError(
            .activeSQLTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
        }
        transaction.isRepeatableRead = isRepeatableRead
      case ("transaction_read_only", .integer(let flag)):
        if transaction.hasRun, transaction.isReadOnly, flag == 0 {
          throw SQLError(
            .activeSQLTransaction, "transaction read-write mode must be set before any query")
        }
        transaction.isReadOnly = flag != 0
      default: break
      }
    }
  }

  /// READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL; SERIALIZABLE is refused rather than weakened.
  static func isRepeatableRead(_ level: String) throws(SQLError) -> Bool {
    switch level.lowercased() {
    case "read committed", "read uncommitted": return false
    case "repeatable read": return true
    case "serializable":
      throw SQLError(
        .featureNotSupported, "isolation level SERIALIZABLE is not supported", hint: "Use REPEATABLE READ.")
    default:
      throw SQLError(.invalidParameterValue, "invalid value for parameter \"transaction_isolation\": \"\(level)\"")
    }
  }

  private func endBlock(_ statement: TransactionStatement, wantsCommit: Bool) async throws(SQLError) -> String {
    guard let block = transaction, block.isBlock else {
      if statement.isChained {
        throw SQLError(
          .noActiveSQLTransaction,
          "\(wantsCommit ? "COMMIT" : "ROLLBACK") AND CHAIN can only be used in transaction blocks")
      }
      report(.warning(.noActiveSQLTransaction, "there is no transaction in progress"))
      // Ends the implicit transaction of the statements before it.
      if wantsCommit { try await commitImplicitTransaction() } else { await transactionFailed() }
      return wantsCommit ? "COMMIT" : "ROLLBACK"
    }
    let commits = wantsCommit && !isBlockFailed
    isBlockFailed = false
    transaction = nil
    defer {
      if statement.isChained {
        let next = makeTransaction(isBlock: true)
        next.isRepeatableRead = block.isRepeatableRead
        next.isReadOnly = block.isReadOnly
        transaction = next
      }
    }
    if commits {
      do {
        try await commit(block)
      } catch {
        settingsAfterTransaction(isCommitted: false)
        throw error
      }
      settingsAfterTransaction(isCommitted: true)
      return "COMMIT"
    }
    rollback(block)
    settingsAfterTransaction(isCommitted: false)
    if block.hasDefined {
      report(
        .warning(
          .warning, "definitions are not undone by ROLLBACK",
          detail: "CREATE, ALTER, DROP and TRUNCATE take effect at once in this version."))
    }
    return "ROLLBACK"
  }

  func commitImplicitTransaction() async throws(SQLError) {
    guard let implicit = transaction, !implicit.isBlock else { return }
    transaction = nil
    do {
      try await commit(implicit)
    } catch {
      settingsAfterTransaction(isCommitted: false)
      throw error
    }
    settingsAfterTransaction(isCommitted: true)
  }

  func transactionFailed() async {
    guard let failed = transaction else { return }
    // What was written before a savepoint is still wanted if the client goes back to it.
    if failed.savepoints.isEmpty { rollback(failed) }
    if failed.isBlock {
      isBlockFailed = true
    } else {
      transaction = nil
      settingsAfterTransaction(isCommitted: false)
    }
  }

  /// The session ends: nothing is waited for.
  func abandonTransaction() {
    if let transaction { rollback(transaction) }
  }

  /// Commits on the shards that were written; the others are told that it is over.
  private func commit(_ transaction: SessionTransaction) async throws(SQLError) {
    let written = transaction.written
    for shard in transaction.joined.subtracting(written).sorted() {
      services.shards.rollback(transaction.id, on: shard)
    }
    transaction.forgetShards()
    guard written.count <= 1 else {
      return try await services.coordinator.commit(transaction.id, on: written, failure: commitError)
    }
    guard let shard = written.first else { return }
    do {
      try await services.shards.commit(transaction.id, on: shard)
    } catch {
      throw commitError(error, shard: shard)
    }
  }

  /// What a failed commit means for the client.
  func commitError(_ failure: ShardFailure, shard: ShardID) -> SQLError {
    switch failure {
    case .statement(let error, _): return error
    case .transactionLost:
      return SQLError(
        .serializationFailure, "the transaction was rolled back because the leader of shard \(shard) changed",
        hint: "Repeat the transaction.")
    case .staleRoute:
      return SQLError(
        .serializationFailure, "the transaction was rolled back because a table moved", hint: "Repeat the transaction.")
    case .unavailable(let reason), .interrupted(let reason):
      return SQLError(
        SQLState(rawValue: "08007"), "it is unknown whether the transaction was committed",
        detail: "The connection to shard \(shard) was lost: \(reason)",
        hint: "Look whether its changes are there before you repeat it.")
    case .cancelled: return SQLError(.queryCanceled, "canceling statement due to user request")
    }
  }

  func rollback(_ transaction: SessionTransaction) {
    for shard in transaction.joined.sorted() { services.shards.rollback(transaction.id, on: shard) }
    transaction.forgetShards()
  }

  func settingsAfterTransaction(isCommitted: Bool) {
    // Touching them makes all that is known of the session be read anew.
    guard settings.belongToTransaction else { return }
    if settings.transactionEnded(isCommitted: isCommitted) { reportAllSettings() }
  }
}
