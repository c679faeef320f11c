import Coordination
import Metadata

/// Managers: which one acts, what it has the log forget, and the moves that it drives.
extension TransactionWorld {
  func start(_ manager: SimulatedManager) {
    manager.process.start()
    manager.begin()
    resolveRound(manager)
    elect(manager)
  }

  func crash(_ manager: SimulatedManager, restartsAfter delay: UInt64) {
    guard manager.process.isUp else { return }
    world.tell("manager \(manager.number) crashes")
    manager.process.crash()
    after(delay, end: manager.process.end) { if !manager.process.isUp { self.start(manager) } }
  }

  // MARK: Which one acts

  private func elect(_ manager: SimulatedManager) {
    after(200_000 + chance.below(50_000), manager.process) {
      self.follow(manager.process)
      self.look(manager)
      self.run(manager)
      self.elect(manager)
    }
  }

  private func run(_ manager: SimulatedManager) {
    let image = manager.process.image
    guard manager.epoch == nil, !manager.isElecting, image.nodes[manager.nodeID] != nil else { return }
    if let acting = image.manager.nodeID, acting != manager.nodeID {
      let other = managers.first { $0.nodeID == acting }?.process
      guard other?.isUp != true || other?.isPaused == true else {
        manager.silentSince = nil
        return
      }
      manager.silentSince = manager.silentSince ?? world.now
      guard world.now - manager.silentSince! >= 1_500_000 else { return }
    }
    manager.silentSince = nil
    manager.isElecting = true
    let before = image.manager.epoch
    ask(manager.process, [.manager(.elect(manager.nodeID, after: before))], patience: 3_000_000) { answer in
      manager.isElecting = false
      guard case .appended = answer else { return }
      self.follow(manager.process)
      let now = manager.process.image.manager
      guard now.nodeID == manager.nodeID, now.epoch > before else { return }
      manager.epoch = now.epoch
      manager.drivers = [:]
      manager.numbers = [:]
      self.world.tell("manager \(manager.number) acts, epoch \(now.epoch)")
      self.look(manager)
    }
  }

  // MARK: Moves

  /// What the log says.
  private func look(_ manager: SimulatedManager) {
    let image = manager.process.image
    guard let epoch = manager.epoch else { return }
    guard image.manager.epoch == epoch, image.manager.nodeID == manager.nodeID else {
      manager.epoch = nil
      return
    }
    let open = image.migrations.open
    manager.drivers = manager.drivers.filter { open[$0.key] != nil }
    for migration in open.values.sorted(by: { $0.plan.id < $1.plan.id }) {
      let id = migration.plan.id
      if manager.drivers[id] == nil { manager.drivers[id] = MigrationDriver() }
      input(.log(migration, epoch: image.tablets[migration.plan.tabletID]?.epoch ?? 0), to: id, manager)
    }
    tick(manager)
  }

  private func tick(_ manager: SimulatedManager) {
    guard !manager.isTicking, !manager.drivers.isEmpty else { return }
    manager.isTicking = true
    after(20_000, manager.process) {
      manager.isTicking = false
      guard manager.epoch != nil else { return }
      self.follow(manager.process)
      self.look(manager)
      for id in manager.drivers.keys.sorted() { self.input(.tick, to: id, manager) }
      self.tick(manager)
    }
  }

