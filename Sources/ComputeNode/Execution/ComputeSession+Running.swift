import Coordination
import SQLPlan
import SQLTypes

/// The schema `kunlog`: what runs in the cluster at the moment, as tables.
extension ComputeSession {
  /// nil: the relation is not of that schema.
  func runningRows(of relation: VirtualRelation) async -> [[StoredValue]]? {
    guard relation.schema == "kunlog" else { return nil }
    switch relation.name {
    case "transactions": return await transactionRows()
    case "migrations": return migrationRows()
    default: return nil
    }
  }

  /// In the order of the columns of `kunlog.transactions`.
  private func transactionRows() async -> [[StoredValue]] {
    let shards = await services.shards.transactions(onlyBlocking: false)
    return TransactionReport.all(shards, image.transactions.open).map { transaction in
      [
        transaction.name.isEmpty ? .null : .text(transaction.name), transaction.id.map { .text("\($0)") } ?? .null,
        .text(transaction.state.rawValue), .integer(Int64(clamping: transaction.ageMilliseconds)),
        .text(transaction.shards.map { "\($0)" }.joined(separator: ", ")),
        transaction.waitsFor.isEmpty ? .null : .text(transaction.waitsFor.joined(separator: ", ")),
        transaction.decisionIndex.map { .integer(Int64(clamping: $0)) } ?? .null,
      ]
    }
  }

  /// In the order of the columns of `kunlog.migrations`: those that are under way and the last ones that have ended.
  private func migrationRows() -> [[StoredValue]] {
    func number(_ value: UInt64?) -> StoredValue { value.map { .integer(Int64(clamping: $0)) } ?? .null }
    let image = image
    let all = Array(image.migrations.open.values) + Array(image.migrations.ended.values)
    return all.sorted { $0.plan.id < $1.plan.id }.map { migration in
      let plan = migration.plan
      let name = image.tableName(of: plan.tabletID)
      return [
        .integer(Int64(clamping: plan.id.rawValue)), name.map { .text($0) } ?? .null,
        .integer(Int64(clamping: plan.tabletID.rawValue)), .integer(Int64(plan.source.rawValue)),
        .integer(Int64(plan.target.rawValue)), .text(migration.outcome?.text ?? migration.phase.text),
        .integer(Int64(migration.percent)), .integer(Int64(migration.attempt) + 1),
        .integer(migration.isPaused ? 1 : 0), migration.remark.isEmpty ? .null : .text(migration.remark),
        migration.snapshot.map { .integer(Int64(clamping: $0.lengthBytes)) } ?? .null,
        .integer(Int64(clamping: migration.startedIndex)), .integer(Int64(clamping: migration.changedIndex)),
        number(migration.progress?.bytes), number(migration.progress?.totalBytes), number(migration.progress?.rows),
        number(migration.progress?.bytesPerSecond), number(migration.progress?.lagMilliseconds),
        number(migration.progress?.secondsLeft), .integer(plan.options.keepsSource ? 1 : 0),
        migration.wayBack.map { .text($0.text) } ?? .null,
      ]
    }
  }
}
