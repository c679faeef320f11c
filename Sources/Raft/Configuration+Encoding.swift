/// The bytes of a configuration in the log: the version, the number of members (UInt16), then for each its id (UInt64),
/// its roles (UInt8: 1 voter, 2 outgoing voter, 4 learner), its disk (UInt64, from version 2 on), and its address (UInt16
/// length, UTF-8). All little-endian. Version 1 is written while no disk is known.
extension Configuration {
  private static let versionWithDisks: UInt8 = 2

  /// The configuration as bytes.
  package func encoded() -> [UInt8] {
    let version: UInt8 = members.contains { $0.disk != 0 } ? Self.versionWithDisks : 1
    var bytes: [UInt8] = [version]
    Self.append(UInt16(members.count), to: &bytes)
    for member in members {
      Self.append(member.id, to: &bytes)
      var roles: UInt8 = 0
      if voters.contains(member.id) { roles |= 1 }
      if outgoingVoters.contains(member.id) { roles |= 2 }
      if learners.contains(member.id) { roles |= 4 }
      bytes.append(roles)
      if version >= Self.versionWithDisks { Self.append(member.disk, to: &bytes) }
      let address = Array(member.address.utf8.prefix(Int(UInt16.max)))
      Self.append(UInt16(address.count), to: &bytes)
      bytes += address
    }
    return bytes
  }

  /// The configuration in the bytes; nil when they are none.
  package init?(encoded bytes: [UInt8]) {
    var rest = bytes[...]
    guard let version = rest.popFirst(), (1...Self.versionWithDisks).contains(version),
      let count = Self.take(UInt16.self, from: &rest)
    else { return nil }
    var members: [Member] = []
    var voters: [NodeID] = []
    var outgoing: [NodeID] = []
    var learners: [NodeID] = []
    for _ in 0..<count {
      guard let id = Self.take(UInt64.self, from: &rest), let roles = rest.popFirst(),
        let disk = version >= Self.versionWithDisks ? Self.take(UInt64.self, from: &rest) : 0,
        let length = Self.take(UInt16.self, from: &rest), rest.count >= Int(length),
        let address = String(validating: rest.prefix(Int(length)), as: UTF8.self)
      else { return nil }
      rest = rest.dropFirst(Int(length))
      guard id != 0, members.last.map({ $0.id < id }) ?? true, roles & 7 != 0, roles & 4 == 0 || roles == 4 else {
        return nil
      }
      members.append(Member(id: id, address: address, disk: disk))
      if roles & 1 != 0 { voters.append(id) }
      if roles & 2 != 0 { outgoing.append(id) }
      if roles & 4 != 0 { learners.append(id) }
    }
    guard rest.isEmpty else { return nil }
    self.init(members: members, voters: voters, outgoingVoters: outgoing, learners: learners)
  }

  private static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func take<T: FixedWidthInteger>(_ type: T.Type, from bytes: inout ArraySlice<UInt8>) -> T? {
    let size = MemoryLayout<T>.size
    guard bytes.count >= size else { return nil }
    var value: T = 0
    for (shift, byte) in bytes.prefix(size).enumerated() { value |= T(byte) << T(shift * 8) }
    bytes = bytes.dropFirst(size)
    return value
  }
}
