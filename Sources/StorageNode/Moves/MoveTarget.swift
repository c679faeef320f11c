import EventLoop
import FoundationEssentials
import Logging
import Metadata
import ProtocolStorage
import RPC
import Replica
import SQLTypes
import StorageEngine
import StorageWire

/// What a shard's leader does for tablets that come into it, or that have left it and are kept: fetches their rows and what has changed
/// since, and puts both into its shard's log.
@LoopActor
final class MoveTarget {
  /// How long it looks for the source's leader.
  private static let searchMilliseconds: UInt64 = 5000

  private let configuration: StorageNodeConfiguration
  private let feed: any MetadataFeed
  private let machine: ShardStateMachine
  private let replica: Replica<ShardStateMachine>
  private var channels: [NodeID: RPCChannel] = [:]
  /// Who answered as the leader of a source.
  private var leaders: [ShardID: NodeID] = [:]
  private(set) var arrivedBytes: UInt64 = 0
  private var room: RoomWatch!

  init(
    configuration: StorageNodeConfiguration, feed: any MetadataFeed, machine: ShardStateMachine,
    replica: Replica<ShardStateMachine>
  ) {
    self.configuration = configuration
    self.feed = feed
    self.machine = machine
    self.replica = replica
    room = RoomWatch(configuration: configuration, feed: feed) { [weak self] in try? self?.channel(to: $0) }
  }

  func stop() {
    for channel in channels.values { channel.close() }
    channels = [:]
  }

  private func channel(to id: NodeID) throws -> RPCChannel {
    guard let node = feed.image.nodes[id] else { throw MoveFailure("node \(id) is not known") }
    if let channel = channels[id] {
      if channel.host == node.host, channel.port == node.port { return channel }
      channel.close()
    }
    let channel = RPCChannel(host: node.host, port: node.port, tls: configuration.tls)
    channels[id] = channel
    return channel
  }

  private func arrival(_ migration: Migration) -> TabletArrival? {
    guard let arrival = machine.state.arrivals[migration.plan.tabletID], arrival.migrationID == migration.plan.id else {
      return nil
    }
    if migration.isFollowedBack { return arrival.sourceIndex == migration.wayBack?.shardIndex ? arrival : nil }
    guard arrival.checksum == migration.snapshot?.checksum, arrival.sourceIndex == migration.snapshot?.shardIndex
    else { return nil }
    return arrival
  }

  // MARK: The rows

  /// Takes the rows of the snapshot, or the rest of them.
  func load(_ migration: Migration, _ progress: MoveProgress) async throws -> MoveStepResult {
    guard let snapshot = migration.snapshot else { throw MoveFailure("there is no snapshot") }
    if arrival(migration)?.isLoaded == true { return MoveStepResult(shardIndex: snapshot.shardIndex) }
    progress.totalBytes = snapshot.lengthBytes
    if arrival(migration) == nil { try await room.begin(snapshot.lengthBytes) } else { try await room.resume() }
    let reader = try channel(to: snapshot.nodeID).serverStream(
      MoveMethods.readRows,
      .with {
        $0.clusterID = Data(configuration.clusterID.rawValue)
        $0.shardID = migration.plan.source.rawValue
        $0.migrationID = migration.plan.id.rawValue
        $0.checksum = Data(snapshot.checksum)
      })
    defer { reader.cancel() }
    let desk = ArrivalDesk(migration, machine, replica, isPaced: migration.plan.options.isThrottled)
    do throws(RPCError) {
      guard let first = try await reader.next(), first.hasTablet else {
        throw RPCError(.dataLoss, "the snapshot's rows begin without their tablet")
      }
      if arrival(migration) == nil { try await begin(desk, first, snapshot, migration.plan.tabletID) }
      try await take(reader, desk, snapshot, progress)
    } catch {
      try? await desk.settled()
      switch error.code {
      case .notFound, .unavailable, .unknown:
        throw MoveFailure(.snapshotLost, "node \(snapshot.nodeID) does not give the snapshot: \(error.message)")
      default: throw MoveFailure("\(error)")
      }
    }
    try await desk.propose(.loaded)
    try await desk.settled()
    guard arrival(migration)?.isLoaded == true else { throw MoveFailure("the rows were begun anew meanwhile") }
    return MoveStepResult(shardIndex: snapshot.shardIndex, lengthBytes: progress.bytes)
  }

