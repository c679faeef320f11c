import Metadata

/// The names that a coordinator gives to transactions over several shards, from the first use of each to the day when the log may
/// forget it. Values in, values out.
///
/// A name rises from start to start, whatever the clock says: what an earlier life left undecided can only be aborted.
package struct CommitLedger: Sendable, Equatable {
  private let node: NodeID
  private let startMicroseconds: UInt64
  private let mutants: CoordinationMutants
  private var incarnation: UInt64?
  private var lastSequence: UInt64 = 0
  /// Those that all participants have finished.
  private var finished: [GlobalTransactionID] = []
  /// Names that a shard may still ask the log about.
  private var inUse: Set<GlobalTransactionID> = []
  /// Names were given up without a decision: the log is told that nobody will ask for them.
  private var hasGaps = false

  /// - Parameters:
  ///   - node: the coordinator.
  ///   - startMicroseconds: the wall clock at the start of its process.
  ///   - mutants: mistakes to make, for the simulator to find; none in production.
  package init(node: NodeID, startMicroseconds: UInt64, mutants: CoordinationMutants = []) {
    self.node = node
    self.startMicroseconds = startMicroseconds
    self.mutants = mutants
  }

  /// How many transactions the log is yet to be told of.
  package var finishedCount: Int { finished.count }

  /// A new name.
  ///
  /// - Parameter table: the transactions as the metadata log knows them.
  package mutating func next(_ table: TransactionTable) -> GlobalTransactionID {
    let known = mutants.contains(.reusesNames) ? 0 : table.coordinators[node]?.incarnation ?? 0
    let start = mutants.contains(.reusesNames) ? 1 : max(1, startMicroseconds)
    let present = incarnation ?? max(start, known + 1)
    incarnation = present
    lastSequence += 1
    let id = GlobalTransactionID(coordinator: node, incarnation: present, sequence: lastSequence)
    inUse.insert(id)
    return id
  }

  /// All participants have carried the decision out: the log may forget it.
  package mutating func finish(_ id: GlobalTransactionID) { finished.append(id) }

  /// It ended without a decision, and nobody will ever ask for one.
  package mutating func giveUp(_ id: GlobalTransactionID) {
    inUse.remove(id)
    hasGaps = true
  }

  /// What the log is to be told next: of so many transactions at most, by name; `failed` takes it back.
  package mutating func takeResolutions(
    _ maximum: Int, _ table: TransactionTable
  ) -> (ids: [GlobalTransactionID], commands: [TransactionCommand]) {
    let ids = Array(finished.prefix(maximum))
    finished.removeFirst(ids.count)
    inUse.subtract(ids)
    guard !mutants.contains(.neverResolves) else { return ([], []) }
    var commands = ids.sorted().map { TransactionCommand.resolve($0) }
    if let first = settlement(table) { commands.append(.settle(before: first)) }
    return (ids, commands)
  }

  /// The log was not told. A manager finds out and says so.
  package mutating func failed(_ ids: [GlobalTransactionID]) {
    inUse.formUnion(ids)
    hasGaps = true
  }

  /// The first name that is still in use, where names before it were never decided.
  private mutating func settlement(_ table: TransactionTable) -> GlobalTransactionID? {
    guard hasGaps, let incarnation else { return nil }
    hasGaps = false
    // A manager has resolved what this node could not.
    inUse = inUse.filter { !table.isPast($0) }
    let next = GlobalTransactionID(coordinator: node, incarnation: incarnation, sequence: lastSequence + 1)
    return inUse.min() ?? next
  }
}
