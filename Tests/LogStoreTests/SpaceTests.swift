import EventLoop
import Foundation
import Glibc
import LogStore
import Raft
import SegmentedLog
import Testing

/// A small file system of its own, which can be filled.
private struct SmallFileSystem {
  let path: String

  /// Nil where this process may not mount: only root may.
  init?(sizeBytes: Int) {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("small-\(UUID().uuidString)").path
    guard mkdir(path, 0o700) == 0 else { return nil }
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(sizeBytes)") == 0 else {
      rmdir(path)
      return nil
    }
  }

  func unmount() {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }

  /// Leaves so many bytes, about.
  func fill(leaving bytes: Int) throws {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw POSIXError(.EIO) }
    let free = Int(status.f_bavail) * Int(status.f_bsize)
    let descriptor = open(path + "/ballast", O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    guard posix_fallocate(descriptor, 0, off_t(max(4096, free - bytes))) == 0 else { throw POSIXError(.ENOSPC) }
  }

  func empty() { unlink(path + "/ballast") }

  static var isPermitted: Bool {
    guard let small = SmallFileSystem(sizeBytes: 65536) else { return false }
    small.unmount()
    return true
  }
}

@LoopActor
@Suite("Full disk, real files")
struct SpaceTests {
  private func configuration() -> LogConfiguration {
    var configuration = LogConfiguration(
      identity: LogIdentity(clusterID: Array(1...16), groupID: "test", nodeID: 1), initialMembers: threeMembers)
    configuration.segmentBytes = 256 * 1024
    configuration.reserveBytes = 256 * 1024
    configuration.spaceCheckMilliseconds = 20
    configuration.cacheBytes = 4096
    return configuration
  }

  private func untilFull(_ log: LogStore, is wanted: Bool) async {
    while log.isFull != wanted {
      await withCheckedContinuation { continuation in log.onFull = { _ in continuation.resume() } }
      log.onFull = nil
    }
  }

  @Test(
    "A full disk keeps what was given, still takes a vote, and goes on by itself when there is space",
    .enabled(if: SmallFileSystem.isPermitted, "only root may mount a small file system"), .timeLimit(.minutes(1)))
  func fullDisk() async throws {
    let small = try #require(SmallFileSystem(sizeBytes: 4 * 1024 * 1024))
    defer { small.unmount() }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: small.path + "/log"))
    var failed: LogStoreError?
    log.onFailure = { failed = $0 }
    #expect(!log.isFull)
    try small.fill(leaving: 64 * 1024)
    var written: UInt64 = 0
    log.onWritten = { written = $0 }
    // The current segment and the reserve hold a bit less than 400 of these.
    var sequence: UInt64 = 0
    var next: UInt64 = 1
    while !log.isFull, next < 1000 {
      sequence += 1
      log.write(.entries([entry(next, 1, String(repeating: "x", count: 1000))]), sequence: sequence)
      next += 1
      try await loopSleep(milliseconds: 1)
    }
    #expect(log.isFull)
    log.write(.hardState(HardState(term: 4, vote: 2)), sequence: sequence + 1)
    while written <= sequence { try await loopSleep(milliseconds: 5) }
    // More than the reserve holds: it waits, and everything after it.
    let many = (0..<600).map { entry(next + $0, 1, String(repeating: "y", count: 1000)) }
    log.write(.entries(many), sequence: sequence + 2)
    log.write(.hardState(HardState(term: 5, vote: 1)), sequence: sequence + 3)
    try await loopSleep(milliseconds: 200)
    #expect(written == sequence + 1)
    #expect(failed == nil)
    small.empty()
    await untilFull(log, is: false)
    while written <= sequence + 2 { try await loopSleep(milliseconds: 5) }
    #expect(failed == nil)
    await log.close()
    let (again, recovered) = try await LogStore.open(configuration(), on: FileDisk(path: small.path + "/log"))
    #expect(recovered.terms.lastIndex == next + 599)
    #expect(recovered.hardState == HardState(term: 5, vote: 1))
    #expect(recovered.promised == nil)
    #expect(access(small.path + "/log/reserve", F_OK) == 0)
    await again.close()
  }

  @Test(
    "A log that has no space to begin says what for, and begins when there is some",
    .enabled(if: SmallFileSystem.isPermitted, "only root may mount a small file system"), .timeLimit(.minutes(1)))
  func beginsLate() async throws {
    let small = try #require(SmallFileSystem(sizeBytes: 4 * 1024 * 1024))
    defer { small.unmount() }
    let disk = try FileDisk(path: small.path + "/log")
    try small.fill(leaving: 128 * 1024)
    let (wanted, told) = (configuration(), Told())
    let opening = Task { @LoopActor in
      try await LogStore.open(wanted, on: disk) { told.reasons.append($0.description) }
    }
    while told.reasons.isEmpty { try await loopSleep(milliseconds: 5) }
    // Some more attempts.
    try await loopSleep(milliseconds: 100)
    #expect(told.reasons == ["cannot write the first records to \(small.path)/log: no space left on the disk"])
    small.empty()
    let (log, recovered) = try await opening.value
    #expect(recovered.terms.lastIndex == 0)
    #expect(!log.isFull)
    await log.close()
  }

  @Test(
    "A log on a full disk opens, says that it is full, and waits",
    .enabled(if: SmallFileSystem.isPermitted, "only root may mount a small file system"), .timeLimit(.minutes(1)))
  func opensFull() async throws {
    let small = try #require(SmallFileSystem(sizeBytes: 4 * 1024 * 1024))
    defer { small.unmount() }
    var first = configuration()
    first.reserveBytes = 0
    let (log, _) = try await LogStore.open(first, on: FileDisk(path: small.path + "/log"))
    await log.close()
    try small.fill(leaving: 8192)
    let (full, _) = try await LogStore.open(configuration(), on: FileDisk(path: small.path + "/log"))
    #expect(full.isFull)
    small.empty()
    await untilFull(full, is: false)
    await full.close()
  }
}

@LoopActor
private final class Told {
  var reasons: [String] = []
}
