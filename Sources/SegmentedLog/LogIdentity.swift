/// Whose log a directory holds. Stamped into it once; every later start must agree.
package struct LogIdentity: Sendable, Equatable {
  /// The cluster: 16 bytes, made with it.
  package var clusterID: [UInt8]
  /// The group within the cluster.
  package var groupID: String
  /// The member within the group.
  package var nodeID: UInt64

  /// Makes an identity.
  package init(clusterID: [UInt8], groupID: String, nodeID: UInt64) {
    self.clusterID = clusterID
    self.groupID = groupID
    self.nodeID = nodeID
  }

  /// The format of directories and records that this program writes and reads.
  package static let formatVersion = 1
  static let fileName = "identity"
  private static let magic: [UInt8] = Array("KUNLOG-LOG\n".utf8)

  // Starts every record's checksum, so that a record of another log is no record of this one.
  var checksumSeed: UInt32 { bodyBytes.withUnsafeBytes { CRC32C.checksum($0) } }

  private var bodyBytes: [UInt8] {
    var writer = ByteWriter()
    writer.bytes(clusterID)
    writer.bytes(Array(groupID.utf8))
    writer.integer(nodeID)
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
    guard encoded.starts(with: Self.magic) else { throw .corrupt(path: path, offset: 0, what: "no identity in it") }
    var reader = ByteReader(encoded[Self.magic.count...])
    guard let version = reader.integer(UInt32.self) else {
      throw .corrupt(path: path, offset: encoded.count, what: "it ends too early")
    }
    guard Int(version) == Self.formatVersion else {
      throw .unsupportedVersion(path: path, found: Int(version), supported: Self.formatVersion)
    }
    guard let cluster = reader.bytes(), let group = reader.bytes(), let node = reader.integer(UInt64.self),
      let checksum = reader.integer(UInt32.self), reader.isAtEnd,
      encoded.dropLast(4).withUnsafeBytes({ CRC32C.checksum($0) }) == checksum,
      let groupID = String(validating: group, as: UTF8.self)
    else { throw .corrupt(path: path, offset: 0, what: "its checksum does not match") }
    self.init(clusterID: cluster, groupID: groupID, nodeID: node)
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
