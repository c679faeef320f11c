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
}
