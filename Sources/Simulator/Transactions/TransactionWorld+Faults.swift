import Coordination
import Metadata

/// What befalls compute nodes, shards and the manager; and what must hold once all is well.
extension TransactionWorld {
  /// Begins a fault; how long it lasts, in microseconds, or nil where there is nobody whom it could befall. `target` says whom it
  /// befell, for `end`.
  func begin(_ kind: FaultKind) -> (microseconds: UInt64, target: Int)? {
    switch kind {
    case .computeCrash:
      let compute = computes[chance.below(computes.count)]
      guard compute.process.isUp else { return nil }
      crash(compute, restartsAfter: 100_000 + chance.wait(mean: 2_000_000))
      return (0, 0)
    case .computePause:
      let number = chance.below(computes.count)
      guard computes[number].process.isUp, !computes[number].process.isPaused else { return nil }
      computes[number].process.pause()
      return (chance.wait(mean: 1_500_000), number)
    case .shardCrash:
      let shard = shards[chance.below(shards.count)]
      let replica = chance.below(4) > 0 ? shard.leader?.replica ?? 0 : chance.below(3)
      return crash(shard, replica) ? (0, 0) : nil
    case .shardDeposed:
      let shard = shards[chance.below(shards.count)]
      guard shard.leader?.isServing == true else { return nil }
      depose(shard)
      return (0, 0)
    case .shardPause:
      let shard = shards[chance.below(shards.count)]
      guard let leader = shard.leader, leader.process.isUp, !leader.process.isPaused else { return nil }
      leader.process.pause()
      let time = chance.wait(mean: 1_500_000)
      // The others do not wait for ever.
      after(600_000, end: shard.end) {
        if shard.leader === leader, leader.process.isPaused { self.depose(shard) }
      }
      return (time, shard.number * 3 + leader.replica)
    case .shardStall:
      let shard = shards[chance.below(shards.count)]
      let time = chance.wait(mean: [500_000, 2_000_000, 6_000_000][chance.below(3)])
      shard.stalledUntil = max(shard.stalledUntil, world.now + time)
      return (time, shard.number)
    case .shardBusy:
      let number = chance.below(shards.count)
      guard !shards[number].isBusy else { return nil }
      shards[number].isBusy = true
      return (chance.wait(mean: 3_000_000), number)
    case .managerCrash:
      let manager = managers[chance.below(managers.count)]
      guard manager.process.isUp else { return nil }
      crash(manager, restartsAfter: 100_000 + chance.wait(mean: 3_000_000))
      return (0, 0)
    case .managerPause:
      let number = chance.below(managers.count)
      guard managers[number].process.isUp, !managers[number].process.isPaused else { return nil }
      managers[number].process.pause()
      return (chance.wait(mean: 3_000_000), number)
    case .stalledFeed:
      let others = computes.map(\.process) + managers.map(\.process)
      deafen(
        chance.below(3) > 0
          ? shards[chance.below(shards.count)].replicas[chance.below(3)] : others[chance.below(others.count)])
      return (0, 0)
    default: return nil
    }
  }

  /// A process hears nothing of the metadata log for a while.
  func deafen(_ process: SimulatedProcess) {
    let time = chance.wait(mean: [100_000, 500_000, 2_000_000][chance.below(3)])
    process.deafUntil = max(process.deafUntil, world.now + time)
  }

  /// A step of a commit or of a snapshot is done: that is when somebody dies, or is held up, if the run has such faults.
  func stepDone(_ shard: SimulatedShard, _ compute: SimulatedCompute?) {
    guard world.faults.isTurmoil, chance.below(60) == 0 else { return }
    let kinds: [FaultKind] = [.computeCrash, .computePause, .shardCrash, .shardDeposed, .shardStall]
    let kind = kinds[chance.below(kinds.count)]
    guard world.faults.kinds.contains(FaultKinds(kind)) else { return }
    befall(kind, shard, compute)
  }

  /// Somebody who is at work dies, or is held up; never in the midst of a step.
  func befall(_ kind: FaultKind, _ shard: SimulatedShard, _ compute: SimulatedCompute?) {
    after(1 + chance.below(3_000), end: shard.end) {
      guard self.world.faults.isTurmoil else { return }
      let manager = self.managers.first {
        $0.epoch != nil && $0.process.isUp && (kind == .managerCrash || !$0.process.isPaused)
      }
      switch kind {
      case .computeCrash:
        guard let compute, compute.process.isUp else { return }
        self.crash(compute, restartsAfter: 100_000 + self.chance.wait(mean: 1_000_000))
      case .computePause:
        guard let compute, self.pause(compute.process, mean: 1_000_000, shard) else { return }
      case .managerCrash:
        guard let manager else { return }
        self.crash(manager, restartsAfter: 100_000 + self.chance.wait(mean: 1_000_000))
      case .managerPause:
        guard let manager, self.pause(manager.process, mean: 3_000_000, shard) else { return }
      case .shardCrash:
        guard let leader = shard.leader, self.crash(shard, leader.replica) else { return }
      case .shardDeposed: self.depose(shard)
      case .shardPause:
        guard let leader = shard.leader, self.pause(leader.process, mean: 1_000_000, shard) else { return }
      default: shard.stalledUntil = max(shard.stalledUntil, self.world.now + self.chance.wait(mean: 2_000_000))
      }
      self.world.count(kind)
    }
  }

