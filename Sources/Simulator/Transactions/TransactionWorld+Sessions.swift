import Coordination
import Metadata

/// The sessions of compute nodes: transfers between accounts, appends to lists, and reads that must never see half of anything.
extension TransactionWorld {
  private static let sessionCount = 3

  func start(_ compute: SimulatedCompute) {
    compute.process.start()
    compute.begin(at: world.now + 1, mutants)
    for session in 0..<Self.sessionCount { pause(compute, session) }
  }

  /// Its sessions end with it; what they had asked for may or may not come about.
  func crash(_ compute: SimulatedCompute, restartsAfter delay: UInt64) {
    guard compute.process.isUp else { return }
    world.tell("compute node \(compute.number) crashes")
    for transaction in compute.running.values.sorted(by: { $0.name < $1.name }) { history.lost(transaction.name) }
    compute.running = [:]
    compute.process.crash()
    disturb()
    after(delay, end: compute.process.end) { if !compute.process.isUp { self.start(compute) } }
  }

  private func pause(_ compute: SimulatedCompute, _ session: Int) {
    if chance.below(300) == 0 { burst = 60 }
    if burst > 0 { burst -= 1 }
    after(burst > 0 ? chance.below(20_000) : chance.wait(mean: 3_000_000), compute.process) {
      self.learnRoutes(compute)
      guard self.isFounded, compute.routes.count == Cells.tabletCount else { return self.pause(compute, session) }
      self.begin(compute, session)
    }
  }

  private func begin(_ compute: SimulatedCompute, _ session: Int) {
    let kind = chance.below(100)
    let isRepeatableRead = chance.below(3) == 0
    var isCluster = chance.below(3) == 0
    var steps: [SimulatedTransaction.Step] = []
    var transfer: Int64 = 0
    switch kind {
    case ..<40:
      let from = chance.below(hotAccounts)
      let to = (from + 1 + chance.below(Cells.accountCount - 1)) % Cells.accountCount
      transfer = Int64(chance.between(1, 9))
      if isRepeatableRead, !isCluster, chance.below(2) == 0 { steps.append(.read([from, to])) }
      let writes: [SimulatedTransaction.Step] = [.write(from, .add(-transfer)), .write(to, .add(transfer))]
      steps += chance.below(2) == 0 ? writes : writes.reversed()
    case ..<75:
      let lists = (0..<3).map { _ in firstList + chance.below(8) }
      if chance.below(2) == 0 { steps.append(.read(Array(Set(lists)).sorted())) }
      for list in lists.prefix(1 + chance.below(3)) { steps.append(.write(list, .append(history.nextElement()))) }
      if chance.below(3) == 0, !isCluster { steps.append(.read([firstList + chance.below(8)])) }
      if chance.below(12) == 0 { firstList += 1 }
    default:
      isCluster = true
      let all = Array(0..<Cells.accountCount) + (0..<8).map { firstList + $0 }
      if isRepeatableRead {
        for shard in 0..<Cells.shardCount { steps.append(.read(all.filter { Cells.home(Cells.tablet($0)) == shard })) }
      } else {
        steps.append(.read(all))
      }
    }
    let transaction = SimulatedTransaction(
      name: compute.nextName(), compute: compute, session: session, isRepeatableRead: isRepeatableRead,
      isCluster: isCluster, rollsBack: chance.below(30) == 0, steps: steps)
    begin(transaction)
  }

  /// Many use a tablet at once, through each of the compute nodes: some append to a list of it, some read that.
  func crowd(_ tablet: Int) {
    let list = (firstList..<firstList + Cells.tabletCount).first { Cells.tablet($0) == tablet }!
    for compute in computes {
      for _ in 0..<6 {
        visit(compute, after: chance.below(250_000)) {
          [self.chance.below(2) == 0 ? .read([list]) : .write(list, .append(self.history.nextElement()))]
        }
      }
    }
  }

