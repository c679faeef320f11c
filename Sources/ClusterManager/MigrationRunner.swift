import Coordination
import EventLoop
import Logging
import Metadata
import MetadataClient
import Metrics
import RPC
import StorageWire

/// Drives the migrations that are under way, while this manager acts: runs the effects of `MigrationDriver`. It holds nothing that
/// the log does not: whoever acts next begins with new drivers.
@LoopActor
final class MigrationRunner {
  /// Migrations that copy at a time; the others wait their turn.
  private static let maximumCopying = 2
  private static let tickMilliseconds = 20
  private static let callMilliseconds = 5000
  /// How long a shard's leader is looked for.
  private static let searchMilliseconds: UInt64 = 2000

  private let client: MetadataClient
  private let channel: @LoopActor (NodeDefinition) -> RPCChannel
  private let logger = Logger(label: "manager")
  private var epoch: UInt64?
  private var drivers: [MigrationID: MigrationDriver] = [:]
  /// The last step that each driver has asked for: what an earlier one comes to is not waited for.
  private var numbers: [MigrationID: Int] = [:]
  private var leaders: [ShardID: NodeID] = [:]
  private var timer: LoopTimer?
  private var ended: [MigrationOutcome: UInt64] = [:]
  private var retries: UInt64 = 0

  init(client: MetadataClient, channel: @escaping @LoopActor (NodeDefinition) -> RPCChannel) {
    self.client = client
    self.channel = channel
    client.observe { [weak self] change in self?.changed(change) }
  }

  /// This manager acts from now on, in the epoch; nil: no longer.
  func act(in epoch: UInt64?) {
    self.epoch = epoch
    drivers = [:]
    numbers = [:]
    timer?.cancel()
    timer = nil
    guard epoch != nil else { return }
    timer = LoopTimer(afterMilliseconds: Self.tickMilliseconds, repeatMilliseconds: Self.tickMilliseconds) {
      [weak self] in
      guard let self else { return }
      for id in drivers.keys.sorted() { input(.tick, to: id) }
    }
    look()
  }

  func stop() { act(in: nil) }

  func addMetrics(to set: inout MetricSet) {
    let open = client.image.migrations.open
    set.gauge("kunlog_manager_migrations_open", "Moves of tablets that are under way, in the metadata log.", open.count)
    set.gauge(
      "kunlog_manager_migrations_paused", "Moves of tablets that wait for an operator.",
      open.values.count { $0.isPaused })
    for outcome in [MigrationOutcome.completed, .rolledBack, .reversed, .abandoned] {
      set.counter(
        "kunlog_manager_migrations_ended_total", "Moves of tablets that have ended while this manager watched.",
        ended[outcome] ?? 0, ("outcome", outcome.text))
    }
    set.counter(
      "kunlog_manager_migration_retries_total", "Steps of moves that were tried again while this manager watched.",
      retries)
  }

  // MARK: What the log says

  private func changed(_ change: MetadataClient.Change) {
    // Else there is nothing to count, and the events of a first image are all that it has.
    if !change.before.migrations.open.isEmpty { count(change) }
    look()
  }

  private func count(_ change: MetadataClient.Change) {
    for case .migration(let event) in change.events {
      if case .retried = event { retries &+= 1 }
      if let outcome = change.after.migrations.ended[event.migrationID]?.outcome,
        change.before.migrations.open[event.migrationID] != nil
      {
        ended[outcome, default: 0] &+= 1
      }
    }
  }

  private func look() {
    guard epoch != nil else { return }
    let image = client.image
    let open = image.migrations.open
    for id in drivers.keys where open[id] == nil {
      drivers[id] = nil
      numbers[id] = nil
    }
    var copying = open.values.count { drivers[$0.plan.id] != nil && $0.phase.isCopying && !$0.isPaused }
    for migration in open.values.sorted(by: { $0.plan.id < $1.plan.id }) {
      let id = migration.plan.id
      if drivers[id] == nil {
        if migration.phase.isCopying, !migration.isPaused {
          guard copying < Self.maximumCopying else { continue }
          copying += 1
        }
        drivers[id] = MigrationDriver()
      }
      input(.log(migration, epoch: image.tablets[migration.plan.tabletID]?.epoch ?? 0), to: id)
    }
  }

  private func input(_ input: MigrationDriver.Input, to id: MigrationID) {
    guard let effects = drivers[id]?.step(input, now: Loop.now / 1_000_000) else { return }
    for effect in effects {
      switch effect {
      case .append(let commands): append(commands, id)
      case .report(let progress): report(progress, id)
      case .run(let step, let number):
        numbers[id] = number
        run(step, number, id)
      }
    }
  }

