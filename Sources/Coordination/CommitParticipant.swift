import Metadata

/// What the leader of a shard does about the transactions that are prepared there: carries out what the log has decided, asks the
/// log to abort what has waited for its decision for too long, lets readers wait for what is prepared, and holds back the end of
/// transactions while a snapshot over several shards is taken. Values in, values out; times in milliseconds.
///
/// The coordinator may be about to commit when a shard loses patience: the first decision in the log stands, and both hear it.
package struct CommitParticipant: Sendable, Equatable {
  /// Whoever waits for something; chosen by the caller, each used once.
  package typealias Waiter = UInt64
  /// A snapshot that is being taken; chosen by the compute node.
  package typealias HoldName = [UInt8]

  package enum Input: Sendable, Equatable {
    /// The transaction is prepared here, and has changed the tablets; or it was when this replica began to lead.
    case prepared(GlobalTransactionID, participants: [ShardID], tablets: Set<TabletID>)
    /// What the metadata say of transactions, as far as they have been consumed here.
    case metadata(TransactionTable)
    /// The decision that stands, by who has asked the log.
    case decided(GlobalTransactionID, TransactionOutcome, index: UInt64)
    /// The log has forgotten the transaction, hence every participant had finished: this one prepared only after an abort.
    case past(GlobalTransactionID)
    /// The log was asked to abort, and has not answered.
    case unanswered(GlobalTransactionID)
    /// The decision could not be put into the shard's log.
    case notFinished(GlobalTransactionID)
    /// The shard's log has carried it out; the last decision that the shard has carried out by now.
    case finished(GlobalTransactionID, decisionIndex: UInt64)
    /// Somebody waits for the end of a transaction.
    case wait(GlobalTransactionID, Waiter)
    /// Somebody is about to read the tablets: waits for the transactions that are prepared there at this moment, as their commit
    /// may have been told to a client already.
    case settle([TabletID], Waiter)
    /// A snapshot over several shards begins: lets what is prepared now end, then holds back the end of all others.
    case hold(HoldName, Waiter)
    /// The snapshot is that of a decision: carries out all up to there.
    case reach(UInt64, HoldName, Waiter)
    /// The snapshot is taken.
    case release(HoldName)
    /// Time has passed.
    case tick
  }

  package enum Effect: Sendable, Equatable {
    /// Put the decision into the shard's log. Index 0: the decision is past.
    case finish(GlobalTransactionID, TransactionOutcome, index: UInt64)
    /// Ask the metadata log to decide.
    case askToAbort(GlobalTransactionID, participants: [ShardID])
    /// What was waited for has come.
    case ready(Waiter)
    /// The end of transactions is held back; the last decision that was carried out.
    case held(Waiter, decisionIndex: UInt64)
    /// Whether the shard is where the snapshot is to be taken; false where the hold is over, or a later decision has been
    /// carried out.
    case reached(Waiter, Bool)
  }

  private struct Entry: Equatable {
    var participants: [ShardID]
    var tablets: Set<TabletID>
    /// When it was prepared, or when the log was asked last.
    var since: UInt64
    var isAsking = false
    var decision: Decision?
    /// The decision is on its way into the shard's log.
    var isFinishing = false
  }
  private struct Decision: Equatable {
    var outcome: TransactionOutcome
    var index: UInt64
    /// The log has forgotten the transaction.
    static let past = Decision(outcome: .abort, index: 0)
  }

  /// Somebody who waits until transactions have ended, and what comes then.
  private struct Wait: Equatable {
    enum Next: Equatable {
      case ready
      case hold(HoldName)
      case held
      case reached(UInt64, HoldName)
    }
    var left: Set<GlobalTransactionID>
    var next: Next
  }

  /// How long the end of transactions is held back at most.
  package static let holdMilliseconds: UInt64 = 500

  /// The last decision that the shard has carried out.
  package private(set) var decisionIndex: UInt64
  private let patience: UInt64
  private let mutants: CoordinationMutants
  private var entries: [GlobalTransactionID: Entry] = [:]
  private var byTablet: [TabletID: Set<GlobalTransactionID>] = [:]
  private var waits: [Waiter: Wait] = [:]
  private var waiters: [GlobalTransactionID: [Waiter]] = [:]
  /// Snapshots that are being taken, and when their holds end.
  private var holds: [HoldName: UInt64] = [:]
  /// While there are holds: later decisions than this are not carried out.
  private var heldFrom: UInt64 = 0

  /// - Parameters:
  ///   - patienceMilliseconds: how long a coordinator may take from the first prepared shard to its decision.
  ///   - decisionIndex: the last decision that the shard has carried out.
  ///   - mutants: mistakes to make, for the simulator to find; none in production.
  package init(patienceMilliseconds: UInt64, decisionIndex: UInt64, mutants: CoordinationMutants = []) {
    patience = patienceMilliseconds
    self.decisionIndex = decisionIndex
    self.mutants = mutants
  }

  /// Those that are prepared and have no known decision.
  package var undecided: [GlobalTransactionID] {
    entries.compactMap { $0.value.decision == nil ? $0.key : nil }.sorted()
  }

  /// Whether there is nothing for time to change.
  package var isIdle: Bool { entries.isEmpty && holds.isEmpty }

  /// Whether somebody who reads the tablets has to wait.
  package func isUnsettled(_ tablets: some Sequence<TabletID>) -> Bool {
    !byTablet.isEmpty && tablets.contains { byTablet[$0] != nil }
  }

  package mutating func step(_ input: Input, now: UInt64) -> [Effect] {
    switch input {
    case .prepared(let id, let participants, let tablets): prepared(id, participants, tablets, now)
    case .metadata(let table): return undecided.flatMap { decide($0, table) }
    case .decided(let id, let outcome, let index): return decide(id, Decision(outcome: outcome, index: index))
    case .past(let id): return decide(id, .past)
    case .unanswered(let id):
      entries[id]?.isAsking = false
      entries[id]?.since = now
    case .notFinished(let id):
      entries[id]?.isFinishing = false
      return mutants.contains(.forgetsFailedFinish) ? ended(id, now) : []
    case .finished(let id, let index): return finished(id, index, now)
    case .wait(let id, let waiter): return wait(waiter, for: entries[id] == nil ? [] : [id], then: .ready, now)
    case .settle(let tablets, let waiter):
      let unsettled = tablets.reduce(into: Set<GlobalTransactionID>()) { $0.formUnion(byTablet[$1] ?? []) }
      return wait(waiter, for: mutants.contains(.readsPastPrepared) ? [] : unsettled, then: .ready, now)
    case .hold(let name, let waiter): return wait(waiter, for: Set(entries.keys), then: .hold(name), now)
    case .reach(let index, let name, let waiter): return reach(index, name, waiter, now)
    case .release(let name):
      holds[name] = nil
      return carryOut()
    case .tick: return tick(now)
    }
    return []
  }

  private mutating func prepared(
    _ id: GlobalTransactionID, _ participants: [ShardID], _ tablets: Set<TabletID>, _ now: UInt64
  ) {
    guard entries[id] == nil else { return }
    entries[id] = Entry(participants: participants, tablets: tablets, since: now)
    for tablet in tablets { byTablet[tablet, default: []].insert(id) }
  }

  // MARK: Decisions

  private mutating func decide(_ id: GlobalTransactionID, _ table: TransactionTable) -> [Effect] {
    if let known = table.open[id] { return decide(id, Decision(outcome: known.outcome, index: known.index)) }
    return table.isPast(id) ? decide(id, .past) : []
  }

  private mutating func decide(_ id: GlobalTransactionID, _ decision: Decision) -> [Effect] {
    guard entries[id] != nil, entries[id]?.decision == nil else { return [] }
    entries[id]?.decision = decision
    entries[id]?.isAsking = false
    return carryOut(id)
  }

  /// Carries out a decision, unless that is held back or under way.
  private mutating func carryOut(_ id: GlobalTransactionID) -> [Effect] {
    guard let entry = entries[id], let decision = entry.decision, !entry.isFinishing else { return [] }
    let isHeld = !holds.isEmpty && decision.index > heldFrom && decision.outcome == .commit
    guard !isHeld || mutants.contains(.holdsNothing) else { return [] }
    entries[id]?.isFinishing = true
    return [.finish(id, decision.outcome, index: decision.index)]
  }

  private mutating func carryOut() -> [Effect] {
    guard !entries.isEmpty else { return [] }
    return entries.keys.sorted().flatMap { carryOut($0) }
  }

  private mutating func finished(_ id: GlobalTransactionID, _ index: UInt64, _ now: UInt64) -> [Effect] {
    decisionIndex = max(decisionIndex, index)
    guard let entry = entries.removeValue(forKey: id) else { return [] }
    for tablet in entry.tablets {
      byTablet[tablet]?.remove(id)
      if byTablet[tablet]?.isEmpty == true { byTablet[tablet] = nil }
    }
    return ended(id, now)
  }

  private mutating func tick(_ now: UInt64) -> [Effect] {
    holds = holds.filter { $0.value > now }
    var effects = carryOut()
    for id in entries.keys.sorted() {
      guard let entry = entries[id], entry.decision == nil, !entry.isAsking, now >= entry.since + patience else {
        continue
      }
      if mutants.contains(.abortsAlone) {
        effects += decide(id, Decision(outcome: .abort, index: 0))
      } else {
        entries[id]?.isAsking = true
        effects.append(.askToAbort(id, participants: entry.participants))
      }
    }
    return effects
  }

  // MARK: Those who wait

  private mutating func wait(
    _ waiter: Waiter, for transactions: Set<GlobalTransactionID>, then next: Wait.Next, _ now: UInt64
  ) -> [Effect] {
    waits[waiter] = Wait(left: transactions, next: next)
    for id in transactions { waiters[id, default: []].append(waiter) }
    return transactions.isEmpty ? proceed(waiter, now) : []
  }

  private mutating func ended(_ id: GlobalTransactionID, _ now: UInt64) -> [Effect] {
    var effects: [Effect] = []
    for waiter in waiters.removeValue(forKey: id) ?? [] {
      waits[waiter]?.left.remove(id)
      if waits[waiter]?.left.isEmpty == true { effects += proceed(waiter, now) }
    }
    return effects
  }

  /// What comes after a wait.
  private mutating func proceed(_ waiter: Waiter, _ now: UInt64) -> [Effect] {
    guard let wait = waits.removeValue(forKey: waiter) else { return [] }
    switch wait.next {
    case .ready: return [.ready(waiter)]
    case .hold(let name):
      if holds.isEmpty { heldFrom = decisionIndex }
      holds[name] = now + Self.holdMilliseconds
      // What is on its way already cannot be called back.
      return self.wait(waiter, for: finishing, then: .held, now)
    case .held: return [.held(waiter, decisionIndex: decisionIndex)]
    case .reached(let index, let name):
      let isReached = holds[name, default: 0] > now && decisionIndex <= index
      return [.reached(waiter, isReached || mutants.contains(.holdsNothing))]
    }
  }

  private mutating func reach(_ index: UInt64, _ name: HoldName, _ waiter: Waiter, _ now: UInt64) -> [Effect] {
    guard holds[name, default: 0] > now else { return [.reached(waiter, false)] }
    guard !mutants.contains(.reachesNothing) else { return [.reached(waiter, true)] }
    heldFrom = max(heldFrom, index)
    let effects = carryOut()
    return effects + wait(waiter, for: finishing, then: .reached(index, name), now)
  }

  private var finishing: Set<GlobalTransactionID> {
    entries.reduce(into: []) { if $1.value.isFinishing { $0.insert($1.key) } }
  }
}
