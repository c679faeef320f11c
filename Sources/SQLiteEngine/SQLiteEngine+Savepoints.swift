import SQLTypes
import StorageEngine

// A savepoint is set lazily: in a tablet's connection before the next write there, so that tablets that are not written
// after it know nothing of it.
extension SQLiteEngine {
  package func setSavepoints(_ savepoints: [UInt32], in id: TransactionID) throws(SQLError) {
    try known(id).savepoints = savepoints
  }

  package func rollback(_ id: TransactionID, toSavepoint savepoint: UInt32) async throws(EngineFailure) {
    let transaction: EngineTransaction
    do throws(SQLError) {
      transaction = try known(id)
      try transaction.enter()
    } catch {
      throw EngineFailure(error: error)
    }
    defer { transaction.leave() }
    for tablet in transaction.overlays.keys { transaction.overlays[tablet]!.rollback(toSavepoint: savepoint) }
    let connections = transaction.writers.keys.sorted().compactMap { transaction.writers[$0] }
    guard !connections.isEmpty else { return }
    let failure: EngineFailure? = await workers.run {
      do throws(EngineFailure) {
        for connection in connections { try connection.rollback(toSavepoint: savepoint) }
        return nil
      } catch {
        return error
      }
    }
    guard let failure else { return }
    // Some tablets may be back at the savepoint and others not: only a whole rollback is left.
    transaction.doom = failure.error
    throw failure
  }
}
