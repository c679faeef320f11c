import Coordination
import Metadata

/// What a shard's leader does with requests: as the storage service does, on tablets that are lists of cells.
extension TransactionWorld {
  typealias ShardReply = (ShardAnswer.Body) -> Void

  func serve(_ call: ShardCall, _ shard: SimulatedShard) {
    let process = shard.replicas[Int(call.replica)]
    let answer: ShardReply = { [world] body in
      guard process.life == call.replicaLife, !process.isPaused else { return }
      world.send(
        .shardAnswer(ShardAnswer(life: call.callerLife, number: call.number, body: body)),
        from: shard.end, to: Int(call.caller))
    }
    // Followers do these as well.
    switch call.body {
    case .move(let move): return step(move, shard, Int(call.replica), answer)
    case .readRows(let id, let token, let number):
      return answer(readRows(id, token, number, shard, Int(call.replica)))
    default: break
    }
    guard let leader = leader(shard, at: Int(call.replica)) else { return answer(.notLeader(hint(shard))) }
    switch call.body {
    case .execute(let statement): execute(statement, leader, answer)
    case .commit(let name): commit(name, leader, answer)
    case .prepare(let name, let id, let participants): prepare(name, id, participants, leader, answer)
    case .finish(let name, let id, let outcome, let index): finish(name, id, outcome, index, leader, answer)
    case .rollback(let name):
      if let open = leader.open[name], !open.isCommitting { ended(name, leader) }
      answer(.done)
    case .hold(let name):
      wait(leader, { .hold(name, $0) }) { effect in
        if case .held(_, let index) = effect { answer(.held(index)) }
      }
    case .list(let onlyBlocking): list(onlyBlocking, leader, answer)
    case .readChanges(let id, let after, let from): readChanges(id, after: after, from: from, leader, answer)
    case .move, .readRows: break
    }
  }

  /// The replica as a leader that serves; it may be deposed, and not know.
  func leader(_ shard: SimulatedShard, at replica: Int) -> ShardLeader? {
    if let leader = shard.leader, leader.replica == replica, leader.isServing { return leader }
    return shard.deposed.first { $0.replica == replica && $0.isServing && $0.life == shard.replicas[replica].life }
  }

  private func hint(_ shard: SimulatedShard) -> Int? {
    guard let leader = shard.leader, leader.isServing, chance.below(4) > 0 else { return nil }
    return leader.replica
  }

  /// Makes sure that no other replica leads: what is read must not be older than what another has committed.
  func confirm(_ leader: ShardLeader, _ done: @escaping (Bool) -> Void) {
    if world.settings.shellMutants.contains(.readsUnconfirmed) { return done(leader.isServing) }
    after(200 + chance.below(800), leader.process) {
      guard leader.isServing else { return done(false) }
      guard leader.isPresent, leader.shard.stalledUntil <= self.world.now else {
        return self.after(500_000, leader.process) { done(false) }
      }
      done(true)
    }
  }

  // MARK: Statements

  private func execute(_ statement: ShardStatement, _ leader: ShardLeader, _ answer: @escaping ShardReply) {
    let hold = statement.snapshot?.hold
    let reply: ShardReply = { body in
      if let hold { self.step(leader, .release(hold)) }
      // Whoever plans anew begins anew.
      if case .staleRoute = body, let name = statement.name, !statement.continues { self.ended(name, leader) }
      answer(body)
    }
    let index = max(statement.metadataIndex, statement.snapshot?.decisionIndex ?? 0)
    catchUp(leader, index, deadline: world.now + 3_000_000) { isThere in
      guard leader.isServing, isThere else { return reply(.notLeader(nil)) }
      self.passFences(statement, leader, deadline: self.world.now + 15_000_000) { obstacle in
        if let obstacle { return reply(obstacle) }
        guard !statement.reads.isEmpty || statement.snapshot != nil else {
          return self.open(statement, leader, reply)
        }
        self.confirm(leader) { isLeading in
          guard isLeading, leader.isServing else { return reply(.notLeader(nil)) }
          self.open(statement, leader, reply)
        }
      }
    }
  }

