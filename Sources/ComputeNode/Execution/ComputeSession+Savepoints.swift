import EventLoop
import Metadata
import SQLTypes

// SAVEPOINT, RELEASE and ROLLBACK TO. A shard hears of a savepoint with the next write; only ROLLBACK TO asks it at once.
extension ComputeSession {
  func setSavepoint(_ name: String) throws(SQLError) -> String {
    try block("SAVEPOINT").setSavepoint(name, settings: settings)
    return "SAVEPOINT"
  }

  func releaseSavepoint(_ name: String) throws(SQLError) -> String {
    let block = try block("RELEASE SAVEPOINT")
    let place = try place(of: name, in: block)
    block.savepoints.removeSubrange(place...)
    return "RELEASE"
  }

  /// Undoes what was done since the savepoint, which stays; a failed block goes on.
  func rollBack(toSavepoint name: String) async throws(SQLError) -> String {
    let block = try block("ROLLBACK TO SAVEPOINT")
    let place = try place(of: name, in: block)
    let savepoint = block.savepoints[place]
    if !block.written.isEmpty, savepoint.written.isEmpty, block.joined == block.written {
      // Nothing that the shards hold is wanted any more, their locks included.
      rollback(block)
      block.startAnew(id: services.names.next())
    } else {
      for shard in block.written.sorted() { try await undo(since: savepoint, in: block, on: shard) }
    }
    block.savepoints.removeSubrange((place + 1)...)
    isBlockFailed = false
    settings = savepoint.settings
    reportAllSettings()
    if block.hasDefined, !savepoint.hasDefined {
      report(
        .warning(
          .warning, "definitions are not undone by ROLLBACK",
          detail: "CREATE, ALTER, DROP and TRUNCATE take effect at once in this version."))
    }
    return "ROLLBACK"
  }

  private func undo(
    since savepoint: Savepoint, in block: SessionTransaction, on shard: ShardID
  ) async throws(SQLError) {
    var request = ShardRequest(
      shardID: shard, metadataIndex: services.metadata.schemaIndex, transactionID: block.id, isContinuation: true,
      fragments: [], session: shardSession)
    request.rollbackToSavepoint = savepoint.number
    request.savepoints = block.savepoints.map(\.number).filter { $0 <= savepoint.number }
    let call = services.shards.execute(request)
    do throws(ShardFailure) {
      while try await call.next() != nil {}
    } catch {
      switch error {
      case .unavailable(let reason), .interrupted(let reason):
        throw SQLError(
          .connectionFailure, "the transaction could not be rolled back to the savepoint",
          detail: "The connection to shard \(shard) was lost: \(reason)", hint: "Roll the whole transaction back.")
      default: throw commitError(error, shard: shard)
      }
    }
  }

  private func block(_ command: String) throws(SQLError) -> SessionTransaction {
    guard let transaction, transaction.isBlock else {
      throw SQLError(.noActiveSQLTransaction, "\(command) can only be used in transaction blocks")
    }
    return transaction
  }

  private func place(of name: String, in block: SessionTransaction) throws(SQLError) -> Int {
    guard let place = block.savepoints.lastIndex(where: { $0.name == name }) else {
      throw SQLError(.invalidSavepointSpecification, "savepoint \"\(name)\" does not exist")
    }
    return place
  }
}
