/// Mistakes that the simulator can have the log make, to show that it would find them (reliability.md). None in production.
package struct LogMutants: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A batch is reported as durable before it was synchronized (etcd #14370).
  package static let skipsSynchronization = LogMutants(rawValue: 1 << 0)
  /// Whatever does not read back at the end of the log is taken for a torn write.
  package static let takesDamageForTorn = LogMutants(rawValue: 1 << 1)
  /// Segments are dropped before the record that makes them superfluous is durable.
  package static let dropsSegmentsEarly = LogMutants(rawValue: 1 << 2)
  /// A full disk ends the log for good, even when there is space again (dqlite #283).
  package static let neverForgivesFullDisk = LogMutants(rawValue: 1 << 3)
  /// A directory is taken for the own one, whoever's it is.
  package static let takesForeignDisk = LogMutants(rawValue: 1 << 4)
}
