import Coordination
import Metadata

/// The steps of a move at the shards, as managers ask for them.
extension TransactionWorld {
  /// So long transactions that hold a tablet may delay its cut.
  private static let grace: UInt64 = 250_000

  func step(_ call: MoveCall, _ shard: SimulatedShard, _ replica: Int, _ answer: @escaping ShardReply) {
    let process = shard.replicas[replica]
    learn(process, call.metadataIndex, deadline: world.now + 2_000_000) { knows in
      guard knows else { return answer(.moveFailed(.transient, "the metadata have not come")) }
      let migration = process.image.migrations.open[call.id]
      guard let migration, migration.attempt == call.attempt, call.step.shard(of: migration) == shard.id,
        call.step.fits(migration)
      else {
        return answer(.moveFailed(.transient, "it does not fit"))
      }
      if case .snapshot = call.step { return self.snapshot(migration, shard, replica, answer) }
      guard let leader = self.leader(shard, at: replica) else { return answer(.notLeader(nil)) }
      let job = MoveJob(id: call.id, attempt: call.attempt, step: call.step)
      leader.jobs[job, default: []].append(answer)
      guard leader.jobs[job]!.count == 1 else { return }
      self.run(call, migration, leader) { result in
        self.moveStepped(migration)
        for waiting in leader.jobs.removeValue(forKey: job) ?? [] { waiting(result) }
      }
    }
  }

  /// Once a process knows the metadata up to an index.
  private func learn(
    _ process: SimulatedProcess, _ index: UInt64, deadline: UInt64, _ done: @escaping (Bool) -> Void
  ) {
    if process.image.index >= index { return done(true) }
    follow(process)
    if process.image.index >= index { return done(true) }
    guard world.now < deadline else { return done(false) }
    after(20_000, process) { self.learn(process, index, deadline: deadline, done) }
  }

  private func run(_ call: MoveCall, _ migration: Migration, _ leader: ShardLeader, _ done: @escaping ShardReply) {
    let tablet = Cells.tablet(migration.plan.tabletID)
    switch call.step {
    case .snapshot: break
    case .load: load(migration, tablet, leader, done)
    case .catchUp(let through): catchUp(migration, tablet, leader, through: through, tries: 40, done)
    case .checksumOrigin:
      confirm(leader) { isLeading in
        guard isLeading, leader.isServing else { return done(.notLeader(nil)) }
        done(.moved(self.checksum(leader, tablet, leader.state.index)))
      }
    case .checksumFollower: done(.moved(checksum(leader, tablet, leader.state.arrivals[tablet]?.position ?? 0)))
    case .fence(let reads): fence(migration, tablet, leader, reads: reads, done)
    case .cleanSource, .cleanTarget:
      clean(tablet, call.metadataIndex, leader, deadline: world.now + 5_000_000, done)
    }
  }

  private func checksum(_ leader: ShardLeader, _ tablet: Int, _ index: UInt64) -> MigrationDriver.StepResult {
    MigrationDriver.StepResult(
      shardIndex: index, checksum: leader.state.checksum(of: tablet),
      lengthBytes: UInt64(leader.state.rows(of: tablet).count))
  }

  // MARK: The source

  /// A replica fixes the rows, which may be behind the leader's, but has all that was committed when it was asked.
  private func snapshot(
    _ migration: Migration, _ shard: SimulatedShard, _ replica: Int, _ answer: @escaping ShardReply
  ) {
    guard shard.leader?.isServing == true, shard.stalledUntil <= world.now else {
      return answer(.moveFailed(.transient, "the shard has no leader"))
    }
    let index = world.settings.shellMutants.contains(.snapshotsLaggingReplica) ? 0 : shard.state.index
    after(200 + chance.below(3_000), shard.replicas[replica]) {
      let states = (shard.past + [shard.state]).filter { $0.index >= index }
      answer(self.fix(migration, states[self.chance.below(states.count)], shard, replica))
    }
  }

