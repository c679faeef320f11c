import Metadata

/// Which decisions the log may forget: those that every participant has carried out. A coordinator says so itself; this is for
/// those whose coordinator is gone, or has not heard of the end.
package enum CommitResolver {
  /// What a shard's leader has answered.
  package struct Report: Sendable, Equatable {
    /// Transactions that are prepared there.
    package var prepared: Set<GlobalTransactionID>
    /// The metadata that the shard had consumed: of later decisions the report says nothing.
    package var metadataIndex: UInt64
    package init(prepared: Set<GlobalTransactionID>, metadataIndex: UInt64) {
      self.prepared = prepared
      self.metadataIndex = metadataIndex
    }
  }

  /// The shards that have to be asked.
  package static func shards(of open: some Sequence<(key: GlobalTransactionID, value: OpenTransaction)>) -> Set<ShardID>
  {
    open.reduce(into: []) { $0.formUnion($1.value.participants) }
  }

  /// Decisions of which each participant has reported, after it had consumed them, that it holds the transaction no longer.
  package static func resolvable(
    _ open: some Sequence<(key: GlobalTransactionID, value: OpenTransaction)>, _ reports: [ShardID: Report]
  ) -> [GlobalTransactionID] {
    open.compactMap { id, transaction in
      let isFinished = transaction.participants.allSatisfy { shard in
        guard let report = reports[shard] else { return false }
        return report.metadataIndex >= transaction.index && !report.prepared.contains(id)
      }
      return isFinished ? id : nil
    }.sorted()
  }
}