  /// Somebody comes for a single transaction. `awaiting`: it reads as of one moment, and awaits the move of that tablet meanwhile.
  func visit(
    _ compute: SimulatedCompute, after microseconds: UInt64, awaiting tablet: Int? = nil,
    _ steps: @escaping () -> [SimulatedTransaction.Step]
  ) {
    after(microseconds, compute.process) {
      self.learnRoutes(compute)
      guard compute.routes.count == Cells.tabletCount else { return }
      let transaction = SimulatedTransaction(
        name: compute.nextName(), compute: compute, session: Self.sessionCount, isRepeatableRead: false,
        isCluster: tablet != nil, rollsBack: false, steps: steps())
      transaction.awaitsMove = tablet.map { ($0, self.world.now + Self.lateness) }
      self.begin(transaction)
    }
  }

  private func begin(_ transaction: SimulatedTransaction) {
    transaction.compute.running[transaction.name] = transaction
    history.begin(transaction)
    guard transaction.isRepeatableRead, transaction.isCluster else { return proceed(transaction) }
    takeSnapshot(transaction, Array(0..<Cells.shardCount)) { snapshot in
      self.fix(transaction, snapshot, Array(0..<Cells.shardCount)[...])
    }
  }

  // MARK: Steps

  /// The client thinks for a moment, now and then.
  private func proceed(_ transaction: SimulatedTransaction) {
    guard chance.below(3) == 0 else { return next(transaction) }
    after(chance.below(80_000), transaction.compute.process) { self.next(transaction) }
  }

  private func next(_ transaction: SimulatedTransaction) {
    guard !transaction.isOver else { return }
    guard let step = transaction.steps.popFirst() else {
      if transaction.rollsBack { return fail(transaction) }
      return commit(transaction)
    }
    switch step {
    case .write(let cell, let change):
      if case .append(let element) = change { history.appends(transaction.name, element, to: cell) }
      transaction.waitingSince = world.now
      if !transaction.compute.isWatching {
        transaction.compute.isWatching = true
        look(transaction.compute)
      }
      write(transaction, cell, change)
    case .read(let cells): read(transaction, cells)
    }
  }

  private func write(_ transaction: SimulatedTransaction, _ cell: Int, _ change: CellChange) {
    let routes = transaction.compute.routes
    let shard = shard(of: cell, routes)
    execute(
      transaction, shard, reads: [], write: (cell, change), snapshot: nil, routes,
      replan: { self.write(transaction, cell, change) }
    ) { _ in
      transaction.waitingSince = nil
      transaction.written.insert(shard)
      self.history.wrote(transaction.name, on: shard)
      self.proceed(transaction)
    }
  }

  /// Plans a read, and runs it.
  private func read(_ transaction: SimulatedTransaction, _ cells: [Int]) {
    let routes = transaction.compute.routes
    var shards = Set(cells.map { shard(of: $0, routes) }).sorted()
    if let tablet = transaction.awaitsMove?.tablet {
      // Where it is comes first.
      let source = Cells.shard(routes[tablet].shardID)
      shards = [source] + shards.filter { $0 != source }
    }
    let isDistributed = transaction.isCluster && transaction.written.isEmpty && shards.count > 1
    let scope = ReadScope(history, cells, isOneMoment: transaction.hasSnapshot || isDistributed)
    // As of one moment, where that is asked for and not given anyway.
    guard isDistributed, !transaction.hasSnapshot else {
      return read(transaction, cells, shards[...], snapshot: nil, scope, routes)
    }
    takeSnapshot(transaction, shards) { [shards] snapshot in
      var snapshot = snapshot
      for cell in cells { snapshot.epochs[Cells.tablet(cell)] = routes[Cells.tablet(cell)].epoch }
      self.read(transaction, cells, shards[...], snapshot: snapshot, scope, routes)
    }
  }

  private func shard(of cell: Int, _ routes: [TabletDefinition]) -> Int {
    Cells.shard(routes[Cells.tablet(cell)].shardID)
  }

  /// Looks at the metadata, as far as a subscription would have brought them.
  private func learnRoutes(_ compute: SimulatedCompute) {
    follow(compute.process)
    let image = compute.process.image
    let routes = (0..<Cells.tabletCount).compactMap { image.tablets[Cells.tabletID($0)] }
    guard routes != compute.routes else { return }
    compute.routes = routes
    compute.routesIndex = image.index
  }