  private func open(_ statement: ShardStatement, _ leader: ShardLeader, _ reply: @escaping ShardReply) {
    let open: ShardLeader.Open
    if let name = statement.name {
      if statement.continues {
        guard let known = leader.open[name], !known.isCommitting else { return reply(.failed(.lost)) }
        open = known
        open.lastHeard = world.now
      } else {
        // The answer to the same first request was lost on its way: it must not run twice.
        if let known = leader.open[name], known.isCommitting { return reply(.failed(.lost)) }
        ended(name, leader)
        open = ShardLeader.Open(name, isRepeatableRead: statement.isRepeatableRead, at: world.now)
        leader.open[name] = open
      }
    } else {
      open = ShardLeader.Open(TransactionName([]), isRepeatableRead: false, at: world.now)
    }
    if let snapshot = statement.snapshot {
      readDecisions(leader)
      wait(leader, { .reach(snapshot.decisionIndex, snapshot.hold, $0) }) { effect in
        guard case .reached(_, true) = effect, leader.isServing else { return reply(.failed(.serialization)) }
        // Whoever has moved may have been written here, where this sees it, after it was read elsewhere.
        if let stale = self.staleRoute(statement, leader) { return reply(stale) }
        open.snapshot = leader.state
        self.step(leader, .release(snapshot.hold))
        self.read(statement, open, leader, reply)
      }
    } else if let write = statement.write {
      self.write(write.cell, write.change, open, leader, reply)
    } else {
      let tablets = Set(statement.reads.map { Cells.tablet($0) }).sorted().map { Cells.tabletID($0) }
      wait(leader, { .settle(tablets, $0) }) { _ in
        guard leader.isServing else { return reply(.notLeader(nil)) }
        if let stale = self.staleRoute(statement, leader) { return reply(stale) }
        self.read(statement, open, leader, reply)
      }
    }
  }

  private func read(
    _ statement: ShardStatement, _ open: ShardLeader.Open, _ leader: ShardLeader, _ reply: ShardReply
  ) {
    if open.isRepeatableRead, open.snapshot == nil { open.snapshot = leader.state }
    guard !isChanged(statement.reads, open, leader) else { return reply(.failed(.serialization)) }
    let state = open.snapshot ?? leader.state
    if !open.isRepeatableRead { open.snapshot = nil }
    reply(.cells(statement.reads.map { open.written($0) ?? state.cell($0) }))
  }

  /// REPEATABLE READ keeps no old rows of tablets that it has not read yet.
  private func isChanged(_ cells: [Int], _ open: ShardLeader.Open, _ leader: ShardLeader) -> Bool {
    guard open.isRepeatableRead, let snapshot = open.snapshot else { return false }
    for tablet in Set(cells.map { Cells.tablet($0) }).sorted() where open.readTablets.insert(tablet).inserted {
      if leader.state.versions[tablet] > snapshot.index { return true }
    }
    return false
  }

  private func write(
    _ cell: Int, _ change: CellChange, _ open: ShardLeader.Open, _ leader: ShardLeader, _ reply: @escaping ShardReply
  ) {
    let tablet = Cells.tablet(cell)
    let isAllowed = leader.locks.lock(tablet, open.name, at: world.now) {
      guard leader.isServing, leader.open[open.name] === open else { return reply(.failed(.lost)) }
      guard !self.refuses(tablet, isWrite: true, leader), leader.state.tablets[tablet] != nil else {
        // It waited for the lock while the tablet was fenced.
        self.after(1, leader.process) { if leader.open[open.name] === open { self.ended(open.name, leader) } }
        return reply(.failed(.serialization))
      }
      if open.isRepeatableRead {
        if open.snapshot == nil { open.snapshot = leader.state }
        guard leader.state.versions[tablet] <= open.snapshot!.index else { return reply(.failed(.serialization)) }
      }
      let old = open.written(cell) ?? leader.state.cell(cell)
      let new: Cell =
        switch (old, change) {
        case (.balance(let balance), .add(let amount)): .balance(balance + amount)
        case (.list(let list), .append(let element)): .list(list + [element])
        default: old
        }
      open.writes.append((cell, new))
      reply(.cells([new]))
    }
    if !isAllowed { reply(.failed(.deadlock)) }
  }

  // MARK: Ends

