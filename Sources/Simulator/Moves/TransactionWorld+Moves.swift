import Coordination
import Metadata

/// Who has tablets moved, and changes his mind; faults at the steps of moves; and what must hold about them (reliability.md, 14).
extension TransactionWorld {
  // MARK: The operator

  func moveTablets() {
    mover.start()
    after(3_000_000 + chance.wait(mean: 15_000_000), mover) {
      self.follow(self.mover)
      self.operate()
      self.moveTablets()
    }
  }

  private func operate() {
    let image = mover.image
    guard isFounded, image.tablets.count == Cells.tabletCount else { return }
    let open = image.migrations.open.values.sorted { $0.plan.id < $1.plan.id }
    if let migration = open.first(where: \.isPaused) { return command(.resume(migration.plan.id)) }
    // What rests until somebody says how it ends.
    if let migration = open.first(where: \.isResting), chance.below(2) == 0 {
      let isReversed = migration.wayBack?.isLost == false && chance.below(2) == 0
      return command(
        isReversed ? .reverse(migration.plan.id, reason: "asked for") : .complete(migration.plan.id))
    }
    guard world.faults.isTurmoil || chance.below(3) == 0 else { return }
    if let migration = open.first, chance.below(3) == 0 {
      switch chance.below(4) {
      case 0: return command(.fail(migration.plan.id, reason: "asked for"))
      case 1: return command(.pause(migration.plan.id, reason: "asked for"))
      default: break
      }
    }
    for _ in 0...chance.below(3) {
      let tablet = chance.below(Cells.tabletCount)
      let target = (owners[tablet] + 1 + chance.below(Cells.shardCount - 1)) % Cells.shardCount
      var options = MigrationOptions()
      options.keepsSource = chance.below(3) == 0
      command(
        .plan(
          Cells.tabletID(tablet), target: shards[target].id, epoch: nil, maximumRetries: 3, reason: "",
          options: options))
    }
  }

  private func command(_ command: MigrationCommand) {
    ask(mover, [.migration(command)], patience: 5_000_000) { _ in }
  }

  // MARK: Faults

  /// A step of a move is done, or asked for: that is when somebody dies, if the run has such faults.
  func moveStepped(_ migration: Migration) {
    guard world.faults.isTurmoil, chance.below(20) == 0 else { return }
    let kinds: [FaultKind] = [.managerCrash, .managerPause, .shardCrash, .shardDeposed, .shardPause, .shardStall]
    let kind = kinds[chance.below(kinds.count)]
    guard world.faults.kinds.contains(FaultKinds(kind)) else { return }
    let shard = shards[Cells.shard(chance.below(2) == 0 ? migration.plan.source : migration.plan.target)]
    befall(kind, shard, nil)
  }

  /// A tablet is elsewhere now, and some have not heard of it yet, those who lead its old shard soon among them, while many
  /// use it.
  private func leaveBehind(_ shard: SimulatedShard, _ tablet: Int) {
    crowd(tablet)
    guard world.faults.isTurmoil, world.faults.kinds.contains(FaultKinds(.stalledFeed)) else { return }
    for replica in shard.replicas { deafen(replica) }
    deafen(computes[chance.below(computes.count)].process)
    world.count(.stalledFeed)
    if chance.below(2) == 0, world.faults.kinds.contains(FaultKinds(.shardDeposed)) {
      befall(.shardDeposed, shard, nil)
    }
  }

  /// So long a read that awaits a move lasts at most: less than what it holds back is held.
  static let lateness: UInt64 = 450_000

  /// A cut begins: some read the tablet now, and the other shards once it has moved.
  private func readLate(_ tablet: Int) {
    guard world.faults.isTurmoil, world.faults.kinds.contains(FaultKinds(.lateRead)), chance.below(3) == 0 else {
      return
    }
    let firstList = firstList
    for compute in computes {
      for _ in 0..<3 {
        visit(compute, after: chance.below(50_000), awaiting: tablet) {
          [.read(Array(0..<Cells.accountCount) + (0..<Cells.tabletCount).map { firstList + $0 })]
        }
      }
    }
    moves.awaited.insert(tablet)
    world.count(.lateRead)
  }

  /// A read between one shard and the next.
  func awaitMove(_ transaction: SimulatedTransaction, _ done: @escaping () -> Void) {
    guard let (tablet, deadline) = transaction.awaitsMove else { return done() }
    guard world.now < deadline, !transaction.isOver else {
      transaction.awaitsMove = nil
      return done()
    }
    guard moves.awaited.contains(tablet) else {
      // It has moved, and is written there, together with what is read next.
      transaction.awaitsMove = nil
      return after(chance.below(100_000), transaction.compute.process, done)
    }
    after(5_000, transaction.compute.process) { self.awaitMove(transaction, done) }
  }

  /// What was awaited has moved: it is written at once, together with what was on its new shard before.
  private func writeBeside(_ tablet: Int) {
    guard moves.awaited.remove(tablet) != nil else { return }
    let others = (0..<Cells.tabletCount).filter { $0 != tablet && owners[$0] == owners[tablet] }
    guard !others.isEmpty else { return }
    for compute in computes {
      for _ in 0..<3 {
        let other = others[chance.below(others.count)]
        let amount = Int64(chance.between(1, 9))
        visit(compute, after: chance.below(50_000)) { [.write(tablet, .add(-amount)), .write(other, .add(amount))] }
      }
    }
  }

  // MARK: What must hold

  private func violated(_ text: String) { world.violated("14 moves", text) }

