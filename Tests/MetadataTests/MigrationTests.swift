import Metadata
import SQLTypes
import Testing

/// The life of a migration, and all that is refused in it.
@Suite struct MigrationTests {
  private let id = MigrationID(rawValue: 1)
  private let target = ShardID(rawValue: 2)

  /// A cluster with table `t` on shard 1, whose tablet is to move to shard 2.
  private func planned(retries: UInt32? = nil, keepsSource: Bool = false) throws -> Fixture {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t", shard: 1)))
    let tablet = try tablet(fixture)
    var options = MigrationOptions()
    options.keepsSource = keepsSource
    try fixture.append(
      .migration(
        .plan(tablet.id, target: target, epoch: 1, maximumRetries: retries, reason: "balance", options: options)))
    return fixture
  }

  private func tablet(_ fixture: Fixture) throws -> TabletDefinition {
    try #require(fixture.image.tablet(of: try fixture.id("t")))
  }

  private func advance(_ step: MigrationStep, attempt: UInt32 = 0) -> Command {
    .migration(.advance(id, attempt: attempt, step))
  }

  /// The steps up to the one that leads to a phase.
  private func steps(to phase: MigrationPhase) -> [Command] {
    let all: [(MigrationPhase, Command)] = [
      (.snapshotTaken, advance(.snapshotTaken(snapshot))), (.transferred, advance(.transferred)),
      (.loaded, advance(.loaded)), (.caughtUp, advance(.caughtUp(shardIndex: 7))),
      (.writesCut, advance(.cutWrites)),
      (.routed, advance(.route(epoch: 1, shardIndex: 9, rowsChecksum: [1], followFrom: 40))),
      (.finishing, advance(.finish)),
    ]
    guard let last = all.firstIndex(where: { $0.0 == phase }) else { return [] }
    return all[...last].map(\.1)
  }

  private func migration(at phase: MigrationPhase, keepsSource: Bool = false) throws -> Fixture {
    var fixture = try planned(keepsSource: keepsSource)
    for step in steps(to: phase) { try fixture.append(step) }
    #expect(fixture.image.migrations.open[id]?.phase == phase)
    return fixture
  }

  @Test func aTabletMovesStepByStepAndItsRouteWithIt() throws {
    var fixture = try migration(at: .writesCut)
    #expect(try tablet(fixture).shardID.rawValue == 1)
    try fixture.append(advance(.route(epoch: 1, shardIndex: 9, rowsChecksum: [1])))
    #expect(try tablet(fixture).shardID == target)
    #expect(try tablet(fixture).epoch == 2)
    #expect(fixture.image.tabletCounts[ShardID(rawValue: 1)] == nil)
    #expect(fixture.image.tabletCounts[target] == 1)
    try fixture.append(advance(.finish))
    try fixture.append(advance(.sourceDropped))
    #expect(fixture.image.migrations.open.isEmpty)
    #expect(fixture.image.migrations.ofTablet.isEmpty)
    let ended = try #require(fixture.image.migrations.ended[id])
    #expect(ended.outcome == .completed)
    #expect(ended.text == "migration 1 of tablet 1 from shard 1 to shard 2, completed")
    #expect(ended.changedIndex == fixture.image.index)
  }

  @Test func everyStepIsRefusedWhereItDoesNotComeNext() throws {
    let all: [MigrationStep] = [
      .snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 7), .cutWrites,
      .route(epoch: 1, shardIndex: 9, rowsChecksum: [1]), .finish, .sourceDropped, .rolledBack,
    ]
    let phases: [MigrationPhase] = [
      .planned, .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut, .routed, .finishing,
    ]
    for (position, phase) in phases.enumerated() {
      let fixture = try migration(at: phase)
      for (number, step) in all.enumerated() {
        // The next one is accepted, and the last one once more, to no effect.
        let isAccepted = number == position || number == position - 1
        let rejection = fixture.rejection(advance(step))
        #expect((rejection == nil) == isAccepted, "\(step) while \(phase)")
        if let rejection { #expect(["55000", "40001"].contains(rejection.sqlState.rawValue)) }
      }
    }
  }

  @Test func aStepThatIsReportedOnceMoreChangesNothing() throws {
    for phase in [MigrationPhase.snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut, .routed, .finishing] {
      var fixture = try migration(at: phase)
      let last = try #require(steps(to: phase).last)
      #expect(try fixture.append(last) == [])
    }
    var fixture = try migration(at: .finishing)
    try fixture.append(advance(.sourceDropped))
    #expect(try fixture.append(advance(.sourceDropped)) == [])
  }

