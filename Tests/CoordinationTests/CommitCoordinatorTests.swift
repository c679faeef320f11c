import Coordination
import Metadata
import Testing

@Suite("The coordinator of a commit") struct CommitCoordinatorTests {
  private let id = GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: 1)
  private let one = ShardID(rawValue: 1)
  private let two = ShardID(rawValue: 2)

  @Test func `All prepare, the log decides, the client hears it, all finish, the log may forget`() {
    var (machine, effects) = CommitCoordinator.begin(id, shards: [two, one])
    #expect(effects == [.prepare(one), .prepare(two)])
    #expect(machine.step(.prepared(two)) == [])
    #expect(machine.step(.prepared(two)) == [])
    #expect(machine.step(.prepared(one)) == [.decide(.commit, participants: [one, two])])
    #expect(
      machine.step(.decided(.commit, index: 5))
        == [.answer(.committed), .finish(one, .commit, index: 5), .finish(two, .commit, index: 5)])
    #expect(machine.step(.finished(one)) == [])
    #expect(machine.step(.finished(two)) == [.resolve])
    #expect(machine.phase == .ended)
  }

  @Test func `A shard that cannot prepare is told to nobody else; the others abort by the log`() {
    var (machine, _) = CommitCoordinator.begin(id, shards: [one, two])
    #expect(
      machine.step(.refused(two, certainly: true))
        == [.answer(.refused(two)), .decide(.abort, participants: [one])])
    #expect(machine.step(.prepared(one)) == [])
    #expect(machine.step(.decided(.abort, index: 6)) == [.finish(one, .abort, index: 6)])
  }

  @Test func `A shard that may have prepared takes part in the abort`() {
    var (machine, _) = CommitCoordinator.begin(id, shards: [one, two])
    #expect(
      machine.step(.refused(two, certainly: false))
        == [.answer(.refused(two)), .decide(.abort, participants: [one, two])])
  }

  @Test func `The first decision in the log stands`() {
    var (machine, _) = CommitCoordinator.begin(id, shards: [one, two])
    _ = machine.step(.prepared(one))
    _ = machine.step(.prepared(two))
    #expect(
      machine.step(.decided(.abort, index: 7))
        == [.answer(.aborted), .finish(one, .abort, index: 7), .finish(two, .abort, index: 7)])
  }

  @Test func `Where nothing was written there is nothing to decide`() {
    var (machine, _) = CommitCoordinator.begin(id, shards: [one, two])
    #expect(machine.step(.wroteNothing(one)) == [])
    #expect(machine.step(.wroteNothing(two)) == [.answer(.committed), .unused])
    var (other, _) = CommitCoordinator.begin(id, shards: [one, two])
    _ = other.step(.wroteNothing(one))
    #expect(other.step(.refused(two, certainly: true)) == [.answer(.refused(two)), .unused])
  }
}

