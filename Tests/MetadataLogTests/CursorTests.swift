import Metadata
import MetadataLog
import Testing

@Suite struct CursorTests {
  /// Drives a cursor to the present; what it was given, as words.
  private func steps(
    _ request: SubscriptionCursor.Request, _ fixture: LogFixture, credit: Int = 64, logBegins: UInt64 = 0
  ) throws -> [String] {
    var cursor = SubscriptionCursor(request)
    var steps: [String] = []
    while steps.count < 100 {
      switch cursor.next(fixture.leader, credit: credit, isBookmarkDue: false) {
      case .records(let elements):
        if !elements.isEmpty { steps.append(elements.map { "\($0.record.index)" }.joined(separator: " ")) }
      case .image(let image): steps.append("image \(image.index)")
      case .bookmark(let index): steps.append("bookmark \(index)")
      case .readLog(let index):
        guard index >= logBegins else {
          cursor.logCompacted(firstIndex: logBegins)
          continue
        }
        let entries = fixture.log.prefix(fixture.committed).filter { $0.index >= index }.prefix(3)
        steps.append("log")
        try cursor.logRead(Array(entries), fixture.leader.image)
      case .wait: return steps + ["wait"]
      case .behind: return steps + ["behind"]
      case .compacted(let first): return steps + ["compacted \(first)"]
      case .finished: return steps + ["end"]
      }
    }
    return steps
  }

  /// Records 2, 4, … 20, of which all but the first are notes.
  private func fixture(recentBytes: Int = 1_000_000, mutants: MetadataMutants = []) throws -> LogFixture {
    var fixture = try LogFixture(recentBytes: recentBytes, mutants: mutants)
    for number in 0..<9 { try fixture.append(note("\(number)", topic: number % 2 == 0 ? "even" : "odd")) }
    try fixture.commit()
    return fixture
  }

  private func request(_ change: (inout SubscriptionCursor.Request) -> Void) -> SubscriptionCursor.Request {
    var request = SubscriptionCursor.Request()
    change(&request)
    return request
  }

  @Test func recordsComeInOrderAsTheCreditAllows() throws {
    let fixture = try fixture()
    #expect(try steps(request { $0.afterIndex = 8 }, fixture) == ["10 12 14 16 18 20", "wait"])
    #expect(try steps(request { $0.afterIndex = 8 }, fixture, credit: 4) == ["10 12 14 16", "18 20", "wait"])
    #expect(try steps(request { $0.afterIndex = 8 }, fixture, credit: 0) == ["wait"])
    #expect(try steps(request { $0.afterIndex = 20 }, fixture) == ["wait"])
  }

  @Test func whatIsNotInMemoryIsReadFromTheLog() throws {
    let fixture = try fixture(recentBytes: 1)
    #expect(
      try steps(request { $0.afterIndex = 4 }, fixture) == ["log", "6 8 10", "log", "12 14 16", "log", "18 20", "wait"])
    #expect(
      try steps(request { $0.afterIndex = 4 }, fixture, credit: 2).prefix(3) == ["log", "6 8", "10"])
  }

  @Test func aStreamThatIsToEndAtThePresentEndsThere() throws {
    let fixture = try fixture()
    #expect(
      try steps(request { $0.endsAtPresent = true }, fixture) == ["2 4 6 8 10 12 14 16 18 20", "end"])
  }

  @Test func aSubscriberAheadOfTheReplicaIsToldSo() throws {
    #expect(try steps(request { $0.afterIndex = 21 }, try fixture()) == ["behind"])
  }

  @Test func whereTheStartIsCompactedTheImageComesIfItIsAllowed() throws {
    let fixture = try fixture(recentBytes: 1)
    #expect(try steps(request { $0.afterIndex = 4 }, fixture, logBegins: 9) == ["compacted 9"])
    #expect(
      try steps(
        request {
          $0.afterIndex = 4
          $0.allowsImage = true
        }, fixture, logBegins: 9) == ["image 20", "wait"])
    #expect(try steps(request { $0.wantsImage = true }, fixture) == ["image 20", "wait"])
  }

  @Test func anAuditBeginsWithTheOldestRecordThatThereIs() throws {
    let fixture = try fixture(recentBytes: 1)
    #expect(
      try steps(
        request {
          $0.readsArchive = true
          $0.endsAtPresent = true
        }, fixture, logBegins: 15) == ["log", "16 18 20", "end"])
  }

  @Test func aFilterLeavesOutRecordsAndTheBookmarkTellsHowFar() throws {
    let fixture = try fixture()
    var cursor = SubscriptionCursor(request { $0.filter = SubscriptionFilter(families: [.cluster]) })
    guard case .records(let elements) = cursor.next(fixture.leader, credit: 10, isBookmarkDue: false) else {
      Issue.record("no records")
      return
    }
    #expect(elements.map(\.record.index) == [2])
    #expect(cursor.position == 20)
    guard case .bookmark(20) = cursor.next(fixture.leader, credit: 10, isBookmarkDue: true) else {
      Issue.record("no bookmark at 20")
      return
    }
  }

  @Test func subscribersAtOnePlaceAreHandedTheSameAsEachForItself() throws {
    let fixture = try fixture()
    for filter in [SubscriptionFilter(), SubscriptionFilter(families: [.cluster, .notes]), .init(families: [.roles])] {
      var alone = SubscriptionCursor(request { $0.filter = filter })
      var shared = SubscriptionCursor(request { $0.filter = filter })
      #expect(shared.sharedPosition == nil)
      guard case .records(let first) = shared.next(fixture.leader, credit: 3, isBookmarkDue: false) else {
        Issue.record("no records")
        return
      }
      var handedOut = first.map(\.index)
      while let position = shared.sharedPosition, position < 20 {
        let run = try #require(fixture.leader.recent.run(after: position, filter, count: 2))
        handedOut += run.elements.map(\.index)
        shared.advance(over: run)
      }
      guard case .records(let all) = alone.next(fixture.leader, credit: 100, isBookmarkDue: false) else {
        Issue.record("no records")
        return
      }
      #expect(handedOut == all.map(\.index))
      #expect(shared.position == alone.position)
    }
    // Who is to end somewhere, or has something of its own to take, is not among them.
    var ending = SubscriptionCursor(request { $0.endsAtPresent = true })
    _ = ending.next(fixture.leader, credit: 1, isBookmarkDue: false)
    #expect(ending.sharedPosition == nil)
  }

  @Test func aFamilyThatDoesNotExistIsNamed() {
    let error = #expect(throws: SubscriptionFilter.UnknownName.self) {
      try SubscriptionFilter(familyNames: ["nodes", "nods"])
    }
    #expect(
      error?.description
        == "there is no event family \"nods\"; there are cluster, nodes, shards, catalog, roles, placement, notes, "
        + "transactions, managers, migrations, sagas")
  }

  @Test func mutantsMakeTheMistakesThatTheyAreNamedAfter() throws {
    let skipping = try fixture(recentBytes: 1, mutants: .skipsCompactedRecords)
    #expect(try steps(request { $0.afterIndex = 4 }, skipping, logBegins: 15) == ["log", "16 18 20", "wait"])
    var cursor = SubscriptionCursor(request { $0.afterIndex = 20 })
    guard
      case .bookmark(21) = cursor.next(
        try fixture(mutants: .bookmarksAhead).leader, credit: 1, isBookmarkDue: true)
    else {
      Issue.record("no bookmark at 21")
      return
    }
  }
}
