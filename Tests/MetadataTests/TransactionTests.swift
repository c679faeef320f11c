import Metadata
import SQLTypes
import Testing

/// Two-phase commit: one outcome for ever.
@Suite struct TransactionTests {
  private let both = [ShardID(rawValue: 1), ShardID(rawValue: 2)]

  @Test func theFirstDecisionStandsAndALaterOneRecordsNothing() throws {
    var fixture = try Fixture.cluster()
    #expect(
      try fixture.append(transaction(1, 1, .commit)) == [
        .transaction(.decided(transactionID(1, 1), .commit, participants: both))
      ])
    let decided = fixture.image.index
    #expect(fixture.image.transactions.open[transactionID(1, 1)]?.index == decided)
    #expect(try fixture.append(transaction(1, 1, .abort)) == [])
    #expect(fixture.image.transactions.open[transactionID(1, 1)]?.outcome == .commit)
  }

  @Test func whoAsksLaterLearnsTheDecisionThatStands() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(transaction(1, 1, .commit))
    let index = fixture.image.index
    let request = AppendRequest(
      principal: "p", commands: [transaction(1, 2, .abort), transaction(1, 1, .abort), transaction(1, 2, .commit)])
    let events = try decide(request, fixture.image).get()
    let abort = Event.transaction(.decided(transactionID(1, 2), .abort, participants: both))
    #expect(events == [abort])
    let standing = try #require(request.standingDecisions(events, fixture.image))
    #expect(
      standing.events == [abort, .transaction(.decided(transactionID(1, 1), .commit, participants: both)), abort])
    #expect(standing.index == index)
    #expect(!request.agrees(with: standing.events))
  }

  @Test func otherParticipantsThanThoseOfTheDecisionAreRefused() throws {
    var fixture = try Fixture.cluster(shards: 3)
    try fixture.append(transaction(1, 1, .commit, shards: [2, 1]))
    let rejection = fixture.rejection(transaction(1, 1, .commit, shards: [1, 3]))
    #expect(rejection?.sqlState.rawValue == "42710")
    #expect(rejection?.message == "transaction 1-1-1 was decided for shards 1, 2, not for 1, 3")
    #expect(
      rejection?.hint
        == "Its coordinator has used an id twice: start it anew, so that it takes a new incarnation.")
  }

  @Test func whatWasForgottenIsNeverDecidedAgain() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(transaction(1, 7, .commit))
    try fixture.append(.transaction(.resolve(transactionID(1, 7))))
    #expect(fixture.image.transactions.open.isEmpty)
    for outcome in [TransactionOutcome.commit, .abort] {
      let rejection = fixture.rejection(transaction(1, 7, outcome))
      #expect(rejection?.sqlState.rawValue == "08007")
      #expect(
        rejection?.message == "transaction 1-1-7 is past: it was resolved, and cannot be decided any more")
    }
    #expect(try fixture.append(.transaction(.resolve(transactionID(1, 7)))) == [])
    // Its neighbours are free.
    try fixture.append(transaction(1, 6, .commit), transaction(1, 8, .abort))
  }

  @Test func anEarlierIncarnationMayOnlyAbort() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(transaction(5, 1, .commit))
    let rejection = fixture.rejection(transaction(4, 9, .commit))
    #expect(rejection?.message == "transaction 1-4-9 cannot commit: node 1 has started anew since, as incarnation 5")
    #expect(rejection?.hint == "What an earlier incarnation left undecided can only be aborted.")
    try fixture.append(transaction(4, 9, .abort))
    #expect(fixture.image.transactions.open[transactionID(4, 9)]?.outcome == .abort)
  }

  @Test func nothingBeforeTheWatermarkIsDecidedAnew() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(transaction(1, 3, .commit))
    try fixture.append(.transaction(.settle(before: transactionID(1, 10))))
    // What was decided before stands until it is resolved.
    #expect(try fixture.append(transaction(1, 3, .abort)) == [])
    #expect(fixture.rejection(transaction(1, 9, .abort))?.sqlState.rawValue == "08007")
    try fixture.append(transaction(1, 10, .commit))
    #expect(try fixture.append(.transaction(.settle(before: transactionID(1, 9)))) == [])
    try fixture.append(.transaction(.settle(before: transactionID(2, 1))))
    #expect(fixture.rejection(transaction(1, 11, .abort))?.sqlState.rawValue == "08007")
    #expect(fixture.image.transactions.open.count == 2)
  }

  @Test func resolvedTransactionsAreKeptAsRangesAboveTheWatermark() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.transaction(.settle(before: transactionID(1, 1))))
    for sequence in [3, 1, 5, 2, 4, 9] as [UInt64] {
      try fixture.append(transaction(1, sequence, .commit))
      try fixture.append(.transaction(.resolve(transactionID(1, sequence))))
    }
    let history = try #require(fixture.image.transactions.coordinators[NodeID(rawValue: 1)])
    #expect(history.settledIncarnation == 1)
    #expect(history.settledSequence == 6)
    #expect(history.ranges == [CoordinatorHistory.Range(incarnation: 1, first: 9, last: 9)])
    for sequence in 1...10 as ClosedRange<UInt64> {
      #expect(history.isPast(transactionID(1, sequence)) == (sequence <= 5 || sequence == 9))
    }
  }

  @Test func rangesAreBounded() throws {
    var image = try Fixture.cluster().image
    var index = image.index
    func append(_ command: Command) throws {
      for event in try decide(AppendRequest(principal: "p", commands: [command]), image).get() {
        index += 1
        image.apply(event, at: index)
      }
    }
    for number in 1...UInt64(TransactionTable.maximumRanges) {
      try append(transaction(1, number * 2, .commit))
      try append(.transaction(.resolve(transactionID(1, number * 2))))
    }
    try append(transaction(1, 9_000, .commit))
    #expect(throws: Rejection.self) { try append(.transaction(.resolve(transactionID(1, 9_000)))) }
    // One that joins a range is no new one, and settling makes room.
    try append(transaction(1, 3, .commit))
    try append(.transaction(.resolve(transactionID(1, 3))))
    try append(.transaction(.settle(before: transactionID(1, 1_000))))
    try append(.transaction(.resolve(transactionID(1, 9_000))))
    #expect(image.transactions.open.isEmpty)
  }

  @Test func aCoordinatorIsANodeThatExists() throws {
    var fixture = try Fixture.cluster()
    let compute = NodeDefinition(id: NodeID(rawValue: 9), role: .compute, name: "c", host: "h", port: 1)
    func decision(_ sequence: UInt64, _ outcome: TransactionOutcome) -> Command {
      .transaction(
        .decide(
          GlobalTransactionID(coordinator: compute.id, incarnation: 1, sequence: sequence), outcome, participants: both)
      )
    }
    #expect(
      fixture.rejection(decision(1, .abort))?.message
        == "transaction 9-1-1: its coordinator, node 9, does not exist")
    try fixture.append(.registerNode(compute))
    try fixture.append(decision(1, .commit))
    try fixture.append(.removeNode(compute.id))
    #expect(
      fixture.rejection(decision(2, .commit))?.message
        == "transaction 9-1-2 cannot commit: its coordinator, node 9, was removed")
    try fixture.append(decision(2, .abort))
  }

  @Test func badDecisionsAreRefused() throws {
    let fixture = try Fixture.cluster()
    #expect(
      fixture.rejection(transaction(1, 1, .commit, shards: []))?.message == "transaction 1-1-1 has no participants")
    #expect(fixture.rejection(transaction(1, 1, .commit, shards: [9]))?.message == "shard 9 does not exist")
    #expect(
      fixture.rejection(transaction(0, 1, .commit))?.message
        == "transaction 1-0-1: incarnations and sequences count from 1")
    #expect(
      fixture.rejection(.transaction(.resolve(transactionID(1, 1))))?.message
        == "transaction 1-1-1 has not been decided")
    #expect(
      fixture.rejection(transaction(1, 1, .commit), .setSetting(name: "a", value: "b"))?.message
        == "a request that decides transactions may hold no other commands")
  }

  @Test func transactionsNeedTheirFeatureLevel() throws {
    var fixture = try Fixture.cluster()
    fixture.image.featureLevel = 2
    let rejection = fixture.rejection(transaction(1, 1, .commit))
    #expect(
      rejection?.message == "transactions over several shards need feature level 3, and the cluster is at 2")
    #expect(
      rejection?.hint
        == "Once every process runs this version of kunlog, raise the level: kunlog cluster upgrade.")
  }

  @Test func openTransactionsAndMigrationsHoldCompactionBack() throws {
    var fixture = try Fixture.cluster()
    #expect(fixture.image.oldestHeldIndex == nil)
    #expect(fixture.image.compactionHolds == [])
    try fixture.append(.createTable(draft("t", shard: 1)))
    let tablet = try #require(fixture.image.tablet(of: try fixture.id("t")))
    try fixture.append(
      .migration(.plan(tablet.id, target: ShardID(rawValue: 2), epoch: nil, maximumRetries: nil, reason: "")))
    let migrated = fixture.image.index
    try fixture.append(transaction(1, 1, .commit))
    let decided = fixture.image.index
    #expect(fixture.image.oldestHeldIndex == migrated)
    #expect(
      fixture.image.compactionHolds == [
        CompactionHold(index: migrated, text: "migration 1 of tablet 1 from shard 1 to shard 2, planned"),
        CompactionHold(index: decided, text: "transaction 1-1-1, commit, not resolved at shards 1, 2"),
      ])
    try fixture.append(.migration(.fail(MigrationID(rawValue: 1), reason: "")))
    try fixture.append(.migration(.advance(MigrationID(rawValue: 1), attempt: 0, .rolledBack)))
    #expect(fixture.image.oldestHeldIndex == decided)
    try fixture.append(.transaction(.resolve(transactionID(1, 1))))
    #expect(fixture.image.oldestHeldIndex == nil)
  }
}

