import EventLoop
import Glibc
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// A small file system under an engine's directory.
private struct SmallDisk {
  let path: String

  /// nil: nothing can be mounted here.
  init?(_ path: String, megabytes: Int) {
    self.path = path
    mkdir(path, 0o700)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      rmdir(path)
      return nil
    }
  }

  /// Takes all that is left, into a file.
  func fill(_ name: String) {
    let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o600)
    defer { close(descriptor) }
    for size in [1 << 16, 1 << 12] {
      let block = [UInt8](repeating: 1, count: size)
      while Glibc.write(descriptor, block, size) > 0 {}
    }
  }

  func empty(_ name: String) { unlink("\(path)/\(name)") }
  func remove() { umount2(path, Int32(MNT_DETACH)) }

  static let missing: String? = {
    guard let disk = SmallDisk("/tmp/kunlog-mount-\(getpid())", megabytes: 1) else {
      return "mounting a small file system needs root, and a container that allows it"
    }
    disk.remove()
    rmdir(disk.path)
    return nil
  }()
}

/// What becomes of an engine without space.
@Suite(.enabled(if: SmallDisk.missing == nil, Comment(rawValue: SmallDisk.missing ?? "")))
@LoopActor
struct FullDiskTests {
  private static func insert(_ id: Int) -> String { "INSERT INTO t1 (id, name) VALUES (\(id), hex(zeroblob(50000)))" }