  private func fix(
    _ migration: Migration, _ state: SimulatedShard.State, _ shard: SimulatedShard, _ replica: Int
  ) -> ShardAnswer.Body {
    let tablet = Cells.tablet(migration.plan.tabletID)
    let life = shard.replicas[replica].life
    if let known = shard.snapshots[replica][migration.plan.id], known.life == life, known.attempt == migration.attempt {
      return .moved(result(known, shard, replica))
    }
    guard state.tablets[tablet] != nil else { return .moveFailed(.transient, "the tablet is not there") }
    let prepared = state.prepared.values.map { $0.index - 1 }.min() ?? state.index
    let from = world.settings.shellMutants.contains(.snapshotForgetsPrepared) ? state.index : min(prepared, state.index)
    let snapshot = SimulatedShard.Snapshot(
      life: life, attempt: migration.attempt, index: state.index, from: from,
      token: state.checksum(of: tablet, salt: state.index), cells: state.rows(of: tablet))
    shard.snapshots[replica][migration.plan.id] = snapshot
    moveStepped(migration)
    return .moved(result(snapshot, shard, replica))
  }

  private func result(
    _ snapshot: SimulatedShard.Snapshot, _ shard: SimulatedShard, _ replica: Int
  ) -> MigrationDriver.StepResult {
    MigrationDriver.StepResult(
      shardIndex: snapshot.index, checksum: snapshot.token, lengthBytes: UInt64(snapshot.cells.count),
      nodeID: Self.nodeID(shard: shard.number, replica: replica))
  }

  /// The oldest entry of a shard's log that moves need, as its replicas know.
  func neededIndex(_ shard: SimulatedShard) -> UInt64 {
    var needed = shard.state.index
    for (replica, process) in shard.replicas.enumerated() {
      shard.snapshots[replica] = shard.snapshots[replica].filter { id, snapshot in
        snapshot.life == process.life && (process.image.migrations.open[id]?.phase.copies ?? true)
      }
      needed = min(needed, shard.snapshots[replica].values.map(\.from).min() ?? needed)
      for migration in process.image.migrations.open.values
      where migration.origin == shard.id {
        if migration.phase.needsSource { needed = min(needed, migration.snapshot?.shardIndex ?? needed) }
        if migration.isFollowedBack { needed = min(needed, migration.wayBack?.neededFrom ?? needed) }
      }
    }
    for prepared in shard.state.prepared.values { needed = min(needed, prepared.index - 1) }
    return needed
  }

  /// The rows of a snapshot, a stretch at a time.
  func readRows(_ id: MigrationID, _ token: [UInt8], _ number: Int, _ shard: SimulatedShard, _ replica: Int)
    -> ShardAnswer.Body
  {
    guard let snapshot = shard.snapshots[replica][id], snapshot.life == shard.replicas[replica].life,
      snapshot.token == token
    else { return .moveFailed(.snapshotLost, "the rows are held no more") }
    let length = max(6, snapshot.cells.count / 3 + 1)
    let cells = Array(snapshot.cells.dropFirst(number * length).prefix(length))
    return .rows(
      SimulatedShard.MovedRows(
        cells: cells, index: snapshot.index, from: snapshot.from,
        isLast: (number + 1) * length >= snapshot.cells.count))
  }

  func readChanges(
    _ id: MigrationID, after: UInt64, from: UInt64, _ leader: ShardLeader, _ answer: @escaping ShardReply
  ) {
    confirm(leader) { isLeading in
      guard isLeading, leader.isServing else { return answer(.notLeader(nil)) }
      self.follow(leader.process)
      guard let migration = leader.process.image.migrations.open[id] else {
        return answer(.moveFailed(.transient, "it is not known here"))
      }
      let last = leader.state.index
      let limit = 1 + self.chance.below(8)
      let tablet = Cells.tablet(migration.plan.tabletID)
      guard migration.origin == leader.shard.id else {
        return answer(.moveFailed(.transient, "the tablet is elsewhere"))
      }
      guard let changes = leader.shard.changes(of: tablet, after: after, from: from, upTo: last, limit: limit) else {
        return answer(.moveFailed(.snapshotLost, "the log does not go back to the snapshot any more"))
      }
      answer(.changes(changes, last: last))
    }
  }

