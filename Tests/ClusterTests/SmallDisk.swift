import Foundation

/// A file system of its own, in memory, that can be filled.
final class SmallDisk {
  /// Why there is none on this machine; nil where there can be.
  static let missing: String? = {
    guard geteuid() == 0 else { return "mounting a small file system needs root" }
    let folder = FileManager.default.temporaryDirectory.appending(path: "kunlog-mount-\(UUID().uuidString)").path
    // Some containers are root and may not mount.
    guard let disk = try? SmallDisk(path: folder, megabytes: 1) else { return "no file system can be mounted" }
    disk.remove()
    return nil
  }()

  let path: String

  /// Mounts it at the path, which is made where it is missing.
  init(path: String, megabytes: Int) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      throw Cluster.Failure(description: "mount \(path): \(String(cString: strerror(errno)))")
    }
  }

  /// Takes all space but so much.
  func fill(leavingMegabytes: Int = 0) throws {
    let descriptor = open(path + "/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    let block = [UInt8](repeating: 1, count: 64 << 10)
    while true {
      var status = statvfs()
      statvfs(path, &status)
      if leavingMegabytes > 0, Int(status.f_bavail) * Int(status.f_frsize) <= leavingMegabytes << 20 { return }
      guard write(descriptor, block, block.count) > 0 else { break }
    }
    guard errno == ENOSPC else { throw Cluster.Failure(description: String(cString: strerror(errno))) }
  }

  /// Gives the space back.
  func empty() throws { try FileManager.default.removeItem(atPath: path + "/ballast") }

  func remove() {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}

extension SmallDisk {
  /// A cluster, started again with shard 2's replicas on small disks, which are found by the replicas' names.
  static func underShard2(
    nodePort: Int, postgresPort: Int, _ body: (Cluster, [String: SmallDisk]) throws -> Void
  ) throws {
    let cluster = try Cluster(nodePort: nodePort, postgresPort: postgresPort)
    try cluster.stop()
    var disks: [String: SmallDisk] = [:]
    defer {
      try? cluster.stop()
      for disk in disks.values { disk.remove() }
    }
    for replica in 1...3 {
      let (name, folder) = ("storage-2-\(replica)", "\(cluster.data)/storage-2-\(replica)")
      try FileManager.default.moveItem(atPath: folder, toPath: folder + ".moved")
      disks[name] = try SmallDisk(path: folder, megabytes: 256)
      let copied = try Program.run("/bin/cp", ["-a", "--sparse=never", folder + ".moved/.", folder])
      guard copied.status == 0 else { throw Cluster.Failure(description: copied.errors) }
    }
    try cluster.start()
    try body(cluster, disks)
  }
}