  private func input(_ input: MigrationDriver.Input, to id: MigrationID, _ manager: SimulatedManager) {
    guard let epoch = manager.epoch,
      let effects = manager.drivers[id]?.step(input, now: world.now / 1_000)
    else { return }
    for effect in effects {
      switch effect {
      case .append(let commands):
        if let migration = manager.process.image.migrations.open[id] { moveStepped(migration) }
        ask(
          manager.process, commands.map { .migration($0) }, managerEpoch: epoch, patience: 5_000_000
        ) { answer in
          guard manager.epoch == epoch else { return }
          let pause: UInt64 = if case .appended = answer { 1 } else { 100_000 }
          self.after(pause, manager.process) {
            guard manager.epoch == epoch else { return }
            self.follow(manager.process)
            self.look(manager)
            self.input(.appended, to: id, manager)
          }
        }
      case .report(let progress):
        guard let migration = manager.process.image.migrations.open[id] else { continue }
        ask(
          manager.process, [.migration(.report(id, attempt: migration.attempt, progress))], managerEpoch: epoch,
          patience: 2_000_000
        ) { _ in }
      case .run(let step, let number):
        manager.numbers[id] = number
        guard let migration = manager.process.image.migrations.open[id] else { continue }
        let call = MoveCall(
          id: id, attempt: migration.attempt, step: step, metadataIndex: manager.process.image.index)
        carryOut(call, Cells.shard(step.shard(of: migration)), manager, deadline: world.now + 2_000_000) { input in
          guard manager.epoch == epoch, manager.numbers[id] == number else { return }
          self.input(input(number), to: id, manager)
        }
      }
    }
  }

  /// Asks whichever replica can do a step, until it is done or has failed.
  private func carryOut(
    _ call: MoveCall, _ shard: Int, _ manager: SimulatedManager, deadline: UInt64,
    _ done: @escaping ((Int) -> MigrationDriver.Input) -> Void
  ) {
    guard world.now < deadline else { return done { .failed($0, .transient, reason: "the shard does not answer") } }
    let isSnapshot = call.step == .snapshot
    let replica = isSnapshot ? chance.below(SimulatedShard.replicaCount) : manager.leaders[shard]
    self.call(manager.process, shards[shard], replica, .move(call), timeout: 1_500_000) { answer in
      switch answer?.body {
      case .moved(let result): done { .done($0, result) }
      case .moveFailed(let kind, let reason): done { .failed($0, kind, reason: reason) }
      case .notLeader(let hint?): manager.leaders[shard] = hint
      default: manager.leaders[shard] = self.chance.below(SimulatedShard.replicaCount)
      }
      switch answer?.body {
      case .moved, .moveFailed: return
      default:
        self.after(30_000, manager.process) { self.carryOut(call, shard, manager, deadline: deadline, done) }
      }
    }
  }

  // MARK: What the log may forget

  /// Lets the log forget what coordinators have not: after a while, and when all participants say so.
  private func resolveRound(_ manager: SimulatedManager) {
    after(1_000_000, manager.process) {
      self.follow(manager.process)
      let open = manager.process.image.transactions.open
      manager.seen = manager.seen.filter { open[$0.key] != nil }
      for (id, _) in open where manager.seen[id] == nil { manager.seen[id] = self.world.now }
      let old = open.filter { self.world.now - manager.seen[$0.key]! >= 5_000_000 }
      guard !old.isEmpty else { return self.resolveRound(manager) }
      self.collect(manager.process, CommitResolver.shards(of: old).sorted()[...], [:]) { reports in
        let finished = CommitResolver.resolvable(old, reports, mutants: self.mutants)
        guard !finished.isEmpty else { return self.resolveRound(manager) }
        self.ask(manager.process, finished.map { .transaction(.resolve($0)) }, patience: 5_000_000) { _ in
          self.resolveRound(manager)
        }
      }
    }
  }

  private func collect(
    _ manager: SimulatedProcess, _ shards: ArraySlice<ShardID>, _ reports: [ShardID: ShardTransactions],
    _ done: @escaping ([ShardID: ShardTransactions]) -> Void
  ) {
    guard let shard = shards.first else { return done(reports) }
    func attempt(_ replica: Int) {
      guard replica < SimulatedShard.replicaCount else {
        return collect(manager, shards.dropFirst(), reports, done)
      }
      call(manager, self.shards[Cells.shard(shard)], replica, .list(onlyBlocking: false), timeout: 500_000) { answer in
        guard case .report(let report)? = answer?.body else { return attempt(replica + 1) }
        var reports = reports
        reports[shard] = report
        self.collect(manager, shards.dropFirst(), reports, done)
      }
    }
    attempt(0)
  }
}