/// Which manager acts.
@Suite struct ManagerTests {
  private func cluster() throws -> Fixture {
    var fixture = try Fixture.cluster()
    for id in [8, 9] as [UInt64] {
      try fixture.append(
        .registerNode(
          NodeDefinition(id: NodeID(rawValue: id), role: .manager, name: "manager\(id)", host: "h", port: Int(id))))
    }
    return fixture
  }

  @Test func aDeposedManagerIsRefusedAndToldWhoManages() throws {
    var fixture = try cluster()
    #expect(
      try fixture.append(.manager(.elect(NodeID(rawValue: 8), after: 0))) == [
        .manager(.elected(NodeID(rawValue: 8), epoch: 1))
      ])
    try fixture.append(.setSetting(name: "a", value: "1"), managerEpoch: 1)
    try fixture.append(.manager(.elect(NodeID(rawValue: 9), after: 1)))
    let rejection = fixture.rejection(.setSetting(name: "a", value: "2"), managerEpoch: 1)
    #expect(rejection?.sqlState.rawValue == "40001")
    #expect(rejection?.message == "manager epoch 1 has ended")
    #expect(rejection?.detail == "Node 9 (manager9) manages since record \(fixture.image.index), epoch 2.")
    try fixture.append(.setSetting(name: "a", value: "2"), managerEpoch: 2)
  }

  @Test func ofTwoThatStandForElectionOneWins() throws {
    var fixture = try cluster()
    try fixture.append(.manager(.elect(NodeID(rawValue: 8), after: 0)))
    let rejection = fixture.rejection(.manager(.elect(NodeID(rawValue: 9), after: 0)))
    #expect(rejection?.sqlState.rawValue == "40001")
    #expect(rejection?.message == "another manager was elected since epoch 0")
  }

  @Test func aManagerResignsOnceAndIsFollowed() throws {
    var fixture = try cluster()
    try fixture.append(.manager(.elect(NodeID(rawValue: 8), after: 0)))
    #expect(try fixture.append(.manager(.resign(epoch: 1))) == [.manager(.resigned(epoch: 1))])
    #expect(try fixture.append(.manager(.resign(epoch: 1))) == [])
    #expect(fixture.image.manager.nodeID == nil)
    try fixture.append(.manager(.elect(NodeID(rawValue: 9), after: 1)))
    #expect(fixture.image.manager.epoch == 2)
    #expect(fixture.rejection(.manager(.resign(epoch: 1)))?.message == "manager epoch 1 has ended")
  }

  @Test func aManagerThatIsRemovedResigns() throws {
    var fixture = try cluster()
    try fixture.append(.manager(.elect(NodeID(rawValue: 8), after: 0)))
    #expect(
      try fixture.append(.removeNode(NodeID(rawValue: 8))) == [
        .manager(.resigned(epoch: 1)), .nodeRemoved(NodeID(rawValue: 8)),
      ])
    #expect(
      fixture.rejection(.setSetting(name: "a", value: "1"), managerEpoch: 7)?.detail?.hasPrefix("Nobody manages")
        == true)
  }

  @Test func onlyAManagerIsElected() throws {
    let fixture = try cluster()
    #expect(
      fixture.rejection(.manager(.elect(NodeID(rawValue: 1), after: 0)))?.message
        == "node 1 is a storage node, not a manager")
    #expect(
      fixture.rejection(.manager(.elect(NodeID(rawValue: 77), after: 0)))?.message == "node 77 does not exist")
  }
}