  // MARK: Effects

  private func append(_ commands: [MigrationCommand], _ id: MigrationID) {
    guard let epoch else { return }
    LoopActor.start {
      do throws(MetadataError) {
        _ = try await self.client.append(
          AppendRequest(
            principal: self.client.configuration.principal, managerEpoch: epoch,
            commands: commands.map { .migration($0) }))
      } catch {
        self.logger.warning("migration \(id): the log did not take its next step: \(error)")
        try? await loopSleep(milliseconds: 100)
      }
      guard self.epoch == epoch else { return }
      self.input(.appended, to: id)
    }
  }

  /// Lost reports are followed by others.
  private func report(_ progress: MigrationProgress, _ id: MigrationID) {
    guard let epoch, let migration = client.image.migrations.open[id] else { return }
    LoopActor.start {
      _ = try? await self.client.append(
        AppendRequest(
          principal: self.client.configuration.principal, managerEpoch: epoch,
          commands: [.migration(.report(id, attempt: migration.attempt, progress))]))
    }
  }

  private func run(_ step: MigrationDriver.Step, _ number: Int, _ id: MigrationID) {
    guard let epoch, let migration = client.image.migrations.open[id] else { return }
    LoopActor.start {
      let input = await self.carryOut(step, number, migration)
      guard self.epoch == epoch, let input else { return }
      if case .failed(_, _, let reason) = input { self.logger.warning("migration \(id): \(step): \(reason)") }
      self.input(input, to: id)
    }
  }

  /// Asks until the step has ended; nil: nobody wants to know any more.
  private func carryOut(
    _ step: MigrationDriver.Step, _ number: Int, _ migration: Migration
  ) async -> MigrationDriver.Input? {
    let id = migration.plan.id
    let shard = step.shard(of: migration)
    guard let clusterID = client.image.clusterID else { return nil }
    var deadline = Loop.now + Self.searchMilliseconds * 1_000_000
    var reason = "shard \(shard) has no replicas"
    var next: NodeID? = step == .snapshot ? await follower(of: shard) : leaders[shard]
    var asked: Set<NodeID> = []
    while Loop.now < deadline {
      guard numbers[id] == number, epoch != nil else { return nil }
      let replicas = client.image.shards[shard]?.replicas ?? []
      guard let node = next ?? replicas.first(where: { !asked.contains($0) }), let definition = client.image.nodes[node]
      else {
        asked = []
        if replicas.isEmpty { break }
        try? await loopSleep(milliseconds: 30)
        continue
      }
      next = nil
      asked.insert(node)
      do throws(RPCError) {
        let answer = try await step.ask(
          channel(definition), of: clusterID, migration, metadataIndex: client.image.index,
          timeoutMilliseconds: Self.callMilliseconds)
        switch answer {
        case .done(var result):
          if step == .snapshot { result.nodeID = node } else { leaders[shard] = node }
          return .done(number, result)
        case .working(let bytes, let total, let rows):
          self.input(.working(number, bytes: bytes, totalBytes: total, rows: rows), to: id)
          // It works: that is no search.
          next = node
          deadline = Loop.now + Self.searchMilliseconds * 1_000_000
        case .failed(let kind, let reason): return .failed(number, kind, reason: "node \(node): \(reason)")
        case .notLeader(let leader):
          reason = "it has no leader"
          leaders[shard] = nil
          if let leader, !asked.contains(leader) { next = leader }
        }
      } catch {
        reason = "node \(node): \(error)"
        leaders[shard] = nil
      }
    }
    return .failed(number, .transient, reason: "shard \(shard) does not answer: \(reason)")
  }

  /// Of the replicas that do not lead, the one that is furthest: what it reads costs the leader nothing. nil: there is none.
  private func follower(of shard: ShardID) async -> NodeID? {
    var best: (node: NodeID, index: UInt64)?
    for id in client.image.shards[shard]?.replicas ?? [] {
      guard let definition = client.image.nodes[id],
        let role = try? await ReplicaRole.ask(channel(definition), timeoutMilliseconds: 300), !role.isLeader
      else { continue }
      if role.appliedIndex > best?.index ?? 0 { best = (id, role.appliedIndex) }
    }
    return best?.node
  }
}

extension MigrationPhase {
  /// It takes disk and network.
  fileprivate var isCopying: Bool {
    switch self {
    case .planned, .snapshotTaken, .transferred, .loaded: true
    case .caughtUp, .writesCut, .routed, .finishing, .reversing, .routedBack, .failed: false
    }
  }
}
