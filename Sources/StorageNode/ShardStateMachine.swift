import EventLoop
import Logging
import Metadata
import Replica
import SQLTypes
import StorageEngine

/// What the replicas of a shard replicate: the engine's tablets, the metadata index of their schema, and the transactions that
/// committed last.
///
/// An entry that this replica made while it leads finds its transaction still open in the engine and commits it; any other
/// entry's changes are applied. The engine's checkpoint holds the rest of the state as of an index; entries after it are
/// replayed at start, which leaves tablets that have them alone.
///
/// Transactions too large for one entry come in parts, which take effect with the last: until then they are part of the
/// state (`TransactionParts`). Snapshots carry them; no checkpoint is written while there are any, so that they are replayed.
@LoopActor
final class ShardStateMachine: StateMachine {
  /// An entry's index; 0 for the last part of a transaction whose parts are not all there: it has no effect.
  typealias Output = UInt64

  /// A proposal of this replica whose transaction is open in the engine.
  private struct Held {
    var transaction: TransactionID
    var body: ShardEntry.Body
    /// Where the proposal is the last of several parts.
    var lastPart: (key: TransactionParts.Key, number: UInt32)?
  }

  /// A checkpoint is written after so many entries, at the latest.
  private static let entriesPerCheckpoint: UInt64 = 4096
  private static let checkpointMilliseconds = 5000

  let engine: any StorageEngine
  private let nodeID: UInt64
  /// Tells this life's entries from those of an earlier one.
  private let life: UInt64
  private let logger: Logger
  private(set) var appliedIndex: UInt64
  private(set) var state: ShardState
  /// The first entry since which there have always been parts of transactions whose last one has not come; nil: there are none, 0:
  /// it is not known.
  private(set) var partsSince: UInt64?
  /// Leads, and serves: all that it needs for that is there.
  private(set) var isLeader = false
  /// Leads, as consensus says.
  private var isElected = false
  /// Counts the times that this replica began to lead: what was begun in an earlier one is lost.
  private(set) var leadership: UInt64 = 0
  /// Transactions that were applied since the process started.
  private(set) var committedTransactions: UInt64 = 0
  /// Told after each change of leadership; true only once all earlier entries are applied.
  var onLeadership: (@LoopActor (Bool) -> Void)?
  /// Told after a transaction was prepared, and after its decision was carried out.
  var onPrepared: (@LoopActor (PreparedTransaction) -> Void)?
  var onFinished: (@LoopActor (PreparedTransaction) -> Void)?
  /// Told after schema changes were applied.
  var onSchema: (@LoopActor () -> Void)?
  /// Told after fences were set or lifted.
  var onFences: (@LoopActor () -> Void)?
  /// Told after entries were applied.
  var onApplied: (@LoopActor () -> Void)?
  /// From which entry on the log is needed by what moves away; see `StateMachine.heldIndex`.
  var oldestNeededIndex: (@LoopActor () -> UInt64?)?

  private var held: [UInt64: Held] = [:]
  private var sequence: UInt64 = 0
  /// Entries are not applied while the tablets' content is being fixed for a snapshot.
  let gate = SerialGate()
  /// Undoes what was open when the leadership was lost.
  private var demotion: Task<Void, Never>?
  /// Takes the locks of prepared transactions before this replica serves as leader.
  private var adoption: Task<Void, Never>?
  private var checkpointedIndex: UInt64
  private var isCheckpointing = false
  private let encoder = WorkerThread(name: "state")
  private var checkpointTimer: LoopTimer?

  /// A state machine over an engine that was just opened.
  init(engine: any StorageEngine, opened: EngineState, nodeID: UInt64, logger: Logger) throws {
    self.engine = engine
    self.nodeID = nodeID
    self.logger = logger
    life = UInt64.random(in: 1...UInt64.max)
    state = try ShardState(encoded: opened.nodeState)
    partsSince = state.parts.isEmpty ? nil : 0
    appliedIndex = opened.index
    checkpointedIndex = opened.index
    checkpointTimer = LoopTimer(
      afterMilliseconds: Self.checkpointMilliseconds, repeatMilliseconds: Self.checkpointMilliseconds
    ) { [weak self] in
      guard let self else { return }
      Task { await self.checkpoint() }
    }
  }