  /// Runs something once the metadata up to an index are known.
  private func learnRoutes(
    _ compute: SimulatedCompute, _ index: UInt64, deadline: UInt64, _ done: @escaping (Bool) -> Void
  ) {
    learnRoutes(compute)
    if compute.process.image.index >= index { return done(true) }
    guard world.now < deadline else { return done(false) }
    after(20_000, compute.process) { self.learnRoutes(compute, index, deadline: deadline, done) }
  }

  private func read(
    _ transaction: SimulatedTransaction, _ cells: [Int], _ shards: ArraySlice<Int>, snapshot: Snapshot?,
    _ scope: ReadScope, _ routes: [TabletDefinition]
  ) {
    var scope = scope
    guard let shard = shards.first else {
      judge(history.read(transaction, scope))
      return proceed(transaction)
    }
    let here = cells.filter { self.shard(of: $0, routes) == shard }
    execute(
      transaction, shard, reads: here, write: nil, snapshot: snapshot, routes,
      replan: { self.read(transaction, cells) }
    ) { values in
      for (cell, value) in zip(here, values) { scope.values.append((cell, value, shard)) }
      self.awaitMove(transaction) {
        self.read(transaction, cells, shards.dropFirst(), snapshot: snapshot, scope, routes)
      }
    }
  }

  /// Runs one request of a transaction; where it fails the transaction ends.
  private func execute(
    _ transaction: SimulatedTransaction, _ shard: Int, reads: [Int], write: (cell: Int, change: CellChange)?,
    snapshot: Snapshot?, _ routes: [TabletDefinition], replan: @escaping () -> Void,
    _ done: @escaping ([Cell]) -> Void
  ) {
    let compute = transaction.compute
    var epochs: [Int: UInt64] = [:]
    for cell in reads + (write.map { [$0.cell] } ?? []) {
      let tablet = Cells.tablet(cell)
      epochs[tablet] = routes[tablet].epoch
      // What it has seen elsewhere is of another moment.
      let isElsewhere = transaction.isRepeatableRead && transaction.usedShards[tablet].map { $0 != shard } == true
      if isElsewhere, !world.settings.shellMutants.contains(.rereadsAfterMove) {
        history.failures[.serialization, default: 0] += 1
        return fail(transaction)
      }
    }
    let continues = transaction.joined.contains(shard)
    transaction.joined.insert(shard)
    let statement = ShardStatement(
      name: transaction.name, continues: continues, isRepeatableRead: transaction.isRepeatableRead, reads: reads,
      write: write, epochs: epochs, metadataIndex: compute.routesIndex,
      snapshot: snapshot.map { ($0.hold, $0.decisionIndex, $0.epochs) })
    let begun = world.now
    func attempt(_ tries: Int) {
      call(compute.process, shards[shard], compute.leaders[shard], .execute(statement), timeout: 3_000_000) { answer in
        guard !transaction.isOver else { return }
        switch answer?.body {
        case .cells(let cells):
          for tablet in epochs.keys { transaction.usedShards[tablet] = shard }
          done(cells)
        case .staleRoute(let index) where transaction.replans < 20:
          transaction.replans += 1
          self.moves.result.replanned += 1
          if !continues { transaction.joined.remove(shard) }
          self.learnRoutes(compute, index, deadline: self.world.now + 3_000_000) { knows in
            guard !transaction.isOver else { return }
            guard knows else { return self.fail(transaction) }
            replan()
          }
        case .notLeader(let hint) where !continues && tries < 12:
          compute.leaders[shard] = hint ?? self.chance.below(3)
          self.after(20_000 * UInt64(tries), compute.process) { attempt(tries + 1) }
        case .failed(let failure):
          self.history.failures[failure, default: 0] += 1
          self.fail(transaction)
        default:
          compute.leaders[shard] = self.chance.below(3)
          self.checkPatience(transaction, shard, since: begun)
          self.fail(transaction)
        }
      }
    }
    attempt(1)
  }

  // MARK: Snapshots over several shards

  struct Snapshot {
    var hold: [UInt8]
    var decisionIndex: UInt64
    var epochs: [Int: UInt64] = [:]
  }