  /// An event of a migration is in the log.
  func recorded(_ event: MigrationEvent) {
    if case .planned(let plan) = event {
      moves.plans[plan.id] = plan.tabletID
      moves.plannedAt[plan.tabletID] = world.now
    }
    // How far a copy is that follows changes nothing.
    if case .progressed = event { return }
    if let tablet = moves.plans[event.migrationID] { moves.changedAt[tablet] = world.now }
    switch event {
    case .planned(let plan):
      moves.result.planned += 1
      world.tell("migration \(plan.id): tablet \(plan.tabletID) from shard \(plan.source) to \(plan.target)")
    case .routed(let route):
      moves.result.routed += 1
      let tablet = Cells.tablet(route.tabletID)
      let (old, new) = (owners[tablet], Cells.shard(route.shardID))
      owners[tablet] = new
      if chance.below(3) == 0 { leaveBehind(shards[old], tablet) }
      writeBeside(tablet)
      // Those who used it before and after are many.
      if chance.below(3) == 0 { burst = max(burst, 12) }
      world.tell("tablet \(route.tabletID) is on shard \(route.shardID) from now on")
      guard let source = shards[old].state.tablets[tablet] else {
        return violated("tablet \(route.tabletID) moves from shard \(old + 1), which has none")
      }
      guard let target = shards[new].state.tablets[tablet] else {
        return violated("tablet \(route.tabletID) moves to shard \(new + 1), which has none")
      }
      guard source == target else {
        return violated("the rows of tablet \(route.tabletID) differ on shards \(old + 1) and \(new + 1) as it moves")
      }
    case .writesCut(let id), .reverseRequested(let id, _):
      world.tell("migration \(id): \(event.kind)")
      if let tablet = moves.plans[id] { readLate(Cells.tablet(tablet)) }
    case .sourceDropped: moves.result.completed += 1
    case .rolledBack(let id):
      if moves.reversed.remove(id) != nil { moves.result.reversed += 1 } else { moves.result.rolledBack += 1 }
    case .reversed(let id, _): moves.reversed.insert(id)
    case .reverseGivenUp(let id, let isLost, let reason):
      world.tell("migration \(id) is not reversed\(isLost ? ", and cannot be any more" : ""): \(reason)")
      if reason.contains("the rows differ") { violated("migration \(id): \(reason)") }
    case .retried(let id, let attempt, let phase, let reason):
      moves.result.retries += 1
      world.tell("migration \(id), attempt \(attempt), from \(phase.text): \(reason)")
      if reason.contains("the rows differ") { violated("migration \(id): \(reason)") }
    case .failed(let id, let reason):
      world.tell("migration \(id) fails: \(reason)")
      if reason.contains("the rows differ") { violated("migration \(id): \(reason)") }
    default: world.tell("migration \(event.migrationID): \(event.kind)")
    }
  }

  /// Rows change where the tablet is, and not while it is fenced.
  func judgeWrites(_ writes: [(cell: Int, value: Cell)], on shard: SimulatedShard) {
    for tablet in Set(writes.map { Cells.tablet($0.cell) }).sorted() {
      if owners[tablet] != shard.number {
        violated("tablet \(tablet + 1) is written on shard \(shard.id), it is on shard \(owners[tablet] + 1)")
      }
      if shard.state.tablets[tablet] == nil {
        violated("tablet \(tablet + 1) is written on shard \(shard.id), which has none")
      }
      if let fence = shard.state.fences[tablet] {
        violated("tablet \(tablet + 1) is written on shard \(shard.id) after the fence of migration \(fence.id)")
      }
    }
  }

  func judgeDrops(_ tablets: [Int], on shard: SimulatedShard) {
    for tablet in tablets {
      if owners[tablet] == shard.number { violated("shard \(shard.id) drops tablet \(tablet + 1), which is its own") }
      for prepared in shard.state.prepared.values where prepared.tablets.contains(tablet) {
        violated("shard \(shard.id) drops tablet \(tablet + 1), of which \(prepared.id) is prepared")
      }
    }
  }

  /// The end of a calm: what was begun in the turmoil has ended, and has left nothing behind.
  func checkMoves(since calmBegan: UInt64) {
    guard isFounded, let image = world.leader?.state.image, world.now - calmBegan > 40_000_000 else { return }
    for migration in image.migrations.open.values.sorted(by: { $0.plan.id < $1.plan.id })
    where !migration.isPaused && !migration.isResting {
      // One that had kept its source has rested since its plan.
      let hasRested = migration.plan.options.keepsSource && !migration.phase.isForward
      let since = hasRested ? moves.changedAt : moves.plannedAt
      let begun = max(calmBegan, since[migration.plan.tabletID] ?? 0)
      if world.now - begun > 30_000_000 {
        return violated(
          "migration \(migration.plan.id) is \(migration.text) after \((world.now - begun) / 1_000_000) s")
      }
    }
    for shard in shards {
      for tablet in 0..<Cells.tabletCount where image.migrations.open(of: Cells.tabletID(tablet)) == nil {
        let isHere = shard.state.tablets[tablet] != nil
        guard world.now - (moves.changedAt[Cells.tabletID(tablet)] ?? 0) > 10_000_000 else { continue }
        if isHere != (owners[tablet] == shard.number) {
          violated("shard \(shard.id) \(isHere ? "has an orphan of" : "lacks") tablet \(tablet + 1)")
        }
        if shard.state.fences[tablet] != nil {
          violated("a fence of tablet \(tablet + 1) is left on shard \(shard.id)")
        }
        if shard.state.arrivals[tablet] != nil {
          violated("an arrival of tablet \(tablet + 1) is left on shard \(shard.id)")
        }
      }
    }
  }
}
