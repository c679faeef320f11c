import EventLoop
import FoundationEssentials
import Logging
import Metadata
import ProtocolStorage
import RPC
import Replica
import SQLTypes
import StorageEngine

/// What a node does for tablets that leave its shard: fixes their rows, gives them out, and reads the log for what has changed
/// since.
@LoopActor
final class MoveSource {
  /// The rows of a tablet as of an index of the shard's log.
  private final class Snapshot {
    let attempt: UInt32
    let index: UInt64
    /// After which entry the log is needed: transactions that are under way at the snapshot began after it.
    let logFrom: UInt64
    let rows: any TabletRows
    let tablet: TabletChange
    var result: MoveStepResult?
    /// Who reads it: of two, the later one.
    var readers = 0
    init(attempt: UInt32, index: UInt64, logFrom: UInt64, rows: any TabletRows, tablet: TabletChange) {
      self.attempt = attempt
      self.index = index
      self.logFrom = logFrom
      self.rows = rows
      self.tablet = tablet
    }
  }

  /// Where reading the log has come to: whole entries.
  private struct Tail {
    var start: UInt64
    var filter: TabletLogFilter
  }

  private let configuration: StorageNodeConfiguration
  private let feed: any MetadataFeed
  private let machine: ShardStateMachine
  private let replica: Replica<ShardStateMachine>
  private var snapshots: [MigrationID: Snapshot] = [:]
  private var tails: [MigrationID: Tail] = [:]
  private let applied = WakeUp()

  init(
    configuration: StorageNodeConfiguration, feed: any MetadataFeed, machine: ShardStateMachine,
    replica: Replica<ShardStateMachine>
  ) {
    self.configuration = configuration
    self.feed = feed
    self.machine = machine
    self.replica = replica
    machine.onApplied = { [applied] in applied.wake() }
    machine.oldestNeededIndex = { [weak self] in self?.oldestNeededIndex }
  }

  /// Of the log, for tablets that leave: what has changed since their snapshots.
  private var oldestNeededIndex: UInt64? {
    let recorded = feed.image.migrations.open.values.lazy.filter { [configuration] in
      $0.origin == configuration.shardID
    }.compactMap { $0.isFollowedBack ? $0.wayBack?.neededFrom : $0.phase.needsSource ? $0.snapshot?.shardIndex : nil }
      .min()
    return [recorded, snapshots.values.map(\.logFrom).min()].compactMap(\.self).min().map { $0 + 1 }
  }

  /// Snapshots that nobody needs any more are let go.
  func tidy() {
    for (id, snapshot) in snapshots {
      let migration = feed.image.migrations.open[id]
      let isWanted =
        switch migration?.phase {
        case .planned?: migration?.attempt == snapshot.attempt
        case .snapshotTaken?, .transferred?: migration?.snapshot?.checksum == snapshot.result?.checksum
        default: false
        }
      // The metadata may not know of an attempt yet that a manager has begun.
      guard !isWanted, migration.map({ $0.attempt >= snapshot.attempt }) ?? true else { continue }
      snapshot.rows.close()
      snapshots[id] = nil
    }
    for id in tails.keys {
      guard let migration = feed.image.migrations.open[id], migration.phase.needsSource || migration.isFollowedBack
      else {
        tails[id] = nil
        continue
      }
    }
  }

  func stop() {
    for snapshot in snapshots.values { snapshot.rows.close() }
    snapshots = [:]
    applied.wake()
  }

  /// Whether rows are held for a migration.
  var snapshotCount: Int { snapshots.count }

  // MARK: The snapshot

  /// Fixes the rows, and reads them once for their checksum.
  func snapshot(_ migration: Migration, _ progress: MoveProgress) async throws -> MoveStepResult {
    let id = migration.plan.id
    if let known = snapshots[id] {
      if known.attempt == migration.attempt, let result = known.result { return result }
      known.rows.close()
      snapshots[id] = nil
    }
    do throws(ReplicaError) {
      // A replica that lags may be where the tablet was still arriving, or was here the time before.
      try await replica.readIndex()
    } catch {
      throw MoveFailure("the node does not know what its shard's log holds: \(error)")
    }
    let (index, logFrom, rows, tablet) = try await fix(migration.plan.tabletID)
    let snapshot = Snapshot(attempt: migration.attempt, index: index, logFrom: logFrom, rows: rows, tablet: tablet)
    snapshots[id] = snapshot
    do {
      var result = try await digest(rows, progress, migration.plan.options)
      result.shardIndex = index
      result.nodeID = configuration.nodeID
      snapshot.result = result
      return result
    } catch {
      if snapshots[id] === snapshot { snapshots[id] = nil }
      rows.close()
      throw error
    }
  }

