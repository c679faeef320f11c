import Coordination
import Metadata

/// What a shard's leader makes of the metadata: tablets come and go, fences are lifted, arrivals end, whoever asked for the move.
extension TransactionWorld {
  /// Once the shard's tablets are as the metadata at an index say.
  func catchUp(_ leader: ShardLeader, _ index: UInt64, deadline: UInt64, _ done: @escaping (Bool) -> Void) {
    let servesEarly = world.settings.shellMutants.contains(.servesByOldMetadata)
    let index = max(index, servesEarly ? 0 : leader.state.metadataIndex)
    if leader.consumedIndex >= index { return done(true) }
    follow(leader.process)
    reconcile(leader)
    if leader.consumedIndex >= index { return done(true) }
    guard leader.isServing, world.now < deadline else { return done(false) }
    after(20_000, leader.process) { self.catchUp(leader, index, deadline: deadline, done) }
  }

  /// Compares the tablets with the metadata, and puts what is missing into the log.
  func reconcile(_ leader: ShardLeader) {
    let image = leader.process.image
    let takesOld = world.settings.shellMutants.contains(.servesByOldMetadata)
    guard leader.isServing, !leader.isReconciling, image.index > leader.consumedIndex,
      takesOld || image.index >= leader.state.metadataIndex
    else { return }
    defer { tidy(leader) }
    let state = leader.state
    var created: [Int] = []
    var dropped: [Int] = []
    for tablet in 0..<Cells.tabletCount {
      let id = Cells.tabletID(tablet)
      let isOwn = image.tablets[id]?.shardID == leader.shard.id
      if isOwn, state.tablets[tablet] == nil, state.fences[tablet] == nil { created.append(tablet) }
      let isLeft = world.settings.shellMutants.contains(.leavesOrphan) && state.arrivals[tablet] != nil
      if !isOwn, state.tablets[tablet] != nil, !image.isKept(id, on: leader.shard.id), !isLeft {
        dropped.append(tablet)
      }
    }
    guard !created.isEmpty || !dropped.isEmpty else {
      leader.consumedIndex = image.index
      return
    }
    leader.isReconciling = true
    propose(leader, .schema(created: created, dropped: dropped, metadataIndex: image.index)) { result in
      self.after(result == .applied ? 1 : 20_000, leader.process) {
        leader.isReconciling = false
        self.reconcile(leader)
      }
    }
  }

  /// Lifts fences and ends arrivals that the metadata want no more.
  func tidy(_ leader: ShardLeader) {
    guard leader.isServing, !leader.isTidying else { return }
    let (image, state) = (leader.process.image, leader.state)
    let mutants = world.settings.shellMutants
    var entry: SimulatedShard.Entry?
    for (tablet, fence) in state.fences.sorted(by: { $0.key < $1.key }) where !mutants.contains(.leavesFence) {
      // Metadata that are older than the fence know nothing of it. One that has moved away stays fenced until it is dropped.
      guard image.index >= fence.metadataIndex || mutants.contains(.liftsByOldMetadata),
        image.tablets[Cells.tabletID(tablet)]?.shardID == leader.shard.id,
        image.migrations.open[fence.id]?.isCutting(attempt: fence.attempt) != true
      else { continue }
      entry = .fence(tablet, fence.id, attempt: fence.attempt, .lift, metadataIndex: image.index)
    }
    for (tablet, arrival) in state.arrivals.sorted(by: { $0.key < $1.key }) where entry == nil {
      guard image.index >= state.metadataIndex else { continue }
      let migration = image.migrations.open[arrival.id]
      let isOwner = image.tablets[Cells.tabletID(tablet)]?.shardID == leader.shard.id
      let isOver = isOwner && (migration == nil || migration?.origin == leader.shard.id)
      let isLeft =
        !isOwner && state.tablets[tablet] == nil && !image.isKept(Cells.tabletID(tablet), on: leader.shard.id)
      guard isOver || isLeft else { continue }
      entry = .arrival(tablet, arrival.id, .ended(metadataIndex: image.index))
    }
    guard let entry else { return }
    leader.isTidying = true
    propose(leader, entry) { result in
      self.after(result == .applied ? 1 : 20_000, leader.process) {
        leader.isTidying = false
        self.tidy(leader)
      }
    }
  }

  // MARK: Statements

  /// Waits until no fence is in the way of a statement. `done`: what is to be answered instead of going on.
  func passFences(
    _ statement: ShardStatement, _ leader: ShardLeader, deadline: UInt64,
    _ done: @escaping (ShardAnswer.Body?) -> Void
  ) {
    guard leader.isServing else { return done(.notLeader(nil)) }
    if let stale = staleRoute(statement, leader) { return done(stale) }
    guard isFenced(statement, leader) else { return done(nil) }
    guard world.now < deadline else { return done(.failed(.serialization)) }
    after(10_000, leader.process) {
      self.follow(leader.process)
      self.reconcile(leader)
      self.passFences(statement, leader, deadline: deadline, done)
    }
  }

  /// Whether a tablet is elsewhere by the metadata, or not here.
  func staleRoute(_ statement: ShardStatement, _ leader: ShardLeader) -> ShardAnswer.Body? {
    let image = leader.process.image
    for (tablet, epoch) in statement.epochs {
      guard let route = image.tablets[Cells.tabletID(tablet)], route.shardID == leader.shard.id, route.epoch <= epoch,
        leader.state.tablets[tablet] != nil
      else { return .staleRoute(image.index) }
    }
    guard let others = statement.snapshot?.epochs, !world.settings.shellMutants.contains(.snapshotIgnoresMoves) else {
      return nil
    }
    for (tablet, epoch) in others where image.tablets[Cells.tabletID(tablet)]?.epoch ?? .max > epoch {
      return .staleRoute(image.index)
    }
    return nil
  }

  private func isFenced(_ statement: ShardStatement, _ leader: ShardLeader) -> Bool {
    if let write = statement.write, refuses(Cells.tablet(write.cell), isWrite: true, leader) { return true }
    return statement.reads.contains { refuses(Cells.tablet($0), isWrite: false, leader) }
  }

  func refuses(_ tablet: Int, isWrite: Bool, _ leader: ShardLeader) -> Bool {
    if isWrite, leader.fencing.contains(tablet) { return true }
    guard let fence = leader.state.fences[tablet] else { return false }
    let readsLate = world.settings.shellMutants.contains(.readsAfterRoute)
    return isWrite ? !leader.forgetsFences : fence.refusesReads && !readsLate
  }
}