  private func begin(
    _ desk: ArrivalDesk, _ first: Kunlog_Storage_V1_ReadRowsResponse, _ snapshot: MigrationSnapshot, _ id: TabletID
  ) async throws(RPCError) {
    do {
      let change = try TabletChangeCoding.create(id, first.tablet)
      guard feed.image.migrations.open[desk.migration.plan.id]?.attempt == desk.migration.attempt else {
        throw MoveFailure("the attempt is over")
      }
      try await desk.propose(
        .begin(
          change, sourceIndex: snapshot.shardIndex, logFrom: first.logFrom, checksum: snapshot.checksum,
          metadataIndex: feed.image.index))
      try await desk.settled()
    } catch {
      throw RPCError(.aborted, "\(error)")
    }
  }

  private func take(
    _ reader: RPCReader<Kunlog_Storage_V1_ReadRowsResponse>, _ desk: ArrivalDesk, _ snapshot: MigrationSnapshot,
    _ progress: MoveProgress
  ) async throws(RPCError) {
    var digest = RowsDigest()
    var number: UInt64 = 0
    let known = machine.state.arrivals[desk.migration.plan.tabletID]?.loaded ?? 0
    let began = Loop.now
    let limit = Double(desk.migration.plan.options.bytesPerSecond)
    while let message = try await reader.next() {
      let changes = Array(message.changes)
      digest.add(changes)
      progress.bytes = digest.lengthBytes
      progress.rows = message.rows
      do {
        if number >= known {
          try await room.take(changes.count)
          try await desk.propose(.rows(number: number, changes: changes))
          arrivedBytes &+= UInt64(changes.count)
        }
        number += 1
        // Statements come first: the copy does not go faster than this.
        let due = limit > 0 ? Double(digest.lengthBytes) / limit : 0
        let early = Int(due * 1000) - Int((Loop.now - began) / 1_000_000)
        if early > 2 { try await loopSleep(milliseconds: early) }
        if desk.isPaced { try await CopyPacer.rest() }
      } catch {
        throw RPCError(.aborted, "\(error)")
      }
    }
    guard digest.checksum == snapshot.checksum, digest.lengthBytes == snapshot.lengthBytes else {
      throw RPCError(
        .notFound,
        "the rows that came are not those of the snapshot: \(digest.lengthBytes) bytes, not \(snapshot.lengthBytes)")
    }
    do { try await desk.settled() } catch { throw RPCError(.aborted, "\(error)") }
  }

  // MARK: What has changed since

  /// Takes the other shard's log up to an index; 0: up to what it holds now.
  func catchUp(_ migration: Migration, through: UInt64, _ progress: MoveProgress) async throws -> MoveStepResult {
    if migration.isFollowedBack, arrival(migration) == nil { try await follow(migration) }
    guard let start = arrival(migration), start.isLoaded else {
      throw MoveFailure(.snapshotLost, "the rows of the snapshot are not here")
    }
    if through > 0, start.position >= MovePosition(whole: through) {
      return MoveStepResult(
        shardIndex: through, sourceIndex: through, followerIndex: machine.appliedIndex, logFrom: start.logFrom)
    }
    let origin = migration.origin
    let deadline = Loop.now + Self.searchMilliseconds * 1_000_000
    var candidates: [NodeID] = []
    var reason = "it has no replicas"
    while Loop.now < deadline {
      if candidates.isEmpty {
        let replicas = feed.image.shards[origin]?.replicas ?? []
        let known = leaders[origin].map { [$0] } ?? []
        candidates = known + replicas.filter { !known.contains($0) }
      }
      guard !candidates.isEmpty else { break }
      let node = candidates.removeFirst()
      do throws(RPCError) {
        let result = try await take(from: node, migration, through: through, progress)
        leaders[origin] = node
        return result
      } catch {
        leaders[origin] = nil
        reason = "node \(node): \(error.message)"
        switch error.code {
        case .dataLoss: throw MoveFailure(.snapshotLost, error.message)
        case .aborted: throw MoveFailure(machine.isLeader ? .transient : .notLeader, error.message)
        default: break
        }
      }
      guard machine.isLeader else { throw MoveFailure(.notLeader, "it leads no longer") }
      if candidates.isEmpty { try await loopSleep(milliseconds: 30) }
    }
    throw MoveFailure("the log of shard \(origin) cannot be read: \(reason)")
  }