  /// Writes a last checkpoint; nothing may be applied any more.
  func close() async {
    checkpointTimer?.cancel()
    await adoption?.value
    await demotion?.value
    await checkpoint()
    encoder.shutdown()
  }

  // MARK: Proposals

  /// An entry for transactions that are open in the engine as one, as `transaction`. Its sequence number is for `forget`.
  func hold(
    _ transaction: TransactionID, _ body: ShardEntry.Body
  ) throws -> (payload: [UInt8], sequence: UInt64) {
    let payload = try entry(.transactions(body.members, body.changesets, body.preparation))
    held[sequence] = Held(transaction: transaction, body: body)
    return (payload, sequence)
  }

  /// An entry that carries out the decision on a prepared transaction.
  func finish(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, decisionIndex: UInt64
  ) throws -> [UInt8] {
    try entry(.finish(id, outcome, decisionIndex: decisionIndex))
  }

  /// Transactions as pieces of about 256 KiB, to be logged as parts. Made away from the loop.
  func pieces(_ body: ShardEntry.Body) async throws -> [[UInt8]] {
    try await encoder.run {
      let body = try ShardEntry.encoded(body)
      return stride(from: 0, to: body.count, by: TransactionParts.pieceBytes).map { start in
        Array(body[start..<min(start + TransactionParts.pieceBytes, body.count)])
      }
    }
  }

  /// A number for the parts of a transaction.
  func newPartsNumber() -> UInt64 {
    sequence += 1
    return sequence
  }

  /// An entry for a part but the last.
  func part(_ piece: [UInt8], number: Int, of transaction: UInt64) throws -> [UInt8] {
    try entry(.part(transaction: transaction, number: UInt32(number), piece: piece, isLast: false))
  }

  /// The entry for the last part, with which the transactions that are open in the engine as `id` commit.
  func holdLast(
    _ piece: [UInt8], number: Int, of transaction: UInt64, _ id: TransactionID, _ body: ShardEntry.Body
  ) throws -> (payload: [UInt8], sequence: UInt64) {
    let payload = try entry(.part(transaction: transaction, number: UInt32(number), piece: piece, isLast: true))
    let key = TransactionParts.Key(nodeID: nodeID, life: life, transaction: transaction)
    held[sequence] = Held(transaction: id, body: body, lastPart: (key, UInt32(number)))
    return (payload, sequence)
  }

  /// An entry that frees the parts of a transaction that was given up.
  func abandon(_ transaction: UInt64) throws -> [UInt8] { try entry(.abandoned(transaction: transaction)) }

  private func entry(_ kind: ShardEntry.Kind) throws -> [UInt8] {
    sequence += 1
    return try ShardEntry(
      origin: ShardEntry.Origin(nodeID: nodeID, life: life, sequence: sequence), kind: kind
    ).encoded()
  }

  /// The proposal is known not to be in the log.
  func forget(_ sequence: UInt64) { held[sequence] = nil }

  /// An entry about a tablet that moves away.
  func fenceEntry(_ tablet: TabletID, _ fence: FenceEntry) throws -> [UInt8] { try entry(.fence(tablet, fence)) }

  /// An entry about a tablet that comes from another shard.
  func arrivalEntry(_ tablet: TabletID, _ arrival: ArrivalEntry) throws -> [UInt8] {
    try entry(.arrival(tablet, arrival))
  }

  /// An entry that changes the schema.
  func schemaEntry(metadataIndex: UInt64, _ changes: [TabletChange]) throws -> [UInt8] {
    try entry(.schema(metadataIndex: metadataIndex, changes))
  }

  // MARK: StateMachine

  var heldIndex: UInt64? { oldestNeededIndex?() }