  private func takeSnapshot(
    _ transaction: SimulatedTransaction, _ shards: [Int], _ done: @escaping (Snapshot) -> Void
  ) {
    let compute = transaction.compute
    let take: () -> Void = {
      compute.isTakingSnapshot = true
      let hold = compute.nextName().bytes
      func next(_ rest: ArraySlice<Int>, _ index: UInt64) {
        guard !transaction.isOver else { return self.snapshotTaken(compute) }
        guard let shard = rest.first else {
          done(Snapshot(hold: hold, decisionIndex: index))
          // The next one may begin once this one is used; its holds would keep the others waiting.
          return self.after(2_000, compute.process) { self.snapshotTaken(compute) }
        }
        self.askLeader(compute, shard, .hold(hold), patience: 3_000_000) { answer in
          guard case .held(let held)? = answer else {
            self.fail(transaction)
            return self.snapshotTaken(compute)
          }
          next(rest.dropFirst(), max(index, held))
        }
      }
      next(shards[...], 0)
    }
    if compute.isTakingSnapshot { compute.snapshots.append(take) } else { take() }
  }

  private func snapshotTaken(_ compute: SimulatedCompute) {
    compute.isTakingSnapshot = false
    if !compute.snapshots.isEmpty { compute.snapshots.removeFirst()() }
  }

  /// All statements of the transaction are to see the moment, on all shards.
  private func fix(_ transaction: SimulatedTransaction, _ snapshot: Snapshot, _ shards: ArraySlice<Int>) {
    guard let shard = shards.first else {
      transaction.hasSnapshot = true
      return proceed(transaction)
    }
    execute(
      transaction, shard, reads: [], write: nil, snapshot: snapshot, [], replan: { self.fail(transaction) }
    ) { _ in
      self.fix(transaction, snapshot, shards.dropFirst())
    }
  }

  // MARK: Ends

  /// The session goes on to its next transaction.
  func ended(_ transaction: SimulatedTransaction) {
    transaction.isOver = true
    transaction.compute.running[transaction.name] = nil
    // One of a crowd has done what it came for.
    if transaction.session < Self.sessionCount { pause(transaction.compute, transaction.session) }
  }

  /// Undoes the transaction: an error, or its client's wish.
  func fail(_ transaction: SimulatedTransaction) {
    guard !transaction.isOver else { return }
    judge(history.refused(transaction.name))
    for shard in transaction.joined.sorted() { rollback(transaction, on: shard, tries: 3) }
    ended(transaction)
  }

  func rollback(_ transaction: SimulatedTransaction, on shard: Int, tries: Int) {
    guard tries > 0 else { return }
    let compute = transaction.compute
    call(compute.process, shards[shard], compute.leaders[shard], .rollback(transaction.name), timeout: 500_000) {
      if $0 == nil { self.rollback(transaction, on: shard, tries: tries - 1) }
    }
  }

  // MARK: Deadlocks

  /// While a request takes long, the shards are asked who waits for whom.
  private func look(_ compute: SimulatedCompute) {
    after(50_000, compute.process) {
      let waiting = compute.running.values.compactMap(\.waitingSince)
      compute.isWatching = !waiting.isEmpty
      guard compute.isWatching else {
        compute.previousWaits = WaitGraph([])
        return
      }
      defer { self.look(compute) }
      let isUrgent = waiting.contains { $0 <= self.world.now - 40_000 }
      guard isUrgent, !compute.isLookingForDeadlocks, !self.world.settings.shellMutants.contains(.ignoresDeadlocks)
      else { return }
      compute.isLookingForDeadlocks = true
      var reports: [ShardTransactions] = []
      var left = Cells.shardCount
      for shard in self.shards {
        self.call(
          compute.process, shard, compute.leaders[shard.number], .list(onlyBlocking: true), timeout: 200_000
        ) { answer in
          if case .report(let report)? = answer?.body { reports.append(report) }
          left -= 1
          if left == 0 { self.judgeWaits(compute, WaitGraph(reports: reports)) }
        }
      }
    }
  }

  private func judgeWaits(_ compute: SimulatedCompute, _ graph: WaitGraph<TransactionName>) {
    compute.isLookingForDeadlocks = false
    let victims = graph.confirmed(by: compute.previousWaits).victims()
    compute.previousWaits = graph
    for name in victims.sorted() {
      guard let transaction = compute.running[name], transaction.waitingSince != nil else { continue }
      history.failures[.deadlock, default: 0] += 1
      fail(transaction)
    }
  }
}
