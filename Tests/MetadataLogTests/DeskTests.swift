import Metadata
import MetadataLog
import MetadataWire
import SQLTypes
import Testing

@Suite struct DeskTests {
  private let refused = AppendAnswer.rejected(
    Rejection(.duplicateSchema, "schema \"s\" already exists"))

  @Test func aLeaderFoldsWhatItProposedToTheImageThatFollowersDecode() throws {
    var fixture = try LogFixture()
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole), id: RequestID(client: "c", sequence: 1))
    try fixture.append(note("a"), note("b"))
    try fixture.commit()
    #expect(fixture.leader.image == (try fixture.follower().image))
    #expect(fixture.leader.image.index == 6)
    #expect(fixture.leader.image.notes["test"] == NoteTopic(count: 2, lastIndex: 6))
  }

  @Test func aRefusalIsFinalOnceWhatItWasDecidedAgainstIsCommitted() throws {
    var fixture = try LogFixture()
    let index = try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    let (answer, settlement) = try #require(
      fixture.decide(.createSchema(name: "s", ownerID: WellKnown.firstRole)).settled)
    #expect(answer == refused)
    #expect(settlement.index == index)
    #expect(fixture.leader.progress(of: settlement) == .waiting)
    try fixture.commit()
    #expect(fixture.leader.progress(of: settlement) == .reached)
  }

  @Test func aRefusalIsLostWithTheLeadershipEvenWhereItsGroundIsCommitted() throws {
    var fixture = try LogFixture()
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    try fixture.commit()
    let (_, settlement) = try #require(
      fixture.decide(.createSchema(name: "s", ownerID: WellKnown.firstRole)).settled)
    fixture.leader.leadershipChanged(isLeader: false, term: 2)
    #expect(fixture.leader.progress(of: settlement) == .lost)
    fixture.leader.leadershipChanged(isLeader: true, term: 3)
    #expect(fixture.leader.progress(of: settlement) == .lost)
  }

  @Test func whatWasInFlightIsForgottenWithTheLeadership() throws {
    var fixture = try LogFixture()
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    fixture.leader.leadershipChanged(isLeader: false, term: 2)
    guard case .notLeader = fixture.decide(note("a")) else {
      Issue.record("decided without leadership")
      return
    }
    fixture.log.removeLast()
    fixture.term = 3
    fixture.leader.leadershipChanged(isLeader: true, term: 3)
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    try fixture.commit()
    #expect(fixture.leader.image == (try fixture.follower().image))
  }

  @Test func aRetryWhileTheFirstIsInFlightGetsItsResult() throws {
    var fixture = try LogFixture()
    let id = RequestID(client: "c", sequence: 1)
    let index = try fixture.append(note("a"), id: id)
    guard case .firstResult(index, let settlement) = fixture.decide(note("a"), id: id) else {
      Issue.record("decided twice")
      return
    }
    #expect(fixture.leader.progress(of: settlement) == .waiting)
    try fixture.commit()
    #expect(fixture.leader.progress(of: settlement) == .reached)
    #expect(
      fixture.leader.firstResult(at: index)
        == .appended(
          index: index, events: [.noteRecorded(topic: "test", content: Array("a".utf8))], areEventsCompacted: false))
  }

  @Test func thatNothingHadToChangeIsToldWithTheStateThatWasFoundSo() throws {
    var fixture = try LogFixture()
    let index = try fixture.append(.setSetting(name: "a", value: "1"))
    let (answer, settlement) = try #require(fixture.decide(.setSetting(name: "a", value: "1")).settled)
    #expect(answer == .appended(index: index, events: [], areEventsCompacted: false))
    #expect(settlement.index == index)
  }

  @Test func anEntryOfTheOwnTermThatWasNotProposedStopsTheLeader() throws {
    var fixture = try LogFixture()
    try fixture.append(note("a"))
    let entry = fixture.log[1]
    #expect(throws: ApplyError.notProposed(index: 9)) {
      try fixture.leader.apply(index: 9, term: 1, body: entry.body)
    }
  }

  @Test func anEntryThatDoesNotContinueTheChainStopsAFollower() throws {
    var fixture = try LogFixture()
    try fixture.append(note("a"))
    try fixture.append(note("b"))
    var follower = MetadataState(recentBytes: 1_000)
    try follower.apply(index: 2, term: 1, body: fixture.log[0].body)
    #expect(throws: ApplyError.brokenChain(index: 6, previous: 4, known: 2)) {
      try follower.apply(index: 6, term: 1, body: fixture.log[2].body)
    }
    #expect(throws: ApplyError.entry(index: 7, .malformed("record"))) {
      try follower.apply(index: 7, term: 1, body: [0xff])
    }
  }

  @Test func aRecordThatIsTooLargeIsRefused() throws {
    let fixture = try LogFixture()
    let content = [UInt8](repeating: 1, count: NoteTopic.maximumContentBytes)
    let request = AppendRequest(
      principal: "tester", commands: Array(repeating: .recordNote(topic: "t", content: content), count: 130))
    let (answer, _) = try #require(fixture.leader.decide(request, timeMicroseconds: 0).settled)
    guard case .rejected(let rejection) = answer else {
      Issue.record("not refused: \(answer)")
      return
    }
    #expect(rejection.sqlState == .programLimitExceeded)
  }
}

