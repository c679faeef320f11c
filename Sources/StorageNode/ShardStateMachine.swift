import EventLoop
import Logging
import Replica
import SQLTypes
import StorageEngine

/// What the replicas of a shard replicate: the engine's tablets, the metadata index of their schema, and the transactions that
/// committed last.
///
/// An entry that this replica made while it leads finds its transaction still open in the engine and commits it; any other
/// entry's changes are applied. The engine's checkpoint holds the rest of the state as of an index; entries after it are
/// replayed at start, which leaves tablets that have them alone.
@LoopActor
final class ShardStateMachine: StateMachine {
  /// An entry's index.
  typealias Output = UInt64

  /// A proposal of this replica whose transaction is open in the engine.
  private struct Held {
    var transaction: TransactionID
    var members: [ShardEntry.Member]
    var changesets: [TabletChangeset]
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
  private(set) var isLeader = false
  /// Told after each change of leadership; true only once all earlier entries are applied.
  var onLeadership: (@LoopActor (Bool) -> Void)?
  /// Told after schema changes were applied.
  var onSchema: (@LoopActor () -> Void)?

  private var held: [UInt64: Held] = [:]
  private var sequence: UInt64 = 0
  /// Entries are not applied while the tablets' content is being fixed for a snapshot.
  private let gate = SerialGate()
  /// Undoes what was open when the leadership was lost.
  private var demotion: Task<Void, Never>?
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
    await demotion?.value
    await checkpoint()
    encoder.shutdown()
  }

  // MARK: Proposals

  /// An entry for transactions that are open in the engine as one, as `transaction`. Its sequence number is for `forget`.
  func hold(
    _ transaction: TransactionID, members: [ShardEntry.Member], changesets: [TabletChangeset]
  ) throws -> (payload: [UInt8], sequence: UInt64) {
    sequence += 1
    let entry = ShardEntry(
      origin: ShardEntry.Origin(nodeID: nodeID, life: life, sequence: sequence),
      kind: .transactions(members, changesets))
    let payload = try entry.encoded()
    held[sequence] = Held(transaction: transaction, members: members, changesets: changesets)
    return (payload, sequence)
  }

  /// The proposal is known not to be in the log.
  func forget(_ sequence: UInt64) { held[sequence] = nil }

  /// An entry that changes the schema.
  func schemaEntry(metadataIndex: UInt64, _ changes: [TabletChange]) throws -> [UInt8] {
    sequence += 1
    return try ShardEntry(
      origin: ShardEntry.Origin(nodeID: nodeID, life: life, sequence: sequence),
      kind: .schema(metadataIndex: metadataIndex, changes)
    ).encoded()
  }

  // MARK: StateMachine

  func apply(_ entries: [CommittedEntry]) async throws -> [UInt64] {
    await demotion?.value
    await gate.enter()
    defer { gate.leave() }
    var batch: [EngineEntry] = []
    var hasSchema = false
    batch.reserveCapacity(entries.count)
    for entry in entries {
      let origin = try ShardEntry.origin(of: entry.payload)
      if origin.nodeID == nodeID, origin.life == life, let held = held.removeValue(forKey: origin.sequence) {
        batch.append(.commit(held.transaction, held.changesets, index: entry.index))
        remember(held.members, entry.index)
        continue
      }
      switch try ShardEntry(encoded: entry.payload).kind {
      case .transactions(let members, let changesets):
        batch.append(.changes(changesets, index: entry.index))
        remember(members, entry.index)
      case .schema(let metadataIndex, let changes):
        hasSchema = true
        batch.append(.schema(changes, index: entry.index))
        state.metadataIndex = max(state.metadataIndex, metadataIndex)
      }
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
    return entries.map(\.index)
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
    appliedIndex = index
    checkpointedIndex = index
    onSchema?()
  }

  func leadershipChanged(isLeader: Bool, term: UInt64) {
    guard isLeader != self.isLeader else { return }
    self.isLeader = isLeader
    if !isLeader {
      // Their entries may yet be committed by the next leader: then they are applied like any other's.
      held = [:]
      let earlier = demotion
      demotion = Task {
        await earlier?.value
        await engine.rollbackAll()
      }
    }
    onLeadership?(isLeader)
  }

  private func remember(_ members: [ShardEntry.Member], _ index: UInt64) {
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
    do {
      try await engine.checkpoint(at: index, nodeState: encoded(state))
      checkpointedIndex = max(checkpointedIndex, index)
    } catch {
      // It only shortens the next start.
      logger.warning("no checkpoint at \(index): \(error)")
    }
  }
}
