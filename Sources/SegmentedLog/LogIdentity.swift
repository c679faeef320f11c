/// Whose log a directory holds. Stamped into it once; every later start must agree.
package struct LogIdentity: Sendable, Equatable {
  /// The cluster: 16 bytes, made with it.
  package var clusterID: [UInt8]
  /// The group within the cluster.
  package var groupID: String
  /// The member within the group.
  package var nodeID: UInt64
  /// The directory: a random number, made with it; 0 where it is not known. A member whose disk was lost cannot pass for
  /// the one that it was.
  package var disk: UInt64 = 0

  /// Makes an identity.
  package init(clusterID: [UInt8], groupID: String, nodeID: UInt64) {
    self.clusterID = clusterID
    self.groupID = groupID
    self.nodeID = nodeID
  }

  /// The format of directories and records that this program writes and reads.
  package static let formatVersion = 2
  static let fileName = "identity"
  private static let magic: [UInt8] = Array("KUNLOG-LOG\n".utf8)

  // Starts every record's checksum, so that a record of another log is no record of this one.
  var checksumSeed: UInt32 { bodyBytes.withUnsafeBytes { CRC32C.checksum($0) } }

  private var bodyBytes: [UInt8] {
    var writer = ByteWriter()
    writer.bytes(clusterID)
    writer.bytes(Array(groupID.utf8))
    writer.integer(nodeID)
    writer.integer(disk)
    return writer.result
  }

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.raw(Self.magic)
    writer.integer(UInt32(Self.formatVersion))
    writer.raw(bodyBytes)
    writer.integer(writer.result.withUnsafeBytes { CRC32C.checksum($0) })
    return writer.result
  }

  init(encoded: [UInt8], path: String) throws(LogStoreError) {
    guard encoded.starts(with: Self.magic), encoded.count >= Self.magic.count + 8 else {
      throw .corrupt(path: path, offset: 0, what: "no identity in it")
    }
    // Every version ends with the checksum of what is before it.
    var tail = ByteReader(encoded.suffix(4))
    guard let checksum = tail.integer(UInt32.self),
      encoded.dropLast(4).withUnsafeBytes({ CRC32C.checksum($0) }) == checksum
    else { throw .corrupt(path: path, offset: 0, what: "its checksum does not match") }
    var reader = ByteReader(encoded[Self.magic.count...].dropLast(4))
    guard let version = reader.integer(UInt32.self), Int(version) == Self.formatVersion else {
      let found = encoded.dropFirst(Self.magic.count).first.map(Int.init) ?? 0
      throw .unsupportedVersion(path: path, found: found, supported: Self.formatVersion)
    }
    guard let cluster = reader.bytes(), let group = reader.bytes(), let node = reader.integer(UInt64.self),
      let disk = reader.integer(UInt64.self), reader.isAtEnd, let groupID = String(validating: group, as: UTF8.self)
    else { throw .corrupt(path: path, offset: 0, what: "it holds no identity") }
    self.init(clusterID: cluster, groupID: groupID, nodeID: node)
    self.disk = disk
  }

  /// Whose log a directory holds.
  package init(of disk: any LogDisk) throws(LogStoreError) {
    guard try disk.list().contains(Self.fileName) else { throw .noLog(path: disk.path) }
    self = try LogIdentity(encoded: try disk.open(Self.fileName).readAll(), path: disk.path + "/" + Self.fileName)
  }

  /// Throws `foreign` when the directory is another's.
  func check(found: LogIdentity, path: String) throws(LogStoreError) {
    if found.clusterID != clusterID {
      throw .foreign(
        path: path, what: "cluster", expected: Self.hexadecimal(clusterID), found: Self.hexadecimal(found.clusterID))
    }
    if found.groupID != groupID {
      throw .foreign(path: path, what: "group", expected: groupID, found: found.groupID)
    }
    if found.nodeID != nodeID {
      throw .foreign(path: path, what: "member", expected: "\(nodeID)", found: "\(found.nodeID)")
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}