@Suite struct TransactionAnswerTests {
  private func decide(_ sequence: UInt64, _ outcome: TransactionOutcome) -> Command {
    .transaction(.decide(id(sequence), outcome, participants: [ShardID(rawValue: 1)]))
  }

  private func id(_ sequence: UInt64) -> GlobalTransactionID {
    GlobalTransactionID(coordinator: NodeID(rawValue: 1), incarnation: 1, sequence: sequence)
  }

  private func decided(_ sequence: UInt64, _ outcome: TransactionOutcome) -> Event {
    .transaction(.decided(id(sequence), outcome, participants: [ShardID(rawValue: 1)]))
  }

  @Test func aLaterDecisionIsAnsweredWithTheFirstOnceThatIsCommitted() throws {
    var fixture = try LogFixture()
    let index = try fixture.append(decide(1, .commit))
    try fixture.append(note("a"))
    let (answer, settlement) = try #require(fixture.decide(decide(1, .abort)).settled)
    #expect(answer == .appended(index: index, events: [decided(1, .commit)], areEventsCompacted: false))
    #expect(fixture.leader.progress(of: settlement) == .waiting)
    try fixture.commit()
    #expect(fixture.leader.progress(of: settlement) == .reached)
  }

  @Test func anAnswerTellsForEachTransactionTheDecisionThatStands() throws {
    var fixture = try LogFixture()
    try fixture.append(decide(1, .commit))
    guard case .propose(let proposal) = fixture.decide(decide(2, .commit), decide(1, .abort)) else {
      Issue.record("nothing to record")
      return
    }
    #expect(proposal.events == [decided(2, .commit)])
    #expect(
      proposal.answer(index: 9)
        == .appended(index: 9, events: [decided(2, .commit), decided(1, .commit)], areEventsCompacted: false))
  }

  @Test func aRetrysAnswerIsCompletedWithWhatStoodBefore() throws {
    var fixture = try LogFixture()
    try fixture.append(decide(1, .commit))
    let request = RequestID(client: "c", sequence: 1)
    let index = try fixture.append(decide(2, .commit), decide(1, .abort), id: request)
    try fixture.commit()
    guard case .firstResult(index, _) = fixture.decide(decide(2, .commit), decide(1, .abort), id: request) else {
      Issue.record("decided twice")
      return
    }
    let asked = AppendRequest(
      principal: "tester", requestID: request, commands: [decide(2, .commit), decide(1, .abort)])
    let first = try #require(fixture.leader.firstResult(at: index))
    #expect(
      fixture.leader.completed(first, asked)
        == .appended(index: index, events: [decided(2, .commit), decided(1, .commit)], areEventsCompacted: false))
    // Once that was resolved, it cannot be told any more.
    try fixture.append(.transaction(.resolve(id(1))))
    try fixture.commit()
    guard case .rejected(let rejection) = fixture.leader.completed(first, asked) else {
      Issue.record("not refused")
      return
    }
    #expect(rejection.sqlState.rawValue == "08007")
  }
}

@Suite struct NoteTests {
  @Test func notesNeedTheirFeatureLevel() throws {
    var image = try LogFixture().leader.image
    image.featureLevel = 1
    let request = AppendRequest(principal: "tester", commands: [note("a")])
    guard case .failure(let rejection) = decide(request, image) else {
      Issue.record("not refused")
      return
    }
    #expect(rejection.message == "notes need feature level 2, and the cluster is at 1")
    let raise = AppendRequest(principal: "tester", commands: [.raiseFeatureLevel(nil), note("a")])
    #expect(
      try decide(raise, image).get() == [
        .featureLevelRaised(3), .noteRecorded(topic: "test", content: Array("a".utf8)),
      ])
  }

  @Test func aLevelThatNobodyUnderstandsIsRefused() throws {
    let image = try LogFixture().leader.image
    let request = AppendRequest(principal: "tester", commands: [.raiseFeatureLevel(4)])
    #expect(
      decide(request, image)
        == .failure(
          Rejection(
            .featureNotSupported, "the leader understands feature level 3, not 4",
            hint: "Run a newer version of kunlog.")))
  }

  @Test func topicsAreBounded() throws {
    var fixture = try LogFixture()
    for number in 0..<1_000 { try fixture.append(note("a", topic: "t\(number)")) }
    let (answer, _) = try #require(fixture.decide(note("a", topic: "more")).settled)
    guard case .rejected(let rejection) = answer else {
      Issue.record("not refused: \(answer)")
      return
    }
    #expect(rejection.message == "there are 1000 topics of notes already")
    try fixture.append(note("b", topic: "t7"))
  }
}
