/// Gates event types: a cluster's level is raised only when every process understands the events that the level brings.
package enum FeatureLevel {
  /// The newest level that this program has code for.
  package static let newest: UInt32 = 3
  /// The level that this process understands: the newest, unless it was told to behave as an older program.
  ///
  /// Unsafe: set by a process's main function before there is another thread, only read from then on.
  nonisolated(unsafe) package static var current: UInt32 = newest
  /// What a program says that is too old for its cluster.
  package static func outdatedText(_ level: UInt32) -> String {
    "the cluster is at feature level \(level), this program understands \(current): run a newer version of kunlog"
  }
  /// Notes; results of a client's last 1024 requests instead of 64.
  package static let notes: UInt32 = 2
  /// Transactions over several shards, managers' epochs, migrations, privileges, materialised views, functions, schema changes in
  /// steps.
  package static let coordination: UInt32 = 3
  /// Tables that stand together (`TableGroup`).
  package static let tableGroups: UInt32 = 3
  /// Tables with a copy on every shard (`MirrorTable`).
  package static let mirrorTables: UInt32 = 3
  /// Shards for cold data, and tables that belong there (`ShardClass`).
  package static let shardClasses: UInt32 = 3
  /// Clusters that begin with a backup (`ClusterRestored`).
  package static let restoration: UInt32 = 3
  /// Records are leaves of a tree (`RecordTree`), from the one on that raises the level.
  package static let recordTree: UInt32 = 3
}