@Suite("A shard with prepared transactions") struct CommitParticipantTests {
  private let id = GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: 1)
  private let shards = [ShardID(rawValue: 1), ShardID(rawValue: 2)]

  @Test func `It carries out what was decided, once, and tries again where it could not`() {
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 0)
    #expect(machine.step(.decided(id, .commit, index: 5), now: 0) == [])
    #expect(machine.step(.prepared(id, participants: shards, tablets: []), now: 0) == [])
    #expect(machine.undecided == [id])
    #expect(machine.step(.decided(id, .commit, index: 5), now: 1) == [.finish(id, .commit, index: 5)])
    #expect(machine.step(.decided(id, .commit, index: 5), now: 2) == [])
    #expect(machine.step(.tick, now: 500) == [])
    _ = machine.step(.notFinished(id), now: 501)
    #expect(machine.step(.tick, now: 502) == [.finish(id, .commit, index: 5)])
    _ = machine.step(.finished(id, decisionIndex: 5), now: 503)
    #expect(machine.isIdle)
  }

  @Test func `It asks for an abort when its patience is over, and again after an answer that never came`() {
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 0)
    _ = machine.step(.prepared(id, participants: shards, tablets: []), now: 0)
    #expect(machine.step(.tick, now: 99) == [])
    #expect(machine.step(.tick, now: 100) == [.askToAbort(id, participants: shards)])
    #expect(machine.step(.tick, now: 400) == [])
    _ = machine.step(.unanswered(id), now: 400)
    #expect(machine.step(.tick, now: 499) == [])
    #expect(machine.step(.tick, now: 500) == [.askToAbort(id, participants: shards)])
    // The coordinator was first.
    #expect(machine.step(.decided(id, .commit, index: 8), now: 501) == [.finish(id, .commit, index: 8)])
  }

  @Test func `Who reads a tablet waits for what is prepared there at that moment, and for nothing else`() {
    let (one, other) = (TabletID(rawValue: 1), TabletID(rawValue: 2))
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 3)
    _ = machine.step(.prepared(id, participants: shards, tablets: [one]), now: 0)
    #expect(machine.isUnsettled([one, other]))
    #expect(!machine.isUnsettled([other]))
    #expect(machine.step(.settle([other], 1), now: 1) == [.ready(1)])
    #expect(machine.step(.settle([one, other], 2), now: 1) == [])
    #expect(machine.step(.wait(id, 3), now: 1) == [])
    #expect(machine.step(.decided(id, .commit, index: 5), now: 2) == [.finish(id, .commit, index: 5)])
    // The shard's log had no room: nobody is told that it has ended.
    #expect(machine.step(.notFinished(id), now: 3) == [])
    #expect(machine.step(.tick, now: 4) == [.finish(id, .commit, index: 5)])
    #expect(machine.step(.finished(id, decisionIndex: 5), now: 5) == [.ready(2), .ready(3)])
    #expect(machine.step(.settle([one], 4), now: 6) == [.ready(4)])
    #expect(machine.decisionIndex == 5)
  }

  @Test func `A hold lets end what is prepared, and holds back later commits until it is released`() {
    let later = GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: 2)
    let doomed = GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: 3)
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 3)
    _ = machine.step(.prepared(id, participants: shards, tablets: []), now: 0)
    #expect(machine.step(.hold([1], 1), now: 1) == [])
    #expect(machine.step(.decided(id, .commit, index: 5), now: 2) == [.finish(id, .commit, index: 5)])
    #expect(machine.step(.finished(id, decisionIndex: 5), now: 3) == [.held(1, decisionIndex: 5)])
    for name in [later, doomed] { _ = machine.step(.prepared(name, participants: shards, tablets: []), now: 4) }
    #expect(machine.step(.decided(later, .commit, index: 8), now: 5) == [])
    #expect(machine.step(.decided(doomed, .abort, index: 9), now: 5) == [.finish(doomed, .abort, index: 9)])
    #expect(machine.step(.tick, now: 50) == [])
    #expect(machine.step(.reach(7, [2], 2), now: 51) == [.reached(2, false)])
    _ = machine.step(.finished(doomed, decisionIndex: 5), now: 52)
    #expect(machine.step(.reach(7, [1], 3), now: 53) == [.reached(3, true)])
    #expect(machine.step(.release([1]), now: 54) == [.finish(later, .commit, index: 8)])
  }

  @Test func `A snapshot is of its decision: all up to there is carried out first`() {
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 3)
    #expect(machine.step(.hold([1], 1), now: 0) == [.held(1, decisionIndex: 3)])
    _ = machine.step(.prepared(id, participants: shards, tablets: []), now: 1)
    #expect(machine.step(.decided(id, .commit, index: 8), now: 2) == [])
    #expect(machine.step(.reach(8, [1], 2), now: 3) == [.finish(id, .commit, index: 8)])
    #expect(machine.step(.finished(id, decisionIndex: 8), now: 4) == [.reached(2, true)])
    #expect(machine.isIdle == false)
    // A hold whose snapshot never comes ends by itself.
    _ = machine.step(.tick, now: CommitParticipant.holdMilliseconds)
    #expect(machine.isIdle)
    #expect(machine.step(.reach(8, [1], 3), now: 600) == [.reached(3, false)])
  }

  @Test func `What is past had aborted`() {
    var machine = CommitParticipant(patienceMilliseconds: 100, decisionIndex: 0)
    _ = machine.step(.prepared(id, participants: shards, tablets: []), now: 0)
    #expect(machine.step(.past(id), now: 1) == [.finish(id, .abort, index: 0)])
  }
}

