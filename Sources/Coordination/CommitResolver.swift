import Metadata

/// Which decisions the log may forget: those that every participant has carried out. A coordinator says so itself; this is for
/// those whose coordinator is gone, or has not heard of the end.
package enum CommitResolver {
  /// The shards that have to be asked.
  package static func shards(of open: some Sequence<(key: GlobalTransactionID, value: OpenTransaction)>) -> Set<ShardID>
  {
    open.reduce(into: []) { $0.formUnion($1.value.participants) }
  }

  /// Decisions of which each participant has reported, after it had consumed them, that it holds the transaction no longer.
  /// Mutants are for the simulator.
  package static func resolvable(
    _ open: some Sequence<(key: GlobalTransactionID, value: OpenTransaction)>, _ reports: [ShardID: ShardTransactions],
    mutants: CoordinationMutants = []
  ) -> [GlobalTransactionID] {
    guard !mutants.contains(.neverResolves) else { return [] }
    return open.compactMap { id, transaction in
      let isFinished = transaction.participants.allSatisfy { shard in
        guard let report = reports[shard] else { return mutants.contains(.resolvesUnheard) }
        return report.metadataIndex >= transaction.index && !report.prepared.contains(id)
      }
      return isFinished ? id : nil
    }.sorted()
  }
}
