import Coordination
import Metadata

/// The ends of transactions: one phase on one shard, two phases over several, and what the log may forget.
extension TransactionWorld {
  func commit(_ transaction: SimulatedTransaction) {
    transaction.waitingSince = nil
    history.committing(transaction.name, at: world.now)
    for shard in transaction.joined.subtracting(transaction.written).sorted() {
      rollback(transaction, on: shard, tries: 3)
    }
    guard transaction.written.count <= 1 else { return commitInTwoPhases(transaction) }
    guard let shard = transaction.written.first else {
      judge(history.acknowledged(transaction.name, at: world.now))
      return ended(transaction)
    }
    askLeader(transaction.compute, shard, .commit(transaction.name), patience: 15_000_000) { answer in
      switch answer {
      case .committed: self.judge(self.history.acknowledged(transaction.name, at: self.world.now))
      case .failed: self.judge(self.history.refused(transaction.name))
      default: break
      }
      self.ended(transaction)
    }
  }

  /// Asks whichever replica leads the shard, again where it changes: for requests that do no harm when they come twice.
  func askLeader(
    _ compute: SimulatedCompute, _ shard: Int, _ body: ShardCall.Body, patience: UInt64,
    _ done: @escaping (ShardAnswer.Body?) -> Void
  ) {
    let deadline = world.now + patience
    func attempt(_ pause: UInt64) {
      guard world.now < deadline else { return done(nil) }
      call(compute.process, shards[shard], compute.leaders[shard], body, timeout: 700_000) { answer in
        switch answer?.body {
        case .notLeader(let hint):
          compute.leaders[shard] = hint ?? self.chance.below(3)
          self.after(hint == nil ? pause : 1_000, compute.process) { attempt(min(pause * 2, 250_000)) }
        case nil:
          compute.leaders[shard] = self.chance.below(3)
          self.after(pause, compute.process) { attempt(min(pause * 2, 250_000)) }
        case .some(let body): done(body)
        }
      }
    }
    attempt(10_000)
  }

  // MARK: Two phases

  private final class Run {
    var machine: CommitCoordinator
    let transaction: SimulatedTransaction
    let participants: [ShardID]
    var hasAnswered = false
    init(_ machine: CommitCoordinator, _ transaction: SimulatedTransaction, _ participants: [ShardID]) {
      self.machine = machine
      self.transaction = transaction
      self.participants = participants
    }
  }

  private func commitInTwoPhases(_ transaction: SimulatedTransaction) {
    let compute = transaction.compute
    let id = compute.ledger.next(compute.process.image.transactions)
    let participants = transaction.written.sorted().map { shards[$0].id }
    let (machine, effects) = CommitCoordinator.begin(id, shards: participants, mutants: mutants)
    let run = Run(machine, transaction, participants)
    history.named(transaction.name, id)
    world.tell("\(id) is to commit on shards \(participants)")
    for effect in effects { perform(effect, run) }
  }

  private func step(_ run: Run, _ input: CommitCoordinator.Input) {
    for effect in run.machine.step(input) { perform(effect, run) }
  }

  private func perform(_ effect: CommitCoordinator.Effect, _ run: Run) {
    let compute = run.transaction.compute
    let id = run.machine.id
    switch effect {
    case .prepare(let shard):
      askLeader(
        compute, Cells.shard(shard), .prepare(run.transaction.name, id, participants: run.participants),
        patience: 15_000_000
      ) { answer in
        switch answer {
        case .prepared: self.step(run, .prepared(shard))
        case .nothingWritten: self.step(run, .wroteNothing(shard))
        case .failed: self.step(run, .refused(shard, certainly: true))
        default: self.step(run, .refused(shard, certainly: false))
        }
      }
    case .decide(let outcome, let participants): decide(run, outcome, participants)
    case .answer(let answer):
      switch answer {
      case .committed: judge(history.acknowledged(run.transaction.name, at: world.now))
      case .refused, .aborted: judge(history.refused(run.transaction.name))
      }
      tell(run)
    case .finish(let shard, let outcome, let index):
      askLeader(
        compute, Cells.shard(shard), .finish(run.transaction.name, id, outcome, index: index), patience: 15_000_000
      ) { answer in
        if case .finished = answer { self.step(run, .finished(shard)) }
      }
    case .resolve: resolve(id, compute)
    case .unused: compute.ledger.giveUp(id)
    }
  }

  private func tell(_ run: Run) {
    guard !run.hasAnswered else { return }
    run.hasAnswered = true
    ended(run.transaction)
  }

  private func decide(_ run: Run, _ outcome: TransactionOutcome, _ participants: [ShardID]) {
    let compute = run.transaction.compute
    stepDone(shards[run.transaction.written.min() ?? 0], compute)
    ask(
      compute.process, [.transaction(.decide(run.machine.id, outcome, participants: participants))],
      decides: run.machine.id, patience: 60_000_000
    ) { answer in
      self.stepDone(self.shards[run.transaction.written.max() ?? 0], compute)
      switch answer {
      case .decision(let standing, let index): self.step(run, .decided(standing, index: index))
      case .rejected where outcome == .commit: self.decide(run, .abort, participants)
      case .appended, .past, .rejected, .unknown: self.tell(run)
      }
    }
  }

  // MARK: What the log may forget

  private func resolve(_ id: GlobalTransactionID, _ compute: SimulatedCompute) {
    compute.ledger.finish(id)
    guard !compute.isResolving else { return }
    compute.isResolving = true
    resolveAll(compute)
  }

  private func resolveAll(_ compute: SimulatedCompute) {
    after(100_000, compute.process) {
      self.follow(compute.process)
      let (ids, commands) = compute.ledger.takeResolutions(16, compute.process.image.transactions)
      guard !commands.isEmpty else {
        compute.isResolving = false
        return
      }
      self.ask(compute.process, commands.map { .transaction($0) }, patience: 10_000_000) { answer in
        if case .appended = answer {} else { compute.ledger.failed(ids) }
        compute.isResolving = compute.ledger.finishedCount > 0
        if compute.isResolving { self.resolveAll(compute) }
      }
    }
  }
}
