/// Mistakes that the simulator can have the state machines of transactions make, to show that it would find them (reliability.md).
/// None in production.
package struct CoordinationMutants: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A shard that has waited for too long aborts by itself, without the log: it races a coordinator that is alive (citus #1030).
  package static let abortsAlone = CoordinationMutants(rawValue: 1 << 0)
  /// The coordinator goes by what it wanted, not by the decision that stands (Klustron: abort and commit under different names).
  package static let believesItself = CoordinationMutants(rawValue: 1 << 1)
  /// The shards are told to commit while the log is still being asked.
  package static let finishesBeforeDecision = CoordinationMutants(rawValue: 1 << 2)
  /// The client is told that its transaction is committed once all have prepared.
  package static let answersBeforeDecision = CoordinationMutants(rawValue: 1 << 3)
  /// A coordinator that starts anew begins with the names of its earlier life.
  package static let reusesNames = CoordinationMutants(rawValue: 1 << 4)
  /// Nobody tells the log what it may forget (citus #1614).
  package static let neverResolves = CoordinationMutants(rawValue: 1 << 5)
  /// A decision is forgotten although a shard was not heard of.
  package static let resolvesUnheard = CoordinationMutants(rawValue: 1 << 6)
  /// Whoever waits for a transaction's end is told so when its decision could not be put into the shard's log.
  package static let forgetsFailedFinish = CoordinationMutants(rawValue: 1 << 7)
  /// Readers do not wait for what is prepared.
  package static let readsPastPrepared = CoordinationMutants(rawValue: 1 << 8)
  /// A hold lets transactions end nevertheless, and nobody looks whether one has.
  package static let holdsNothing = CoordinationMutants(rawValue: 1 << 9)
  /// A shard takes its part of a snapshot without carrying out what the others have carried out.
  package static let reachesNothing = CoordinationMutants(rawValue: 1 << 10)
}
