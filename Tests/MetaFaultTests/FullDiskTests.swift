import EventLoop
import Foundation
import Metadata
import MetadataClient
import Testing

extension MetaFaults {
  /// Data directories on small file systems of their own, which are filled and emptied.
  @Suite(.enabled(if: SmallDisk.missing == nil, Comment(rawValue: SmallDisk.missing ?? "")))
  @LoopActor
  struct FullDiskTests {
    @Test("A leader whose disk is full hands over, the group goes on, and the node catches up once there is space")
    func one() async throws {
      try await withSmallDisks { group, disks in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        let leader = try await group.leader()
        try disks[leader]!.fill()
        try await group.writeUntilFull(leader)
        try await load.progress(30)
        #expect(try await group.leader() != leader)
        #expect(group.exit(leader) == nil, "a full disk does not end the node")
        try disks[leader]!.empty()
        // It has everything again: nothing is left that only the others have.
        let operators = group.group()
        try await group.eventually("node \(leader) has caught up", seconds: 30) {
          let membership = try await operators.membership()
          return membership.member(NodeID(rawValue: leader))?.matchIndex ?? 0 >= membership.commitIndex
        }
        try await load.check()
        print("full disk of the leader: \(load.summary)")
      }
    }

    @Test("Where all disks are full, appends are refused with the reason, and go on by themselves once there is space")
    func all() async throws {
      try await withSmallDisks { group, disks in
        let load = RecordedLoad(group)
        await load.start(appenders: 2)
        try await load.progress()
        for disk in disks.values { try disk.fill() }
        let error = await group.writeUntilRefused()
        #expect("\(error.map(String.init(describing:)) ?? "no error")".contains("disk"))
        for id in UInt64(1)...3 { #expect(group.exit(id) == nil, "node \(id) lives on") }
        for disk in disks.values { try disk.empty() }
        try await load.progress(20, seconds: 30)
        try await load.check()
        print("all disks full: \(load.summary)")
      }
    }
  }
}

/// A file system of its own, in memory, that can be filled.
@LoopActor
final class SmallDisk {
  /// Why there is none on this machine; nil where there can be.
  nonisolated static let missing: String? = {
    if geteuid() != 0 { return "mounting a small file system needs root" }
    // Some containers are root and may not mount.
    let folder = "/tmp/kunlog-mount-\(UInt32.random(in: 0...UInt32.max))"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { rmdir(folder) }
    guard mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0 else {
      return "no file system can be mounted: \(String(cString: strerror(errno)))"
    }
    umount2(folder, Int32(MNT_DETACH))
    return nil
  }()

  let path: String

  init(path: String, megabytes: Int) throws {
    self.path = path
    try FileSystem.createDirectory(path)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      throw MetaProcesses.Failure(description: "mount \(path): \(String(cString: strerror(errno)))")
    }
  }

  /// Takes all space that is left.
  func fill() throws {
    let descriptor = open(path + "/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    let block = [UInt8](repeating: 1, count: 64 * 1024)
    while write(descriptor, block, block.count) > 0 {}
    guard errno == ENOSPC else { throw MetaProcesses.Failure(description: String(cString: strerror(errno))) }
  }

  /// Gives the space back.
  func empty() throws { try FileSystem.remove(path + "/ballast") }

  func remove() {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}

/// Runs the body with a group whose data is on small disks, and ends all however the body ends.
@LoopActor
func withSmallDisks(_ body: @LoopActor (MetaProcesses, [UInt64: SmallDisk]) async throws -> Void) async throws {
  var disks: [UInt64: SmallDisk] = [:]
  defer { for disk in disks.values { disk.remove() } }
  let folder = "/tmp/kunlog-disk-\(UInt32.random(in: 0...UInt32.max))"
  for id in UInt64(1)...3 { disks[id] = try SmallDisk(path: "\(folder)-\(id)", megabytes: 128) }
  try await withMetaProcesses(data: disks.mapValues { $0.path + "/data" }) { group in try await body(group, disks) }
}

@LoopActor
extension MetaProcesses {
  /// A record of about a megabyte.
  private static let big = [Command](
    repeating: .recordNote(topic: "much", content: [UInt8](repeating: 120, count: 60_000)), count: 16)

  /// Writes more than what the node's log has taken from its disk in advance, until the node says that the disk is full.
  func writeUntilFull(_ node: UInt64) async throws {
    let client = client()
    await client.ready()
    for _ in 0..<80 {
      _ = try await client.append(Self.big, timeoutMilliseconds: 15_000)
      let log = try FileSystem.readText(logFile(node))
      if log.contains("is full: this member does not lead") { return }
    }
    throw Failure(description: "node \(node) has not noticed that its disk is full")
  }

  /// Writes until that is refused twice; with what the second time, when nothing is under way any more.
  func writeUntilRefused() async -> MetadataError? {
    let client = client()
    await client.ready()
    var refusals = 0
    for _ in 0..<80 {
      do throws(MetadataError) {
        _ = try await client.append(Self.big, timeoutMilliseconds: 2_000)
      } catch {
        refusals += 1
        if refusals == 2 { return error }
      }
    }
    return nil
  }
}
