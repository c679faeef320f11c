/// Gates event types: a cluster's level is raised only when every process understands the events that the level brings.
package enum FeatureLevel {
  /// The level that this program understands.
  package static let current: UInt32 = 2
  /// Notes; results of a client's last 1024 requests instead of 64.
  package static let notes: UInt32 = 2
}