  /// The checksum of the rows as they are now, and the index of the log that they are of.
  func checksum(_ migration: Migration, _ progress: MoveProgress) async throws -> MoveStepResult {
    let (index, _, rows, _) = try await fix(migration.plan.tabletID)
    defer { rows.close() }
    var result = try await digest(rows, progress, migration.plan.options)
    result.shardIndex = index
    return result
  }

  /// The rows of one moment, at which no entry is being applied.
  private func fix(
    _ tablet: TabletID
  ) async throws -> (index: UInt64, logFrom: UInt64, rows: any TabletRows, tablet: TabletChange) {
    let deadline = Loop.now + UInt64(MoveLimits.quietMilliseconds) * 1_000_000
    var reason = ""
    while Loop.now < deadline {
      await machine.gate.enter()
      do {
        defer { machine.gate.leave() }
        let definition = try definition(of: tablet)
        // What was found in the state at the start may have begun anywhere.
        let isKnown = machine.partsSince != 0
        if let definition, isKnown {
          let prepared = machine.state.prepared.values.lazy.filter {
            $0.changesets.contains { $0.tabletID == tablet }
          }.map(\.index).min()
          let underWay = [prepared, machine.partsSince].compactMap(\.self).min()
          let index = machine.appliedIndex
          let logFrom = min(index, underWay.map { $0 - 1 } ?? index)
          return (index, logFrom, try await machine.engine.readRows(of: tablet), definition)
        }
        reason =
          isKnown ? "its definition is changing" : "transactions that began before this node's start are under way"
      }
      try await loopSleep(milliseconds: 1)
    }
    throw MoveFailure("no snapshot of tablet \(tablet) could be taken: \(reason)")
  }

  /// How the tablet is made, as its rows are; nil: its definition is about to change.
  private func definition(of tablet: TabletID) throws -> TabletChange? {
    let image = feed.image
    guard let summary = machine.engine.tablets[tablet], let route = image.tablets[tablet],
      let table = image.tables[route.tableID]
    else { return nil }
    guard summary.refusals.isEmpty else {
      throw MoveFailure(.final, "the storage engine refused the definition of table \"\(table.name)\": drop it")
    }
    let indexes = image.indexes(of: table.id).sorted { $0.id < $1.id }
    let secondary = Set(indexes.filter { $0.constraint != .primaryKey }.map(\.id))
    guard secondary == summary.indexes, summary.generation == route.generation else { return nil }
    return .create(tablet, table, indexes: indexes, generation: route.generation)
  }

  /// Sends the snapshot's rows.
  func sendRows(
    _ id: MigrationID, checksum: [UInt8], _ writer: RPCWriter<Kunlog_Storage_V1_ReadRowsResponse>
  ) async throws {
    guard let snapshot = snapshots[id], snapshot.result?.checksum == checksum else {
      throw RPCError(.notFound, "this node has no such snapshot for migration \(id)")
    }
    snapshot.readers += 1
    let reader = snapshot.readers
    await snapshot.rows.rewind()
    try await writer.send(
      .with {
        $0.tablet = TabletChangeCoding.message(snapshot.tablet).create
        $0.logFrom = snapshot.logFrom
      })
    while let bytes = try await snapshot.rows.next(limitBytes: MoveLimits.pieceBytes) {
      guard snapshot.readers == reader else { throw RPCError(.aborted, "the snapshot is read once more") }
      try await writer.send(
        .with {
          $0.changes = Data(bytes)
          $0.rows = snapshot.rows.count
        })
    }
  }

  // MARK: The log