  private func fence(
    _ migration: Migration, _ tablet: Int, _ leader: ShardLeader, reads: Bool, _ done: @escaping ShardReply
  ) {
    func isThere() -> UInt64? {
      guard let fence = leader.state.fences[tablet], fence.id == migration.plan.id,
        fence.attempt == migration.attempt, fence.refusesReads || !reads
      else { return nil }
      return fence.index
    }
    if let index = isThere() { return done(.moved(MigrationDriver.StepResult(shardIndex: index))) }
    let put = {
      self.propose(
        leader,
        .fence(
          tablet, migration.plan.id, attempt: migration.attempt, reads ? .reads : .writes,
          metadataIndex: leader.process.image.index)
      ) { result in
        leader.fencing.remove(tablet)
        guard result == .applied, let index = isThere() else {
          return done(result == .applied ? .moveFailed(.transient, "it was lifted again") : .notLeader(nil))
        }
        done(.moved(MigrationDriver.StepResult(shardIndex: index)))
      }
    }
    guard !reads else { return put() }
    leader.fencing.insert(tablet)
    let graceEnds = world.now + Self.grace
    func wait() {
      guard leader.isServing else { return done(.notLeader(nil)) }
      if let holder = leader.locks.holder(of: tablet), !world.settings.shellMutants.contains(.fencesUnderWriters) {
        if world.now >= graceEnds, let open = leader.open[holder], !open.isCommitting { ended(holder, leader) }
        return after(5_000, leader.process, wait)
      }
      follow(leader.process)
      // The way back may have been taken while transactions were waited for.
      guard let now = leader.process.image.migrations.open[migration.plan.id], now.isCutting(attempt: migration.attempt)
      else {
        leader.fencing.remove(tablet)
        return done(.moveFailed(.transient, "the cut was given up"))
      }
      put()
    }
    wait()
  }

  // MARK: The target

  private func load(_ migration: Migration, _ tablet: Int, _ leader: ShardLeader, _ done: @escaping ShardReply) {
    guard leader.isServing else { return done(.notLeader(nil)) }
    guard let recorded = migration.snapshot, let place = Self.place(of: recorded.nodeID) else {
      return done(.moveFailed(.transient, "there is no snapshot"))
    }
    let arrival = leader.state.arrivals[tablet].flatMap { $0.token == recorded.checksum ? $0 : nil }
    if arrival?.isLoaded == true { return done(.moved(MigrationDriver.StepResult(shardIndex: recorded.shardIndex))) }
    let number = arrival?.loaded ?? 0
    call(
      leader.process, shards[place.shard], place.replica,
      .readRows(migration.plan.id, token: recorded.checksum, number: number), timeout: 500_000
    ) { answer in
      guard case .rows(let rows)? = answer?.body else {
        if case .moveFailed(let kind, let reason)? = answer?.body { return done(.moveFailed(kind, reason)) }
        return done(.moveFailed(.transient, "the source does not answer"))
      }
      var steps: [SimulatedShard.ArrivalStep] = []
      if arrival == nil {
        steps.append(
          .begin(
            token: recorded.checksum, index: rows.index, from: rows.from,
            metadataIndex: leader.process.image.index))
      }
      steps.append(.rows(number: number, rows.cells))
      self.arrive(steps, migration, tablet, leader) { isDone in
        guard isDone, let now = leader.state.arrivals[tablet], now.token == recorded.checksum, now.loaded == number + 1
        else { return done(.moveFailed(.transient, "it was not logged, or begun anew by another one")) }
        // That all rows are there is said only once they are.
        self.arrive(rows.isLast ? [.loaded] : [], migration, tablet, leader) { isDone in
          guard isDone else { return done(.moveFailed(.transient, "it was not logged")) }
          self.load(migration, tablet, leader, done)
        }
      }
    }
  }