  private func pause(_ process: SimulatedProcess, mean: UInt64, _ shard: SimulatedShard) -> Bool {
    guard process.isUp, !process.isPaused else { return false }
    process.pause()
    after(chance.wait(mean: mean), end: shard.end) { process.resume() }
    return true
  }

  func end(_ kind: FaultKind, _ target: Int) {
    switch kind {
    case .computePause: computes[target].process.resume()
    case .managerPause: managers[target].process.resume()
    case .shardPause: shards[target / 3].replicas[target % 3].resume()
    case .shardStall: shards[target].stalledUntil = min(shards[target].stalledUntil, world.now)
    case .shardBusy: shards[target].isBusy = false
    default: break
    }
  }

  /// All is well from now on.
  func calm() {
    for process in shards.flatMap(\.replicas) + (computes.map(\.process) + managers.map(\.process)) {
      process.deafUntil = 0
    }
    for shard in shards {
      shard.stalledUntil = world.now
      shard.isBusy = false
      for replica in shard.replicas {
        replica.start()
        replica.resume()
      }
    }
    for compute in computes {
      if compute.process.isUp { compute.process.resume() } else { start(compute) }
    }
    for manager in managers {
      if manager.process.isUp { manager.process.resume() } else { start(manager) }
    }
  }

  func crash(_ shard: SimulatedShard, _ replica: Int) -> Bool {
    let process = shard.replicas[replica]
    guard process.isUp, shard.replicas.filter(\.isUp).count == 3 else { return false }
    let isLeader = shard.leader?.replica == replica
    world.tell("replica \(replica) of shard \(shard.id) crashes")
    process.crash()
    if isLeader { depose(shard) }
    // What waits in a process that is no more would keep all of this.
    for leader in shard.deposed where leader.replica == replica { leader.close() }
    shard.deposed.removeAll { $0.replica == replica }
    after(200_000 + chance.wait(mean: 2_000_000), end: shard.end) { process.start() }
    return true
  }

  // MARK: What must hold

  /// The end of a calm: nothing is left of the turmoil.
  func checkCalm(since calmBegan: UInt64, costFrom: UInt64) {
    let now = world.now
    for shard in shards {
      for prepared in shard.state.prepared.values.sorted(by: { $0.id < $1.id }) where now - prepared.at > 8_000_000 {
        return violated("\(prepared.id) is prepared on shard \(shard.id) since \((now - prepared.at) / 1_000) ms")
      }
      if let wait = shard.leader?.locks.longestWait, now - wait.since > 6_000_000 {
        return violated("\(wait.name) waits for a lock on shard \(shard.id) since \((now - wait.since) / 1_000) ms")
      }
    }
    let old = history.unresolved.filter { now - $0.value > 20_000_000 }.keys.sorted()
    if let first = old.first {
      return violated("the log still holds \(old.count) decisions of long ago, \(first) among them")
    }
    checkMoves(since: calmBegan)
    checkCost(from: costFrom)
    // Where all tablets have moved to one shard there are none.
    let isSpread = Set(owners).count == Cells.shardCount
    if isFounded, isSpread, now - calmBegan > 20_000_000, history.lastDistributed < calmBegan {
      violated("no transaction over several shards was committed in \((now - calmBegan) / 1_000_000) s of calm")
    }
  }

  /// While all is well every statement is answered: a wait for a lock that does not end is a deadlock.
  func checkPatience(_ transaction: SimulatedTransaction, _ shard: Int, since begun: UInt64) {
    guard case .calm = world.steward.phase, world.liveness.calmSince + 10_000_000 < begun else { return }
    violated(
      "\(transaction.name) has no answer of shard \(shard + 1) after \((world.now - begun) / 1_000) ms, while all is well"
    )
  }

  /// A protocol that is right but slow must fail as well.
  private func checkCost(from time: UInt64) {
    let bound = 40 * (world.settings.networkMicroseconds + world.settings.diskMicroseconds) + 60_000
    let microseconds = history.commitMicroseconds(since: time)
    if microseconds > bound {
      world.violated("cost", "a commit over several shards took \(microseconds) µs in calm, at most \(bound) is right")
    }
  }

  private func violated(_ text: String) { world.violated("liveness of transactions", text) }

  /// The end of the run.
  func checkEnd() {
    var lists: [Int: [UInt32]] = [:]
    var total: Int64 = 0
    for tablet in 0..<Cells.tabletCount {
      var state = shards[owners[tablet]].state
      // What is decided and not carried out yet.
      for prepared in state.prepared.values.sorted(by: { $0.id < $1.id })
      where history.decisions[prepared.id]?.outcome == .commit {
        state.write(prepared.writes)
      }
      for (cell, value) in state.rows(of: tablet) {
        if case .list(let list) = value { lists[cell] = list }
      }
      for account in 0..<Cells.accountCount where Cells.tablet(account) == tablet {
        if case .balance(let balance) = state.cell(account) { total += balance }
      }
    }
    judge(history.problem(lists))
    if total != Cells.total { judge("the accounts hold \(total), not \(Cells.total)") }
  }
}
