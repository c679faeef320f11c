/// What a cluster that was restored from a backup says of itself, in its log's first record after the backup's last one.
package struct RestoredCluster: Sendable, Hashable {
  /// The new cluster's.
  package var clusterID: ClusterID
  package var name: String
  /// The cluster that the backup is of, the backup's last record, and that record's hash.
  package var originID: ClusterID
  package var originIndex: UInt64
  package var originHash: RecordHash
  package init(clusterID: ClusterID, name: String, originID: ClusterID, originIndex: UInt64, originHash: RecordHash) {
    self.clusterID = clusterID
    self.name = name
    self.originID = originID
    self.originIndex = originIndex
    self.originHash = originHash
  }
}