  @Test func plansThatCannotBeAreRefused() throws {
    let fixture = try planned()
    func refusal(_ tablet: UInt64, _ shard: UInt32, epoch: UInt64? = nil) -> Rejection? {
      fixture.rejection(
        .migration(
          .plan(
            TabletID(rawValue: tablet), target: ShardID(rawValue: shard), epoch: epoch, maximumRetries: nil, reason: "")
        ))
    }
    #expect(refusal(9, 2)?.message == "tablet 9 does not exist")
    #expect(refusal(1, 9)?.message == "shard 9 does not exist")
    #expect(refusal(1, 1)?.message == "tablet 1 is on shard 1 already")
    #expect(refusal(1, 2, epoch: 4)?.message == "tablet 1 is at epoch 1, not 4")
    #expect(refusal(1, 2, epoch: 4)?.sqlState.rawValue == "40001")
    #expect(refusal(1, 2)?.message == "tablet 1 is being migrated")
    #expect(refusal(1, 2)?.sqlState.rawValue == "55006")
    #expect(refusal(1, 2)?.detail == "It is migration 1 of tablet 1 from shard 1 to shard 2, planned.")
  }

  @Test func aRouteOfAStaleEpochIsRefused() throws {
    let fixture = try migration(at: .writesCut)
    let rejection = fixture.rejection(advance(.route(epoch: 2, shardIndex: 9, rowsChecksum: [])))
    #expect(rejection?.sqlState.rawValue == "40001")
    #expect(rejection?.message == "tablet 1 is at epoch 1, not 2")
  }

