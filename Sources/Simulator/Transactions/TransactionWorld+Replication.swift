import Coordination
import Metadata

/// The log of a shard: what is proposed, what is committed, who leads.
extension TransactionWorld {
  // MARK: Proposals

  func propose(
    _ leader: ShardLeader, _ entry: SimulatedShard.Entry, _ done: @escaping (ShardLeader.ProposalResult) -> Void
  ) {
    guard leader.isServing else { return done(.lostLeadership) }
    let shard = leader.shard
    if shard.isBusy, chance.below(2) == 0 {
      return after(1_000, leader.process) { done(leader.isServing ? .refused : .lostLeadership) }
    }
    leader.proposals.append((entry, done))
    commit(leader, after: 400 + chance.below(1_500))
  }

  private func commit(_ leader: ShardLeader, after delay: UInt64) {
    after(delay, leader.process) {
      guard leader.isPresent, !leader.proposals.isEmpty else { return }
      let shard = leader.shard
      guard shard.stalledUntil <= self.world.now else {
        return self.commit(leader, after: min(50_000, shard.stalledUntil - self.world.now + 1))
      }
      let proposal = leader.proposals.removeFirst()
      self.apply(proposal.entry, shard, leader)
      proposal.done(.applied)
    }
  }

  /// A committed entry takes effect; at the leader its memory follows.
  private func apply(_ entry: SimulatedShard.Entry, _ shard: SimulatedShard, _ leader: ShardLeader?) {
    shard.state.index += 1
    defer { shard.note(entry, needed: neededIndex(shard)) }
    switch entry {
    case .commit(let name, let writes):
      judgeWrites(writes, on: shard)
      guard shard.state.recent[name] == nil else {
        return world.violated("10 once", "\(name) commits twice on shard \(shard.id)")
      }
      shard.state.write(writes)
      shard.state.recent[name] = shard.state.index
      judge(history.committedAlone(name, on: shard.number))
      if let leader { ended(name, leader) }
    case .prepare(var prepared):
      prepared.index = shard.state.index
      shard.state.prepared[prepared.id] = prepared
      judge(history.prepared(name: prepared.name, prepared.id, on: shard.number))
      stepDone(shard, computes.first { $0.owns(prepared.name) })
      leader?.open[prepared.name] = nil
      if let leader { wasPrepared(prepared, leader) }
    case .finish(let id, let outcome, let index):
      guard let prepared = shard.state.prepared.removeValue(forKey: id) else { return }
      if outcome == .commit {
        judgeWrites(prepared.writes, on: shard)
        shard.state.write(prepared.writes)
        shard.state.decisionIndex = max(shard.state.decisionIndex, index)
      }
      judge(history.finished(name: prepared.name, id, outcome, on: shard.number))
      guard let leader else { return }
      ended(prepared.name, leader)
      step(leader, .finished(id, decisionIndex: shard.state.decisionIndex))
    case .schema(let created, let dropped, let metadataIndex):
      judgeDrops(dropped, on: shard)
      shard.state.apply(created: created, dropped: dropped, metadataIndex: metadataIndex)
    case .fence(let tablet, let id, let attempt, let action, let metadataIndex):
      shard.state.apply(action, to: tablet, id, attempt, metadataIndex: metadataIndex)
      world.tell("shard \(shard.id), tablet \(tablet + 1): fence of migration \(id): \(action)")
    case .arrival(let tablet, let id, let step):
      shard.state.apply(step, to: tablet, id, world.settings.shellMutants)
    }
  }

  /// A transaction is over at the leader: its locks are free.
  func ended(_ name: TransactionName, _ leader: ShardLeader) {
    let open = leader.open.removeValue(forKey: name)
    for granted in leader.locks.release(name) { granted() }
    for ender in open?.enders ?? [] { ender() }
  }

  func judge(_ problem: String?) {
    if let problem { world.violated("13 transactions", problem) }
  }

  // MARK: Leaders

  /// The leader is the leader no longer; of what it proposed last, some may be in the log. A process that was not killed finds
  /// out after a while.
  func depose(_ shard: SimulatedShard) {
    guard let old = shard.leader else { return }
    world.tell("shard \(shard.id) loses its leader, replica \(old.replica)")
    shard.leader = nil
    old.isPresent = false
    old.lastState = shard.state
    disturb()
    shard.deposed = shard.deposed.filter(\.isServing) + [old]
    for proposal in old.proposals.prefix(chance.below(old.proposals.count + 1)) { apply(proposal.entry, shard, nil) }
    after(chance.below(2_000_000), old.process) { self.stepDown(old) }
    elect(shard, after: 200_000 + chance.below(1_200_000), butFor: old.replica)
  }

  private func stepDown(_ leader: ShardLeader) {
    leader.isServing = false
    let proposals = leader.proposals
    leader.proposals = []
    leader.open = [:]
    leader.locks = LockTable()
    leader.waiters = [:]
    leader.fencing = []
    leader.jobs = [:]
    for proposal in proposals { proposal.done(.lostLeadership) }
  }

