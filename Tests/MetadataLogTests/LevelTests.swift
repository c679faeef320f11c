import Metadata
import MetadataLog
import MetadataWire
import SQLTypes
import Testing

@Suite struct LevelTests {
  @Test func anOlderProgramTakesNeitherANewerLogNorANewerImage() throws {
    let fixture = try LogFixture()
    let first = fixture.log[0]
    var older = MetadataState(recentBytes: 1_000, understands: 1)
    #expect(throws: ApplyError.featureLevel(FeatureLevel.current)) {
      try older.apply(index: first.index, term: first.term, body: first.body)
    }
    var blank = MetadataState(recentBytes: 1_000, understands: 1)
    #expect(throws: ApplyError.featureLevel(FeatureLevel.current)) { try blank.restore(fixture.leader.image) }
    #expect(blank.image.index == 0)
  }

  @Test func anOlderLeaderBeginsAtItsLevelAndRaisesItNoFurther() throws {
    var fixture = try LogFixture(understands: 1)
    #expect(fixture.leader.image.featureLevel == 1)
    let (note, _) = try #require(fixture.decide(note("a")).settled)
    guard case .rejected(let rejection) = note else {
      Issue.record("not refused: \(note)")
      return
    }
    #expect(rejection.message == "notes need feature level 2, and the cluster is at 1")
    let (raise, _) = try #require(fixture.decide(.raiseFeatureLevel(nil)).settled)
    #expect(raise == .appended(index: 2, events: [], areEventsCompacted: false))
    try fixture.append(.setSetting(name: "a", value: "b"))
    try fixture.commit()
    #expect(try fixture.follower().image == fixture.leader.image)
  }

  @Test func anEventThatAnOlderProgramDoesNotKnowEndsItBeforeItsStateChanges() throws {
    var fixture = try LogFixture(understands: 1)
    var older = fixture.leader
    older.leadershipChanged(isLeader: false, term: 2)
    fixture.leader = MetadataState(recentBytes: 1_000_000)
    try fixture.leader.restore(older.image)
    fixture.leader.leadershipChanged(isLeader: true, term: fixture.term)
    let raised = try fixture.append(.raiseFeatureLevel(2), note("a"))
    #expect(throws: ApplyError.entry(index: raised, .unknownEvent)) {
      try older.apply(index: raised, term: fixture.term, body: fixture.log[1].body)
    }
    #expect(older.image.index == 2)
    #expect(older.image.featureLevel == 1)
  }
}