  /// Puts steps of an arrival into the log, all on their way at a time: one that was refused leaves a gap before the next.
  private func arrive(
    _ steps: [SimulatedShard.ArrivalStep], _ migration: Migration, _ tablet: Int, _ leader: ShardLeader,
    _ done: @escaping (Bool) -> Void
  ) {
    guard !steps.isEmpty else { return done(true) }
    var left = steps.count
    var isDone = true
    for step in steps {
      propose(leader, .arrival(tablet, migration.plan.id, step)) { result in
        left -= 1
        if result != .applied { isDone = false }
        if left == 0 { done(isDone) }
      }
    }
  }

  private func arrival(_ migration: Migration, _ tablet: Int, _ leader: ShardLeader) -> SimulatedShard.Arrival? {
    guard let arrival = leader.state.arrivals[tablet], arrival.id == migration.plan.id else { return nil }
    if migration.isFollowedBack {
      let isSame = arrival.start == migration.wayBack?.shardIndex
      return isSame || world.settings.shellMutants.contains(.followsLate) ? arrival : nil
    }
    return arrival.token == migration.snapshot?.checksum ? arrival : nil
  }

  private func catchUp(
    _ migration: Migration, _ tablet: Int, _ leader: ShardLeader, through: UInt64, tries: Int,
    _ done: @escaping ShardReply
  ) {
    guard leader.isServing else { return done(.notLeader(nil)) }
    guard let arrival = arrival(migration, tablet, leader), arrival.isLoaded else {
      // The copy that stayed follows from where the two were alike; what has come back since the step was asked for does not.
      let isWilling = world.settings.shellMutants.contains(.followsAgain)
      let now = isWilling ? migration : leader.process.image.migrations.open[migration.plan.id]
      guard migration.isFollowedBack, leader.state.tablets[tablet] != nil else {
        return done(.moveFailed(.snapshotLost, "the rows are not there"))
      }
      guard let now, now.isFollowedBack, let wayBack = now.wayBack, tries > 0 else {
        return done(.moveFailed(.transient, "it does not follow any more"))
      }
      let isLate = world.settings.shellMutants.contains(.followsLate)
      let step = SimulatedShard.ArrivalStep.follow(
        from: isLate ? shards[Cells.shard(migration.origin)].state.index : wayBack.shardIndex,
        metadataIndex: leader.process.image.index)
      return arrive([step], migration, tablet, leader) { isDone in
        guard isDone else { return done(.moveFailed(.transient, "it was not logged")) }
        self.catchUp(migration, tablet, leader, through: through, tries: tries - 1, done)
      }
    }
    let isThere = through > 0 && arrival.position >= through
    let isCutting = migration.isCutting(attempt: migration.attempt)
    let isEarly = world.settings.shellMutants.contains(.routesBeforeDrained) && isCutting
    if isThere || isEarly {
      var result = MigrationDriver.StepResult(shardIndex: max(through, arrival.position))
      result.followerIndex = leader.state.index
      result.logFrom = arrival.from
      return done(.moved(result))
    }
    let source = shards[Cells.shard(migration.origin)]
    guard tries > 0 else { return done(.moveFailed(.transient, "the source does not answer")) }
    let replica = leader.sourceReplica
    call(
      leader.process, source, replica,
      .readChanges(migration.plan.id, after: arrival.position, from: arrival.from), timeout: 500_000
    ) { answer in
      switch answer?.body {
      case .changes(let changes, let last):
        var steps: [SimulatedShard.ArrivalStep] = []
        var position = arrival.position
        for change in changes.list {
          steps.append(.changes(after: position, upTo: change.index, change.cells))
          position = change.index
        }
        if changes.upTo > position {
          steps.append(.changes(after: position, upTo: changes.upTo, [], from: changes.from))
        }
        self.arrive(steps, migration, tablet, leader) { isDone in
          guard isDone else { return done(.moveFailed(.transient, "it was not logged")) }
          let end = through == 0 ? last : through
          self.catchUp(migration, tablet, leader, through: end, tries: tries, done)
        }
      case .moveFailed(let kind, let reason): done(.moveFailed(kind, reason))
      default:
        if case .notLeader(let hint?)? = answer?.body {
          leader.sourceReplica = hint
        } else {
          leader.sourceReplica = self.chance.below(SimulatedShard.replicaCount)
        }
        self.after(20_000, leader.process) {
          self.catchUp(migration, tablet, leader, through: through, tries: tries - 1, done)
        }
      }
    }
  }