  func elect(_ shard: SimulatedShard, after delay: UInt64, butFor old: Int? = nil) {
    after(delay, end: shard.end) {
      guard shard.leader == nil else { return }
      let able = shard.replicas.indices.filter {
        $0 != old && shard.replicas[$0].isUp && !shard.replicas[$0].isPaused
      }
      let up = shard.replicas.filter { $0.isUp && !$0.isPaused }.count
      guard up >= 2, !able.isEmpty, shard.stalledUntil <= self.world.now else {
        return self.elect(shard, after: 200_000)
      }
      let replica = able[self.chance.below(able.count)]
      if self.world.settings.shellMutants.contains(.losesPreparedAtFailover) { shard.state.prepared = [:] }
      let leader = ShardLeader(shard, replica: replica, patience: self.patience, self.mutants)
      leader.forgetsFences = self.world.settings.shellMutants.contains(.forgetsFencesAtFailover)
      shard.leader = leader
      self.world.tell("replica \(replica) leads shard \(shard.id)")
      self.after(1_000 + self.chance.below(20_000), leader.process) { self.lead(leader) }
    }
  }

  /// What was prepared under another leader keeps its locks under this one, before anybody can take them.
  private func lead(_ leader: ShardLeader) {
    guard leader.isPresent else { return }
    let all = leader.shard.state.prepared.values.sorted { $0.id < $1.id }
    if !world.settings.shellMutants.contains(.forgetsLocksAtFailover) {
      for prepared in all {
        for tablet in prepared.tablets.sorted() {
          guard leader.locks.lock(tablet, prepared.name, at: world.now, granted: {}) else { continue }
        }
      }
    }
    leader.isServing = true
    for prepared in all { wasPrepared(prepared, leader) }
    readDecisions(leader)
    // By what it knew as a follower.
    tidy(leader)
    reconcile(leader)
    sweep(leader)
  }

  /// Undoes transactions whose compute node is gone, or has nothing more to do with them.
  private func sweep(_ leader: ShardLeader) {
    after(400_000, leader.process) {
      guard leader.isServing else { return }
      for open in leader.open.values.sorted(by: { $0.name < $1.name }) where !open.isCommitting {
        let compute = self.computes.first { $0.owns(open.name) }
        if let compute, !compute.process.isPaused, self.world.isReachable(compute.process.end, leader.shard.end) {
          open.lastHeard = self.world.now
        }
        guard self.world.now - open.lastHeard > 1_500_000 else { continue }
        self.ended(open.name, leader)
      }
      self.follow(leader.process)
      self.reconcile(leader)
      self.tidy(leader)
      self.watchCuts(leader)
      self.sweep(leader)
    }
  }

  // MARK: What is prepared

  private func wasPrepared(_ prepared: SimulatedShard.Prepared, _ leader: ShardLeader) {
    let tablets = Set(prepared.tablets.map { Cells.tabletID($0) })
    step(leader, .prepared(prepared.id, participants: prepared.participants, tablets: tablets))
  }

  func wait(
    _ leader: ShardLeader, _ input: (CommitParticipant.Waiter) -> CommitParticipant.Input,
    _ done: @escaping (CommitParticipant.Effect) -> Void
  ) {
    leader.lastWaiter += 1
    leader.waiters[leader.lastWaiter] = done
    step(leader, input(leader.lastWaiter))
  }

  func step(_ leader: ShardLeader, _ input: CommitParticipant.Input) {
    for effect in leader.participant.step(input, now: world.now / 1_000) { run(effect, leader) }
    guard !leader.isTicking, !leader.participant.isIdle else { return }
    leader.isTicking = true
    tick(leader)
  }

  private func tick(_ leader: ShardLeader) {
    after(50_000, leader.process) {
      guard leader.isServing, !leader.participant.isIdle else {
        leader.isTicking = false
        return
      }
      self.follow(leader.process)
      self.readDecisions(leader)
      self.step(leader, .tick)
      self.tick(leader)
    }
  }

  /// What the metadata say about those that are undecided.
  func readDecisions(_ leader: ShardLeader) {
    guard !leader.participant.isIdle else { return }
    step(leader, .metadata(leader.process.image.transactions))
  }

  private func run(_ effect: CommitParticipant.Effect, _ leader: ShardLeader) {
    switch effect {
    case .finish(let id, let outcome, let index):
      stepDone(leader.shard, nil)
      propose(leader, .finish(id, outcome, index: index)) { result in
        if case .refused = result, leader.isServing { self.step(leader, .notFinished(id)) }
      }
    case .askToAbort(let id, let participants):
      world.tell("shard \(leader.shard.id) asks the log to abort \(id)")
      history.doubts += 1
      ask(
        leader.process, [.transaction(.decide(id, .abort, participants: participants))], decides: id,
        patience: 10_000_000
      ) { answer in
        guard leader.isServing else { return }
        switch answer {
        case .decision(let outcome, let index): self.step(leader, .decided(id, outcome, index: index))
        case .past: self.step(leader, .past(id))
        case .appended, .rejected, .unknown: self.step(leader, .unanswered(id))
        }
      }
    case .ready(let waiter), .held(let waiter, _), .reached(let waiter, _):
      if case .held = effect { stepDone(leader.shard, nil) }
      leader.waiters.removeValue(forKey: waiter)?(effect)
    }
  }
}