@Suite("A coordinator's names") struct CommitLedgerTests {
  private let node = NodeID(rawValue: 7)
  private func id(_ incarnation: UInt64, _ sequence: UInt64) -> GlobalTransactionID {
    GlobalTransactionID(coordinator: node, incarnation: incarnation, sequence: sequence)
  }

  @Test func `Names rise from start to start, although the clock goes back`() {
    var table = TransactionTable()
    var ledger = CommitLedger(node: node, startMicroseconds: 1000)
    #expect([ledger.next(table), ledger.next(table)] == [id(1000, 1), id(1000, 2)])
    table.coordinators[node] = CoordinatorHistory(incarnation: 1000)
    var second = CommitLedger(node: node, startMicroseconds: 900)
    #expect(second.next(table) == id(1001, 1))
    #expect(second.next(TransactionTable()) == id(1001, 2))
  }

  @Test func `The log hears of finished transactions, and up to where it need not keep gaps`() {
    let table = TransactionTable()
    var ledger = CommitLedger(node: node, startMicroseconds: 5)
    let names = (0..<4).map { _ in ledger.next(table) }
    ledger.finish(names[1])
    ledger.finish(names[0])
    var told = ledger.takeResolutions(10, table)
    #expect(told.ids == [names[1], names[0]])
    #expect(told.commands == [.resolve(names[0]), .resolve(names[1])])
    // The third was never decided, the last may still be asked for.
    ledger.giveUp(names[2])
    told = ledger.takeResolutions(10, table)
    #expect(told.commands == [.settle(before: names[3])])
    #expect(ledger.takeResolutions(10, table).commands == [])
    ledger.finish(names[3])
    told = ledger.takeResolutions(10, table)
    #expect(told.commands == [.resolve(names[3])])
    ledger.failed(told.ids)
    #expect(ledger.takeResolutions(10, table).commands == [.settle(before: names[3])])
  }
}

@Suite("What the log may forget") struct CommitResolverTests {
  @Test func `Each participant has consumed the decision and holds the transaction no longer`() {
    let ids = (1...3).map { GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: $0) }
    let (one, two) = (ShardID(rawValue: 1), ShardID(rawValue: 2))
    let open = Dictionary(
      uniqueKeysWithValues: ids.map {
        ($0, OpenTransaction(outcome: .commit, participants: [one, two], index: 10 * $0.sequence))
      })
    let reports: [ShardID: ShardTransactions] = [
      one: .init(transactions: [ShardTransaction(name: TransactionName([1]), id: ids[1])], metadataIndex: 25),
      two: .init(transactions: [], metadataIndex: 40),
    ]
    // The second is still held, the third was decided after the first shard's report.
    #expect(CommitResolver.resolvable(open, reports) == [ids[0]])
    #expect(CommitResolver.resolvable(open, [two: .init(transactions: [], metadataIndex: 40)]) == [])
    #expect(CommitResolver.shards(of: open) == [one, two])
  }
}

@Suite("Waits over all shards") struct WaitGraphTests {
  private func graph(_ waits: [(Int, Int)]) -> WaitGraph<Int> {
    WaitGraph(waits.map { WaitGraph<Int>.Wait(waiter: $0.0, blocker: $0.1, resource: 1) })
  }

  @Test func `The youngest of each circle is the victim`() {
    #expect(graph([(1, 2), (2, 3)]).victims() == [])
    #expect(graph([(1, 2), (2, 1)]).victims() == [2])
    #expect(graph([(1, 2), (2, 3), (3, 1), (4, 1), (5, 6), (6, 5)]).victims() == [3, 6])
    // One victim ends both circles that it is part of.
    #expect(graph([(1, 9), (9, 1), (2, 9), (9, 2)]).victims() == [9])
    #expect(graph([(1, 2), (2, 1), (2, 3), (3, 2)]).victims() == [2, 3])
  }

  @Test func `A circle is believed when its waits are reported twice`() {
    let first = graph([(1, 2), (2, 1)])
    #expect(first.confirmed(by: graph([(1, 2), (2, 3)])).victims() == [])
    #expect(first.confirmed(by: first).victims() == [2])
  }
}