  @Test func aSnapshotComesFromAReplicaOfTheSource() throws {
    let fixture = try planned()
    var other = snapshot
    other.nodeID = NodeID(rawValue: 2)
    #expect(
      fixture.rejection(advance(.snapshotTaken(other)))?.message
        == "node 2 is no replica of shard 1, the source of migration 1")
    other = snapshot
    other.checksum = []
    #expect(
      fixture.rejection(advance(.snapshotTaken(other)))?.message
        == "a snapshot's checksum has 32 bytes, not 0")
  }

  @Test func aStepIsTriedAgainUntilTheRetriesAreUsedUp() throws {
    var fixture = try planned(retries: 1)
    for step in steps(to: .loaded) { try fixture.append(step) }
    try fixture.append(.migration(.retry(id, attempt: 0, resumesAt: .snapshotTaken, reason: "checksum")))
    let migration = try #require(fixture.image.migrations.open[id])
    #expect(migration.phase == .snapshotTaken)
    #expect(migration.attempt == 1)
    #expect(migration.remark == "checksum")
    #expect(migration.snapshot == snapshot)
    // A report of the first attempt comes too late.
    #expect(fixture.rejection(advance(.transferred))?.message == "migration 1 is in attempt 1, not 0")
    try fixture.append(advance(.transferred, attempt: 1))
    let again = fixture.rejection(.migration(.retry(id, attempt: 1, resumesAt: .planned, reason: "")))
    #expect(again?.message == "migration 1 has been retried 1 times")
    #expect(again?.hint == "Let it fail: the tablet stays where it is.")
    #expect(
      fixture.rejection(.migration(.retry(id, attempt: 1, resumesAt: .caughtUp, reason: "")))?.message
        == "migration 1, which is transferred, cannot go on from: caught up")
  }

  @Test func aMigrationThatFailsEndsRolledBack() throws {
    var fixture = try migration(at: .writesCut)
    try fixture.append(.migration(.fail(id, reason: "target is gone")))
    #expect(try fixture.append(.migration(.fail(id, reason: "once more"))) == [])
    #expect(fixture.rejection(advance(.route(epoch: 1, shardIndex: 9, rowsChecksum: [])))?.sqlState.rawValue == "55000")
    try fixture.append(advance(.rolledBack))
    #expect(fixture.image.migrations.ended[id]?.outcome == .rolledBack)
    #expect(fixture.image.migrations.ended[id]?.remark == "target is gone")
    #expect(try tablet(fixture).shardID.rawValue == 1)
    #expect(try tablet(fixture).epoch == 1)
    #expect(fixture.rejection(.migration(.resume(id)))?.message == "migration 1 has ended: rolled back")
    #expect(fixture.rejection(.migration(.resume(MigrationID(rawValue: 2))))?.message == "migration 2 does not exist")
  }

  @Test func aMigrationThatIsRoutedCanBeReversedUntilItFinishes() throws {
    var fixture = try migration(at: .routed, keepsSource: true)
    #expect(fixture.image.migrations.open[id]?.wayBack?.shardIndex == 40)
    #expect(fixture.rejection(.migration(.fail(id, reason: "")))?.hint == "Reverse it instead.")
    #expect(
      fixture.rejection(advance(.cutTarget))?.message == "nobody has asked for the way back of migration 1")
    #expect(
      try fixture.append(.migration(.reverse(id, reason: "slow"))) == [
        .migration(.reverseRequested(id, reason: "slow"))
      ])
    #expect(try fixture.append(.migration(.reverse(id, reason: "once more"))) == [])
    #expect(
      fixture.rejection(.migration(.complete(id)))?.hint == "It is being reversed: give that up first.")
    #expect(try fixture.append(advance(.cutTarget)) == [.migration(.reversed(id, reason: "slow"))])
    #expect(fixture.rejection(advance(.route(epoch: 1, shardIndex: 1, rowsChecksum: [])))?.sqlState.rawValue == "40001")
    try fixture.append(advance(.route(epoch: 2, shardIndex: 1, rowsChecksum: [])))
    #expect(try tablet(fixture).shardID.rawValue == 1)
    #expect(try tablet(fixture).epoch == 3)
    #expect(fixture.image.tabletCounts[target] == nil)
    #expect(fixture.image.tabletCounts[ShardID(rawValue: 1)] == 1)
    try fixture.append(advance(.rolledBack))
    #expect(fixture.image.migrations.ended[id]?.outcome == .reversed)
    let late = try migration(at: .finishing).rejection(.migration(.reverse(id, reason: "")))
    #expect(
      late?.hint == "The source's copy is being deleted: move the tablet back with a migration of its own.")
    let bare = try migration(at: .routed).rejection(.migration(.reverse(id, reason: "")))
    #expect(bare?.message == "migration 1 cannot be reversed: its source is not kept")
    #expect(bare?.hint == "Complete it, then move the tablet back with a migration of its own.")
    let early = try migration(at: .loaded).rejection(.migration(.reverse(id, reason: "")))
    #expect(early?.hint == "It has not been routed yet: let it fail instead.")
  }

  @Test func aWayBackThatIsGivenUpInTheMiddleBeginsAnotherAttempt() throws {
    var fixture = try migration(at: .routed, keepsSource: true)
    try fixture.append(.migration(.reverse(id, reason: "slow")))
    try fixture.append(advance(.cutTarget))
    try fixture.append(.migration(.giveUpReverse(id, attempt: 0, isLost: false, reason: "too slow")))
    let migration = try #require(fixture.image.migrations.open[id])
    #expect(migration.phase == .routed && migration.attempt == 1)
    #expect(migration.wayBack?.isRequested == false && migration.wayBack?.isLost == false)
    // A route of the first attempt that comes late finds nothing, not even once the way back is taken again.
    let late = advance(.route(epoch: 2, shardIndex: 1, rowsChecksum: []))
    #expect(fixture.rejection(late)?.sqlState.rawValue == "40001")
    try fixture.append(.migration(.reverse(id, reason: "again")), advance(.cutTarget, attempt: 1))
    #expect(fixture.rejection(late)?.message == "migration 1 is in attempt 1, not 0")
    try fixture.append(.migration(.giveUpReverse(id, attempt: 1, isLost: true, reason: "compacted")))
    let lost = fixture.rejection(.migration(.reverse(id, reason: "")))
    #expect(
      lost?.message == "migration 1 cannot be reversed any more: the source's copy does not follow the target")
    #expect(lost?.detail == "compacted")
    try fixture.append(.migration(.complete(id)))
    #expect(try fixture.append(.migration(.complete(id))) == [])
    try fixture.append(advance(.sourceDropped, attempt: 2))
    #expect(fixture.image.migrations.ended[id]?.outcome == .completed)
  }

  @Test func aCutThatNoManagerEndsIsEndedOnce() throws {
    var fixture = try planned(retries: 1)
    for step in steps(to: .writesCut) { try fixture.append(step) }
    #expect(try fixture.append(.migration(.expireCut(id, attempt: 3, reason: "late"))) == [])
    #expect(
      try fixture.append(.migration(.expireCut(id, attempt: 0, reason: "5 s"))) == [
        .migration(.retried(id, attempt: 1, resumesAt: .loaded, reason: "5 s"))
      ])
    #expect(try fixture.append(.migration(.expireCut(id, attempt: 0, reason: "5 s"))) == [])
    let route = advance(.route(epoch: 1, shardIndex: 9, rowsChecksum: []))
    #expect(fixture.rejection(route)?.message == "migration 1 is in attempt 1, not 0")
    try fixture.append(advance(.caughtUp(shardIndex: 8), attempt: 1), advance(.cutWrites, attempt: 1))
    #expect(
      try fixture.append(.migration(.expireCut(id, attempt: 1, reason: "5 s"))) == [
        .migration(.failed(id, reason: "5 s"))
      ])
    var reversing = try migration(at: .routed, keepsSource: true)
    try reversing.append(.migration(.reverse(id, reason: "slow")), advance(.cutTarget))
    try reversing.append(.migration(.expireCut(id, attempt: 0, reason: "5 s")))
    #expect(reversing.image.migrations.open[id]?.phase == .routed)
    #expect(reversing.image.migrations.open[id]?.wayBack?.isRequested == true)
  }

  @Test func progressIsOfAStepAndFreesTheLogThatIsFollowed() throws {
    var fixture = try migration(at: .snapshotTaken)
    let progress = MigrationProgress(bytes: 50, totalBytes: 100, rows: 5, bytesPerSecond: 25)
    try fixture.append(.migration(.report(id, attempt: 0, progress)))
    #expect(fixture.image.migrations.open[id]?.percent == 40)
    #expect(fixture.image.migrations.open[id]?.progress?.secondsLeft == 3)
    try fixture.append(advance(.transferred))
    #expect(fixture.image.migrations.open[id]?.progress == nil)
    var routed = try migration(at: .routed, keepsSource: true)
    for index in [60, 50] as [UInt64] {
      try routed.append(.migration(.report(id, attempt: 0, MigrationProgress(lagMilliseconds: 3, shardIndex: index))))
    }
    #expect(routed.image.migrations.open[id]?.wayBack?.neededFrom == 60)
    #expect(
      routed.rejection(.migration(.report(id, attempt: 1, progress)))?.message == "migration 1 is in attempt 0, not 1")
  }

  @Test func nothingFollowsWhileItIsPaused() throws {
    var fixture = try migration(at: .loaded)
    try fixture.append(.migration(.pause(id, reason: "night")))
    #expect(try fixture.append(.migration(.pause(id, reason: "again"))) == [])
    let rejection = fixture.rejection(advance(.caughtUp(shardIndex: 1)))
    #expect(rejection?.message == "migration 1 is paused")
    #expect(rejection?.detail == "night")
    try fixture.append(.migration(.resume(id)))
    try fixture.append(advance(.caughtUp(shardIndex: 1)))
    let cut = try migration(at: .writesCut).rejection(.migration(.pause(id, reason: "")))
    var kept = try planned(keepsSource: true)
    for step in steps(to: .writesCut) { try kept.append(step) }
    #expect(
      kept.rejection(advance(.route(epoch: 1, shardIndex: 9, rowsChecksum: [])))?.message
        == "the route of migration 1 lacks where the source, which is kept, follows from")
    #expect(cut?.message == "migration 1 cannot pause while writes are cut")
  }

  @Test func aTableThatIsDroppedEndsItsMigration() throws {
    var fixture = try migration(at: .writesCut)
    let table = try fixture.id("t")
    #expect(
      try fixture.append(.dropTables([table], isCascade: false)) == [
        .migration(.abandoned(id)), .tabletDropped(TabletID(rawValue: 1)), .tableDropped(table),
      ])
    #expect(fixture.image.migrations.ended[id]?.outcome == .abandoned)
    #expect(fixture.image.tabletCounts.isEmpty)
  }

  @Test func aTableIsNotEmptiedWhileItsWritesAreCut() throws {
    var fixture = try migration(at: .caughtUp)
    let table = try fixture.id("t")
    try fixture.append(.truncateTables([table], restartsSequences: false))
    try fixture.append(advance(.cutWrites))
    let rejection = fixture.rejection(.truncateTables([table], restartsSequences: false))
    #expect(rejection?.sqlState.rawValue == "40001")
    #expect(rejection?.message == "table \"t\" is changing its shard at this moment")
  }

  @Test func theHistoryOfEndedMigrationsIsBounded() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t", shard: 1)))
    let tablet = try tablet(fixture)
    for number in 1...UInt64(MigrationTable.maximumEnded + 5) {
      let id = MigrationID(rawValue: number)
      try fixture.append(
        .migration(.plan(tablet.id, target: target, epoch: nil, maximumRetries: nil, reason: "")),
        .migration(.fail(id, reason: "")), .migration(.advance(id, attempt: 0, .rolledBack)))
    }
    #expect(fixture.image.migrations.ended.count == MigrationTable.maximumEnded)
    #expect(fixture.image.migrations.ended.keys.min()?.rawValue == 6)
    #expect(
      fixture.rejection(.migration(.resume(MigrationID(rawValue: 2))))?.message == "migration 2 has ended long ago")
  }
}