  private func commit(_ name: TransactionName, _ leader: ShardLeader, _ answer: @escaping ShardReply) {
    if let open = leader.open[name], open.isCommitting {
      return open.enders.append { self.commit(name, leader, answer) }
    }
    guard leader.isServing else { return answer(.notLeader(nil)) }
    let forgets = world.settings.shellMutants.contains(.forgetsCommitted)
    if let index = leader.state.recent[name], !forgets { return answer(.committed(index)) }
    guard let open = leader.open[name] else {
      return confirm(leader) { isLeading in
        guard isLeading, leader.isServing else { return answer(.notLeader(nil)) }
        if let index = leader.state.recent[name], !forgets { return answer(.committed(index)) }
        answer(.failed(.lost))
      }
    }
    guard !open.writes.isEmpty else {
      ended(name, leader)
      return answer(.committed(0))
    }
    open.isCommitting = true
    propose(leader, .commit(name, open.writes)) { result in
      switch result {
      case .applied: answer(.committed(leader.state.recent[name] ?? 0))
      case .lostLeadership: answer(.notLeader(nil))
      case .refused:
        self.ended(name, leader)
        answer(.failed(.busy))
      }
    }
  }

  private func prepare(
    _ name: TransactionName, _ id: GlobalTransactionID, _ participants: [ShardID], _ leader: ShardLeader,
    _ answer: @escaping ShardReply
  ) {
    if let open = leader.open[name], open.isCommitting {
      return open.enders.append { self.prepare(name, id, participants, leader, answer) }
    }
    guard leader.isServing else { return answer(.notLeader(nil)) }
    if let known = leader.state.prepared[id] { return answer(known.name == name ? .prepared : .failed(.lost)) }
    guard let open = leader.open[name] else {
      return confirm(leader) { isLeading in
        guard isLeading, leader.isServing else { return answer(.notLeader(nil)) }
        answer(leader.state.prepared[id]?.name == name ? .prepared : .failed(.lost))
      }
    }
    guard !open.writes.isEmpty else {
      ended(name, leader)
      return answer(.nothingWritten)
    }
    open.isCommitting = true
    let prepared = SimulatedShard.Prepared(
      id: id, name: name, participants: participants, writes: open.writes, at: world.now)
    propose(leader, .prepare(prepared)) { result in
      let enders = open.enders
      open.enders = []
      switch result {
      case .applied: answer(.prepared)
      case .lostLeadership: answer(.notLeader(nil))
      case .refused:
        self.ended(name, leader)
        answer(.failed(.busy))
      }
      for ender in enders { ender() }
    }
  }

  private func finish(
    _ name: TransactionName, _ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ index: UInt64,
    _ leader: ShardLeader, _ answer: @escaping ShardReply
  ) {
    // A first phase that is still under way ends first.
    if let open = leader.open[name] {
      if open.isCommitting {
        return open.enders.append { self.finish(name, id, outcome, index, leader, answer) }
      }
      if outcome == .abort { ended(name, leader) }
    }
    guard leader.isServing else { return answer(.notLeader(nil)) }
    guard leader.state.prepared[id] != nil else {
      return confirm(leader) { isLeading in
        answer(isLeading && leader.isServing ? .finished : .notLeader(nil))
      }
    }
    step(leader, .decided(id, outcome, index: index))
    wait(leader, { .wait(id, $0) }) { _ in answer(leader.isServing ? .finished : .notLeader(nil)) }
  }

  // MARK: Who holds what

  private func list(_ onlyBlocking: Bool, _ leader: ShardLeader, _ answer: @escaping ShardReply) {
    guard !onlyBlocking else { return answer(.report(report(leader))) }
    confirm(leader) { isLeading in
      guard isLeading, leader.isServing else { return answer(.notLeader(nil)) }
      self.follow(leader.process)
      self.readDecisions(leader)
      answer(.report(self.report(leader)))
    }
  }

  private func report(_ leader: ShardLeader) -> ShardTransactions {
    let prepared = leader.state.prepared.values.sorted { $0.id < $1.id }.map {
      ShardTransaction(name: $0.name, id: $0.id, participants: $0.participants)
    }
    let open = leader.open.values.sorted { $0.name < $1.name }.map { open in
      var transaction = ShardTransaction(name: open.name)
      if let wait = leader.locks.wait(of: open.name) {
        transaction.wait = ShardTransaction.Wait(
          tablet: Cells.tabletID(wait.tablet), blockers: wait.blockers,
          milliseconds: (world.now - wait.since) / 1_000)
      }
      return transaction
    }
    return ShardTransactions(transactions: prepared + open, metadataIndex: leader.process.image.index)
  }
}
