/// Mistakes that the simulator can have the replica's core make, to show that it would find them (reliability.md). None in
/// production.
package struct ReplicaMutants: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A leader decides before it has applied what came before its term (Redpanda #13614).
  package static let servesBeforeReplay = ReplicaMutants(rawValue: 1 << 0)
  /// Reads are answered when they are confirmed, without waiting until the state has got so far.
  package static let readsBeforeApplied = ReplicaMutants(rawValue: 1 << 1)
}
