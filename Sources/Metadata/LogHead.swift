/// What stands for all of the log up to a record: who has written it down can check later that a record belongs to it, and that the
/// log of today continues it (`TreeProof`).
package struct LogHead: Sendable, Hashable {
  package var clusterID: ClusterID
  /// How many records the tree has.
  package var count: UInt64
  /// The last of them.
  package var recordIndex: UInt64
  /// The hash of that record: where the chain goes on.
  package var chainHash: RecordHash
  /// The tree's root.
  package var root: RecordHash
  /// The first record of the tree. What came before is bound to it by the chain.
  package var firstIndex: UInt64
  package init(
    clusterID: ClusterID, count: UInt64, recordIndex: UInt64, chainHash: RecordHash, root: RecordHash,
    firstIndex: UInt64
  ) {
    self.clusterID = clusterID
    self.count = count
    self.recordIndex = recordIndex
    self.chainHash = chainHash
    self.root = root
    self.firstIndex = firstIndex
  }
}

extension Image {
  /// The head of the log that led to this image; nil below `FeatureLevel.recordTree`.
  package var head: LogHead? {
    guard let clusterID, tree.count > 0 else { return nil }
    return LogHead(
      clusterID: clusterID, count: tree.count, recordIndex: index, chainHash: hash, root: tree.root,
      firstIndex: tree.firstIndex)
  }
}