  /// Sends what has changed.
  func sendChanges(
    _ request: Kunlog_Storage_V1_ReadChangesRequest, _ writer: RPCWriter<Kunlog_Storage_V1_ReadChangesResponse>,
    _ context: RPCContext
  ) async throws {
    let id = MigrationID(rawValue: request.migrationID)
    guard let migration = feed.image.migrations.open[id], migration.snapshot != nil else {
      throw RPCError(.notFound, "migration \(id) has no snapshot")
    }
    guard migration.origin == configuration.shardID else {
      throw RPCError(.aborted, "shard \(configuration.shardID) does not have the tablet of \(migration.text)")
    }
    let start = request.logFrom
    let through = request.through == 0 ? machine.appliedIndex : request.through
    let after = MovePosition(request.after)
    var tail = Tail(start: start, filter: TabletLogFilter(migration.plan.tabletID, after: start))
    if let known = tails[id], known.start <= start, MovePosition(whole: known.filter.index) <= after { tail = known }
    var sender = TailSender(after: after, engine: machine.engine)
    while tail.filter.index < through {
      let entries = try await entries(after: tail.filter.index, through: through, context)
      for entry in entries {
        for item in try tail.filter.read(entry) {
          for change in try sender.add(item, of: entry.index) { try await send(change, writer) }
        }
        sender.passed(entry.index)
        if entry.index == through { break }
      }
      if entries.isEmpty, tail.filter.index < through { break }
    }
    sender.passed(max(through, tail.filter.index))
    if !request.lazy || sender.isWorthSending {
      for var change in sender.flush() {
        change.logFrom = tail.filter.safeStart
        try await send(change, writer)
      }
    }
    if machine.isLeader { tails[id] = tail }
  }

  private func send(
    _ change: ArrivedChanges, _ writer: RPCWriter<Kunlog_Storage_V1_ReadChangesResponse>
  ) async throws {
    try await writer.send(
      .with {
        $0.changes = change.message
        $0.appliedIndex = machine.appliedIndex
      })
  }

  /// The next entries; waits for them. Empty where there is none up to `through`, although all is applied.
  private func entries(
    after index: UInt64, through: UInt64, _ context: RPCContext
  ) async throws -> [CommittedEntry] {
    let deadline = Loop.now + 3_000_000_000
    while true {
      let isComplete = machine.appliedIndex >= through
      let entries = try await replica.entries(from: index + 1, limitBytes: 1 << 20).prefix { $0.index <= through }
      if !entries.isEmpty { return Array(entries) }
      if isComplete, replica.appliedIndex >= through { return [] }
      guard !context.isCancelled, Loop.now < deadline else {
        throw RPCError(.unavailable, "entry \(through) of the shard's log has not come in time")
      }
      await applied.wait(milliseconds: 20)
    }
  }
}

/// Puts what was read of the log into messages: small changes together, large ones in pieces.
@LoopActor
struct TailSender {
  private let engine: any StorageEngine
  /// What has been sent, or was there before.
  private var sent: MovePosition
  /// What is sent or gathered.
  private var upTo: MovePosition
  private var gathered: [[UInt8]] = []
  private var gatheredBytes = 0
  /// The entry that was met last, and the pieces of it that were.
  private var met: (index: UInt64, pieces: UInt64) = (0, 0)

  init(after: MovePosition, engine: any StorageEngine) {
    self.engine = engine
    sent = after
    upTo = after
  }

  /// The messages that are full with it. Of one entry's items each is one piece or several.
  mutating func add(_ item: TabletLogFilter.Item, of index: UInt64) throws -> [ArrivedChanges] {
    var full: [ArrivedChanges] = []
    switch item {
    case .schema(let change):
      guard let position = next(index) else { return [] }
      full += flush()
      full.append(ArrivedChanges(after: sent, upTo: position, kind: .schema(change)))
      sent = position
      upTo = position
    case .rows(let changes):
      for piece in try engine.split(changes, pieceBytes: MoveLimits.pieceBytes) {
        guard let position = next(index) else { continue }
        gathered.append(piece)
        gatheredBytes += piece.count
        upTo = position
        if gatheredBytes >= MoveLimits.pieceBytes { full += flush() }
      }
    }
    return full
  }

  /// Where the next piece of an entry ends; nil: it was there before.
  private mutating func next(_ index: UInt64) -> MovePosition? {
    met = (index, met.index == index ? met.pieces + 1 : 1)
    let position = MovePosition(index: index, pieces: met.pieces)
    return position > upTo ? position : nil
  }

  /// All of the entry is gathered.
  mutating func passed(_ index: UInt64) { upTo = max(upTo, MovePosition(whole: index)) }

  /// Something has changed, or so many entries were passed that the reader should know.
  var isWorthSending: Bool { !gathered.isEmpty || upTo.index > sent.index + 256 }

  /// What is not full.
  mutating func flush() -> [ArrivedChanges] {
    guard upTo > sent else { return [] }
    let change = ArrivedChanges(
      after: sent, upTo: upTo, kind: gathered.isEmpty ? .nothing : .rows(engine.join(gathered)))
    sent = upTo
    gathered = []
    gatheredBytes = 0
    return [change]
  }
}