  /// Where no manager ends a cut, the shard asks the log to: only what the log says lifts a fence, since then no route can follow.
  func watchCuts(_ leader: ShardLeader) {
    let cutting = leader.process.image.migrations.open.filter {
      $0.value.origin == leader.shard.id && $0.value.isCutting(attempt: $0.value.attempt)
    }
    leader.cuts = leader.cuts.filter { cutting[$0.key]?.attempt == $0.value.attempt }
    for (id, migration) in cutting where leader.cuts[id] == nil { leader.cuts[id] = (migration.attempt, world.now) }
    let over = leader.cuts.filter { world.now - $0.value.since >= moves.longestCut }
    guard !leader.isExpiring, !over.isEmpty else { return }
    if world.settings.shellMutants.contains(.liftsUnasked) {
      for id in over.keys.sorted() {
        let tablet = Cells.tablet(cutting[id]!.plan.tabletID)
        let index = leader.process.image.index
        propose(leader, .fence(tablet, id, attempt: over[id]!.attempt, .lift, metadataIndex: index)) { _ in }
      }
      return
    }
    leader.isExpiring = true
    let commands = over.sorted { $0.key < $1.key }.map {
      Command.migration(.expireCut($0.key, attempt: $0.value.attempt, reason: "no manager has ended the cut"))
    }
    ask(leader.process, commands, patience: 2_000_000) { answer in
      if case .appended = answer { self.moves.result.expired += UInt64(commands.count) }
      leader.isExpiring = false
    }
  }

  // MARK: Both

  /// Nothing of the migration is left here but what the metadata want.
  private func clean(
    _ tablet: Int, _ metadataIndex: UInt64, _ leader: ShardLeader, deadline: UInt64, _ done: @escaping ShardReply
  ) {
    catchUp(leader, metadataIndex, deadline: deadline) { isThere in
      guard isThere, leader.isServing else { return done(.notLeader(nil)) }
      let isOwn = leader.process.image.tablets[Cells.tabletID(tablet)]?.shardID == leader.shard.id
      let state = leader.state
      let isLeft =
        !isOwn && state.tablets[tablet] != nil || state.fences[tablet] != nil || state.arrivals[tablet] != nil
      let looksAway = !self.world.settings.shellMutants.isDisjoint(with: [.leavesFence, .leavesOrphan])
      if !isLeft || looksAway { return done(.moved(MigrationDriver.StepResult())) }
      guard self.world.now < deadline else { return done(.moveFailed(.transient, "not yet")) }
      self.after(20_000, leader.process) {
        self.follow(leader.process)
        self.reconcile(leader)
        self.tidy(leader)
        self.clean(tablet, metadataIndex, leader, deadline: deadline, done)
      }
    }
  }

  static func nodeID(shard: Int, replica: Int) -> NodeID {
    NodeID(rawValue: UInt64(1 + shard * SimulatedShard.replicaCount + replica))
  }

  private static func place(of node: NodeID) -> (shard: Int, replica: Int)? {
    let number = Int(node.rawValue) - 1
    guard (0..<Cells.shardCount * SimulatedShard.replicaCount).contains(number) else { return nil }
    return (number / SimulatedShard.replicaCount, number % SimulatedShard.replicaCount)
  }
}

extension MigrationPhase {
  /// Rows that were fixed may still be needed.
  fileprivate var copies: Bool { self == .planned || self == .snapshotTaken || self == .transferred }
}