  func apply(_ entries: [CommittedEntry]) async throws -> [UInt64] {
    await demotion?.value
    await gate.enter()
    defer { gate.leave() }
    var batch: [EngineEntry] = []
    var outputs: [UInt64] = []
    batch.reserveCapacity(entries.count)
    outputs.reserveCapacity(entries.count)
    var hasSchema = false
    var prepared: [PreparedTransaction] = []
    var finished: [PreparedTransaction] = []
    let fences = state.fences
    for entry in entries {
      state.parts.enter(term: entry.term)
      switch try await effect(of: entry) {
      case .engine(let change):
        if case .schema = change { hasSchema = true }
        batch.append(change)
        outputs.append(entry.index)
      case .kept: outputs.append(entry.index)
      case .prepared(let transaction):
        prepared.append(transaction)
        outputs.append(entry.index)
      case .finished(let transaction, let change):
        finished.append(transaction)
        if let change { batch.append(change) }
        outputs.append(entry.index)
      case .void: outputs.append(0)
      }
      partsSince = state.parts.isEmpty ? nil : partsSince ?? entry.index
    }
    do {
      try await engine.apply(batch)
    } catch {
      logger.critical("the shard's log cannot be applied: \(error)")
      throw error
    }
    appliedIndex = max(appliedIndex, entries.last?.index ?? 0)
    if appliedIndex - checkpointedIndex >= Self.entriesPerCheckpoint { Task { await self.checkpoint() } }
    if hasSchema { onSchema?() }
    for transaction in prepared { onPrepared?(transaction) }
    for transaction in finished { onFinished?(transaction) }
    if state.fences != fences { onFences?() }
    onApplied?()
    return outputs
  }

  /// What an entry comes to.
  private enum Effect {
    case engine(EngineEntry)
    /// It changes the state only.
    case kept
    case prepared(PreparedTransaction)
    /// A prepared transaction has its decision; it takes effect where it commits.
    case finished(PreparedTransaction, EngineEntry?)
    /// The last part of a transaction of which others are missing.
    case void
  }

  private func effect(of entry: CommittedEntry) async throws -> Effect {
    let origin = try ShardEntry.origin(of: entry.payload)
    if origin.nodeID == nodeID, origin.life == life, let held = held.removeValue(forKey: origin.sequence) {
      if let last = held.lastPart, state.parts.complete([], number: last.number, of: last.key) == nil { return .void }
      if let preparation = held.body.preparation {
        return prepare(held.transaction, preparation, held.body.changesets, entry.index)
      }
      remember(held.body.members, entry.index)
      return .engine(.commit(held.transaction, held.body.changesets, index: entry.index))
    }
    switch try ShardEntry(encoded: entry.payload).kind {
    case .transactions(let members, let changesets, let preparation):
      return try effect(of: ShardEntry.Body(members: members, changesets: changesets, preparation: preparation), entry)
    case .finish(let id, let outcome, let decision): return await finish(id, outcome, decision, entry.index)
    case .schema(let metadataIndex, let changes):
      state.metadataIndex = max(state.metadataIndex, metadataIndex)
      for case .drop(let tablet) in changes { state.dropped(tablet) }
      return .engine(.schema(changes, index: entry.index))
    case .fence(let tablet, let fence):
      return state.apply(fence, to: tablet, at: entry.index) ? .kept : .void
    case .arrival(let tablet, let arrival):
      switch state.apply(arrival, of: tablet) {
      case ArrivalEffect.none?: return .kept
      case .rows(let bytes)?:
        return .engine(.changes([TabletChangeset(tabletID: tablet, bytes: bytes)], index: entry.index))
      case .schema(let change)?: return .engine(.schema([change], index: entry.index))
      case nil: return .void
      }
    case .part(let transaction, let number, let piece, let isLast):
      let key = TransactionParts.Key(nodeID: origin.nodeID, life: origin.life, transaction: transaction)
      guard isLast else {
        state.parts.add(piece, number: number, to: key, term: entry.term)
        return .kept
      }
      guard let pieces = state.parts.complete(piece, number: number, of: key) else { return .void }
      return try effect(of: await encoder.run { try ShardEntry.body(pieces) }, entry)
    case .abandoned(let transaction):
      state.parts.abandon(
        TransactionParts.Key(nodeID: origin.nodeID, life: origin.life, transaction: transaction))
      return .kept
    }
  }

  /// Of transactions that another replica executed, or that are replayed.
  private func effect(of body: ShardEntry.Body, _ entry: CommittedEntry) throws -> Effect {
    guard let preparation = body.preparation else {
      remember(body.members, entry.index)
      return .engine(.changes(body.changesets, index: entry.index))
    }
    guard let member = body.members.first else { throw DamagedEntry(reason: "it prepares no transaction") }
    return prepare(member.id, preparation, body.changesets, entry.index)
  }