  @Test(
    "On a full disk what is logged is applied from what was set aside; then it waits for space, and is applied once")
  func full() async throws {
    let (leader, fixture) = (EngineFixture(), EngineFixture())
    let disk = try #require(SmallDisk(fixture.directory, megabytes: 160))
    for fixture in [leader, fixture] {
      try await fixture.open()
      try await fixture.createAccounts(1, uniqueName: false)
    }
    let told = Told()
    fixture.engine.onFull = { told.all.append($0) }
    for number in 1...10 {
      if number == 5 { disk.fill("first") }
      fixture.index += 1
      try await fixture.engine.apply([
        .changes(try await leader.writeAlone(Self.insert(number), 1), index: fixture.index)
      ])
    }
    #expect(told.all == [.usesReserve])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(10)]])
    // As a leader: by a transaction that has the tablet, and by one that has rows of it.
    for (number, locksRows) in [(11, false), (12, true)] {
      let id = try fixture.begin()
      try await fixture.write(Self.insert(number), 1, in: id, locksRows: locksRows)
      disk.fill("second")
      told.all = []
      let committing = Task { @LoopActor in try await fixture.commit(id) }
      while told.all.isEmpty { try await loopSleep(milliseconds: 20) }
      #expect(told.all == [.waits])
      // Nobody gets at its key before.
      let other = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 300))
      await #expect(throws: EngineFailure.self) {
        try await fixture.write("INSERT INTO t1 (id, name) VALUES (\(number), 'x')", 1, in: other, locksRows: locksRows)
      }
      await fixture.engine.rollback(other)
      disk.empty("second")
      _ = try await committing.value
      #expect(told.all == [.waits, .hasSpace])
      #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(Int64(number))]])
    }
    disk.empty("first")
    #expect(try await fixture.readAlone("SELECT sum(length(name)) FROM t1", [1]) == [[.integer(1_200_000)]])
    for fixture in [leader, fixture] { await fixture.finish() }
    disk.remove()
    rmdir(fixture.directory)
  }

  @Test("It starts on a full disk and has all: from what was set aside, and where that is used up without any space")
  func starting() async throws {
    let (leader, fixture) = (EngineFixture(), EngineFixture())
    let disk = try #require(SmallDisk(fixture.directory, megabytes: 160))
    for fixture in [leader, fixture] {
      try await fixture.open()
      try await fixture.createAccounts(1, uniqueName: false)
    }
    let changes = [
      try await leader.writeAlone(Self.insert(1), 1), try await leader.writeAlone(Self.insert(2), 1),
      try await leader.writeAlone(Self.insert(3), 1),
    ]
    fixture.index += 1
    try await fixture.engine.apply([.changes(changes[0], index: fixture.index)])
    await fixture.closeAndRenew()
    disk.fill("first")
    let told = Told()
    fixture.engine.onFull = { told.all.append($0) }
    try await fixture.open()
    #expect(told.all == [.usesReserve])
    #expect(fixture.engine.highestIndex == fixture.index)
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    fixture.index += 1
    try await fixture.engine.apply([.changes(changes[1], index: fixture.index)])

    await fixture.closeAndRenew()
    disk.fill("second")
    told.all = []
    fixture.engine.onFull = { told.all.append($0) }
    try await fixture.open()
    #expect(told.all == [])
    #expect(fixture.engine.highestIndex == fixture.index)
    #expect(fixture.engine.tablets.keys.map(\.rawValue) == [1])
    fixture.index += 1
    let applying = Task { @LoopActor in try await fixture.engine.apply([.changes(changes[2], index: fixture.index)]) }
    while told.all.isEmpty { try await loopSleep(milliseconds: 20) }
    #expect(told.all == [.waits])
    disk.empty("first")
    try await applying.value
    #expect(told.all == [.waits, .hasSpace])
    #expect(try await fixture.readAlone("SELECT sum(length(name)) FROM t1", [1]) == [[.integer(300_000)]])
    for fixture in [leader, fixture] { await fixture.finish() }
    disk.remove()
    rmdir(fixture.directory)
  }

  @Test("After a boot it waits for the space to note that; until then the mark stays by which its files are trusted")
  func startingAfterBoot() async throws {
    let fixture = EngineFixture()
    let disk = try #require(SmallDisk(fixture.directory, megabytes: 40))
    try await fixture.open()
    try await fixture.createAccounts(1, uniqueName: false)
    _ = try await fixture.writeAlone(Self.insert(1), 1)
    await fixture.closeAndRenew()
    try FileSystem.write("\(fixture.directory)/BOOT", Array("an earlier one".utf8))
    disk.fill("all")
    let told = Told()
    fixture.engine.onFull = { told.all.append($0) }
    let opening = Task { @LoopActor in try await fixture.open() }
    while told.all.isEmpty { try await loopSleep(milliseconds: 20) }
    #expect(told.all == [.waits])
    #expect(FileSystem.exists("\(fixture.directory)/CLEAN"))
    disk.empty("all")
    _ = try await opening.value
    #expect(told.all == [.waits, .hasSpace])
    #expect(!FileSystem.exists("\(fixture.directory)/CLEAN"))
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
    disk.remove()
    rmdir(fixture.directory)
  }

  @Test("A snapshot that the disk has no space for waits for it, and is taken in then")
  func restoring() async throws {
    let (leader, fixture) = (EngineFixture(), EngineFixture())
    let disk = try #require(SmallDisk(fixture.directory, megabytes: 40))
    for fixture in [leader, fixture] { try await fixture.open() }
    try await leader.createAccounts(1, uniqueName: false)
    _ = try await leader.writeAlone(Self.insert(1), 1)
    let snapshot = "\(leader.directory)/snapshot"
    try await leader.engine.writeSnapshot(to: snapshot, index: leader.index, nodeState: [7], onFixed: {})
    disk.fill("all")
    let told = Told()
    fixture.engine.onFull = { told.all.append($0) }
    let restoring = Task { @LoopActor in try await fixture.engine.restoreSnapshot(from: snapshot) }
    while told.all.isEmpty { try await loopSleep(milliseconds: 20) }
    #expect(told.all == [.waits])
    disk.empty("all")
    #expect(try await restoring.value == EngineState(index: leader.index, nodeState: [7]))
    #expect(told.all == [.waits, .hasSpace])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    for fixture in [leader, fixture] { await fixture.finish() }
    disk.remove()
    rmdir(fixture.directory)
  }

  @Test("One that waits for space ends when its node does, and has all after the next start")
  func ending() async throws {
    let fixture = EngineFixture()
    let disk = try #require(SmallDisk(fixture.directory, megabytes: 40))
    try await fixture.open()
    try await fixture.createAccounts(1, uniqueName: false)
    let id = try fixture.begin()
    try await fixture.write(Self.insert(1), 1, in: id)
    let changes = try await fixture.engine.changes(of: id)
    disk.fill("all")
    let told = Told()
    fixture.engine.onFull = { told.all.append($0) }
    let applying = Task { @LoopActor in try await fixture.engine.apply([.commit(id, changes, index: 2)]) }
    while told.all.isEmpty { try await loopSleep(milliseconds: 20) }
    fixture.engine.stopWaiting()
    await #expect(throws: SQLError.self) { try await applying.value }
    disk.empty("all")
    _ = try await fixture.reopenUnclosed()
    try await fixture.engine.apply([.changes(changes, index: 2)])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
    disk.remove()
    rmdir(fixture.directory)
  }
}

@LoopActor
private final class Told {
  var all: [EngineSpace] = []
}
