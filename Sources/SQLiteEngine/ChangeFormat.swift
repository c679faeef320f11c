/// How a tablet's row changes are written in the shard's log: in the order in which they happened, so that applying them
/// meets no constraint that executing them did not meet. (SQLite's own changesets forget the order: a swap of two unique
/// values cannot be applied from one.)
///
///     changeset := version (1 byte, 1) columnCount (UInt16 LE) change*
///     change    := kind (1 byte) row{1,2}
///     row       := value{columnCount}     as RowCodec writes them; tag 5: unchanged, or of no interest
///
/// An insert carries the new row, a delete the old one, an update the old row (key columns and changed columns) and the new
/// row (changed columns).
enum ChangeFormat {
  static let version: UInt8 = 1
  static let headerBytes = 3
  /// The tag of a value that an update leaves alone.
  static let unchangedTag: UInt8 = 5

  enum Kind: UInt8 {
    case insert = 1
    case update = 2
    case delete = 3
  }
}

/// Reads changes; the bytes may come from anywhere, every access is checked.
struct ChangeReader {
  enum Failure: Error { case damaged(offset: Int) }

  private let bytes: UnsafeRawBufferPointer
  private(set) var offset: Int
  let columnCount: Int

  init(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= ChangeFormat.headerBytes, bytes[0] == ChangeFormat.version else { throw .damaged(offset: 0) }
    self.bytes = bytes
    columnCount = Int(bytes[1]) | Int(bytes[2]) << 8
    offset = ChangeFormat.headerBytes
    guard columnCount > 0 else { throw .damaged(offset: 1) }
  }

  /// The kind of the next change; nil at the end.
  mutating func nextKind() throws(Failure) -> ChangeFormat.Kind? {
    guard offset < bytes.count else { return nil }
    guard let kind = ChangeFormat.Kind(rawValue: bytes[offset]) else { throw .damaged(offset: offset) }
    offset += 1
    return kind
  }

  /// The places of a row's values, in `places`.
  mutating func nextRow(into places: inout [Range<Int>]) throws(Failure) {
    places.removeAll(keepingCapacity: true)
    for _ in 0..<columnCount {
      let start = offset
      guard let length = EncodedValue.length(at: start, in: bytes) else { throw .damaged(offset: start) }
      offset += length
      places.append(start..<offset)
    }
  }
}

/// Values as RowCodec writes them, without decoding them.
enum EncodedValue {
  /// The length of the value at the offset, tag included; nil where the bytes end within it or the tag is unknown.
  static func length(at offset: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
    guard offset < bytes.count else { return nil }
    let rest = bytes.count - offset
    switch bytes[offset] {
    case 0, ChangeFormat.unchangedTag:
      return 1
    case 1, 2:
      return rest >= 9 ? 9 : nil
    case 3, 4:
      guard rest >= 5 else { return nil }
      let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 1, as: UInt32.self)))
      return rest - 5 >= length ? 5 + length : nil
    default:
      return nil
    }
  }
}
