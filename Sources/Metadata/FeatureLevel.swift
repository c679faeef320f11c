/// Gates event types: a cluster's level is raised only when every process understands the events that the level brings.
package enum FeatureLevel {
  /// The level that this program understands.
  package static let current: UInt32 = 1
}