  /// The copy that stayed here follows the target from now on: from where the two were alike.
  private func follow(_ migration: Migration) async throws {
    let tablet = migration.plan.tabletID
    // As the metadata are now: it may have come back since the step was asked for.
    guard let now = feed.image.migrations.open[migration.plan.id], now.isFollowedBack, let wayBack = now.wayBack else {
      throw MoveFailure("the tablet does not follow shard \(migration.plan.target) any more")
    }
    let desk = ArrivalDesk(migration, machine, replica)
    try await desk.propose(.follow(from: wayBack.shardIndex, metadataIndex: feed.image.index))
    try await desk.settled()
    guard machine.engine.tablets[tablet] != nil, arrival(migration) != nil else {
      throw MoveFailure(.snapshotLost, "shard \(configuration.shardID) has no copy of tablet \(tablet) any more")
    }
  }

  private func take(
    from node: NodeID, _ migration: Migration, through: UInt64, _ progress: MoveProgress
  ) async throws(RPCError) -> MoveStepResult {
    let channel: RPCChannel
    do { channel = try self.channel(to: node) } catch { throw RPCError(.unavailable, "\(error)") }
    guard let arrived = arrival(migration) else { throw RPCError(.aborted, "the arrival has ended") }
    let reader = channel.serverStream(
      MoveMethods.readChanges,
      .with {
        $0.clusterID = Data(configuration.clusterID.rawValue)
        $0.shardID = migration.origin.rawValue
        $0.metadataIndex = feed.image.index
        $0.migrationID = migration.plan.id.rawValue
        $0.after = arrived.position.message
        $0.logFrom = arrived.logFrom
        $0.through = through
        $0.lazy = through == 0 && migration.isFollowedBack
      })
    defer { reader.cancel() }
    let desk = ArrivalDesk(migration, machine, replica)
    var sourceIndex = through
    while let message = try await reader.next() {
      do {
        let changes = try ArrivedChanges(message.changes)
        if case .rows(let bytes) = changes.kind { try await room.take(bytes.count) }
        try await desk.propose(.changes(changes))
        if case .rows(let bytes) = changes.kind {
          progress.bytes += UInt64(bytes.count)
          arrivedBytes &+= UInt64(bytes.count)
        }
        sourceIndex = max(sourceIndex, message.appliedIndex)
      } catch {
        throw RPCError(.aborted, "\(error)")
      }
    }
    do { try await desk.settled() } catch { throw RPCError(.aborted, "\(error)") }
    guard let now = arrival(migration), now.position.pieces == .max, now.position.index >= through else {
      throw RPCError(.aborted, "another one has put the source's log in meanwhile")
    }
    return MoveStepResult(
      shardIndex: now.position.index, sourceIndex: max(sourceIndex, now.position.index),
      followerIndex: machine.appliedIndex, logFrom: now.logFrom)
  }