  private func prepare(
    _ id: TransactionID, _ preparation: ShardEntry.Preparation, _ changesets: [TabletChangeset], _ index: UInt64
  ) -> Effect {
    let transaction = PreparedTransaction(
      transaction: id, preparation: preparation, changesets: changesets, index: index)
    state.prepared[preparation.id] = transaction
    return .prepared(transaction)
  }

  private func finish(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ decisionIndex: UInt64, _ index: UInt64
  ) async -> Effect {
    guard let prepared = state.prepared.removeValue(forKey: id) else { return .kept }
    guard outcome == .commit else {
      await engine.rollback(prepared.transaction)
      return .finished(prepared, nil)
    }
    committedTransactions &+= 1
    state.decisionIndex = max(state.decisionIndex, decisionIndex)
    return .finished(prepared, .commit(prepared.transaction, prepared.changesets, index: index))
  }

  func writeSnapshot(to path: String) async throws -> UInt64 {
    await gate.enter()
    var isInside = true
    let leave: @LoopActor () -> Void = { [gate] in
      guard isInside else { return }
      isInside = false
      gate.leave()
    }
    defer { leave() }
    let index = appliedIndex
    let nodeState = try await encoded(state)
    try await engine.writeSnapshot(to: path, index: index, nodeState: nodeState, onFixed: leave)
    // A start that finds the tablets behind the snapshot would go back to it.
    await checkpoint()
    return index
  }

  func restoreSnapshot(from path: String, index: UInt64) async throws {
    await gate.enter()
    defer { gate.leave() }
    let restored = try await engine.restoreSnapshot(from: path)
    guard restored.index == index else {
      throw DamagedEntry(reason: "the snapshot contains index \(restored.index), not \(index)")
    }
    state = try ShardState(encoded: restored.nodeState)
    partsSince = state.parts.isEmpty ? nil : 0
    appliedIndex = index
    checkpointedIndex = index
    onSchema?()
    onFences?()
  }

  func leadershipChanged(isLeader: Bool, term: UInt64) {
    guard isLeader != isElected else { return }
    isElected = isLeader
    guard isLeader else { return stepDown() }
    leadership += 1
    engine.setFences(Set(state.fences.keys))
    guard demotion != nil || !state.prepared.isEmpty else { return lead() }
    let (number, earlier) = (leadership, demotion)
    adoption = Task {
      await earlier?.value
      await self.adoptPrepared(number)
    }
  }

  /// What was prepared under another leader keeps its locks under this one, before anybody can take them.
  private func adoptPrepared(_ number: UInt64) async {
    for prepared in state.prepared.values.sorted(by: { $0.index < $1.index }) {
      guard isElected, leadership == number else { return }
      await engine.adopt(prepared.transaction, prepared.changesets)
    }
    if isElected, leadership == number { lead() }
  }

  private func lead() {
    demotion = nil
    isLeader = true
    onLeadership?(true)
  }

  private func stepDown() {
    // Their entries may yet be committed by the next leader: then they are applied like any other's.
    held = [:]
    let (earlier, adopting) = (demotion, adoption)
    demotion = Task {
      await earlier?.value
      await adopting?.value
      await engine.rollbackAll()
      if !isElected { engine.setFences([]) }
    }
    guard isLeader else { return }
    isLeader = false
    onLeadership?(false)
  }

  private func remember(_ members: [ShardEntry.Member], _ index: UInt64) {
    committedTransactions &+= UInt64(members.count)
    for member in members where !member.id.bytes.isEmpty {
      state.recent.append(
        RecentTransactions.Transaction(id: member.id, index: index, affected: member.affected))
    }
  }

  /// The state as bytes, made away from the loop: thousands of transactions take milliseconds.
  private func encoded(_ state: ShardState) async throws -> [UInt8] {
    try await encoder.run { try state.encoded() }
  }

  private func checkpoint() async {
    guard !isCheckpointing, appliedIndex > checkpointedIndex else { return }
    isCheckpointing = true
    defer { isCheckpointing = false }
    await gate.enter()
    let index = appliedIndex
    let state = state
    gate.leave()
    guard state.parts.isEmpty else { return }
    do {
      try await engine.checkpoint(at: index, nodeState: encoded(state))
      checkpointedIndex = max(checkpointedIndex, index)
    } catch {
      // It only shortens the next start.
      logger.warning("no checkpoint at \(index): \(error)")
    }
  }
}