  /// The checksum of the rows, and the index of the source's log that they are of.
  func checksum(_ migration: Migration, _ progress: MoveProgress) async throws -> MoveStepResult {
    await machine.gate.enter()
    let position = arrival(migration)?.position
    let rows: any TabletRows
    do {
      defer { machine.gate.leave() }
      guard let position, position.pieces == .max else { throw MoveFailure("a step is still under way") }
      rows = try await machine.engine.readRows(of: migration.plan.tabletID)
    }
    defer { rows.close() }
    progress.totalBytes = migration.snapshot?.lengthBytes ?? 0
    var result = try await digest(rows, progress, migration.plan.options)
    result.shardIndex = position?.index ?? 0
    return result
  }
}

/// Puts the entries of one arrival into the log, in their order, several on their way at a time.
@LoopActor
private final class ArrivalDesk {
  let migration: Migration
  private let machine: ShardStateMachine
  private let replica: Replica<ShardStateMachine>
  private let leadership: UInt64
  /// The copy makes way for statements.
  let isPaced: Bool
  private var underWay = 0
  private var failure: MoveFailure?
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  /// - Parameter isPaced: statements go first; not for what must not fall behind them.
  init(
    _ migration: Migration, _ machine: ShardStateMachine, _ replica: Replica<ShardStateMachine>, isPaced: Bool = false
  ) {
    self.migration = migration
    self.machine = machine
    self.replica = replica
    leadership = machine.leadership
    self.isPaced = isPaced
  }

  /// Returns when there is room for the next one.
  func propose(_ step: ArrivalEntry.Step) async throws {
    while underWay >= (isPaced ? MoveLimits.pacedEntriesInFlight : MoveLimits.entriesInFlight), failure == nil {
      await withUnsafeContinuation { waiters.append($0) }
    }
    while true {
      if let failure { throw failure }
      guard machine.isLeader, machine.leadership == leadership else {
        throw MoveFailure(.notLeader, "the shard changed its leader")
      }
      let payload = try machine.arrivalEntry(
        migration.plan.tabletID, ArrivalEntry(migrationID: migration.plan.id, step: step))
      var refusal: ReplicaError?
      var isProposed = false
      underWay += 1
      replica.propose(payload, onAppended: { _ in isProposed = true }) { [self] result in
        underWay -= 1
        switch result {
        case .success(let index):
          if index == 0 { fail(MoveFailure("the arrival was begun anew by another one")) }
        case .failure(let error):
          if isProposed { fail(MoveFailure(error)) } else { refusal = error }
        }
        wake()
      }
      guard let refusal else { return }
      guard case .overloaded = refusal else { throw MoveFailure(refusal) }
      try await loopSleep(milliseconds: 20)
    }
  }

  /// Returns when all are applied.
  func settled() async throws {
    while underWay > 0 { await withUnsafeContinuation { waiters.append($0) } }
    if let failure { throw failure }
  }

  private func fail(_ failure: MoveFailure) { self.failure = self.failure ?? failure }

  private func wake() {
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume() }
  }
}

/// The checksum of rows, message by message.
struct RowsDigest {
  private(set) var checksum = [UInt8](repeating: 0, count: 32)
  private(set) var lengthBytes: UInt64 = 0

  mutating func add(_ bytes: [UInt8]) {
    lengthBytes += UInt64(bytes.count)
    let previous = checksum
    checksum.withUnsafeMutableBytes { result in
      previous.withUnsafeBytes { first in bytes.withUnsafeBytes { SHA256.digest(first, $0, into: result) } }
    }
  }
}

/// Reads all rows for their checksum.
@LoopActor
func digest(
  _ rows: any TabletRows, _ progress: MoveProgress, _ options: MigrationOptions
) async throws -> MoveStepResult {
  var digest = RowsDigest()
  while let bytes = try await rows.next(limitBytes: MoveLimits.pieceBytes) {
    digest.add(bytes)
    progress.bytes = digest.lengthBytes
    if options.isThrottled { try await CopyPacer.rest() }
  }
  return MoveStepResult(lengthBytes: digest.lengthBytes, checksum: digest.checksum, rows: rows.count)
}
