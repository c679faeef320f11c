/// Why a row's bytes could not be decoded: they are truncated, or carry a tag or text that no encoder writes.
package enum RowCodecError: Error, Sendable, Equatable {
  /// The bytes end inside a value.
  case truncated
  /// A tag byte outside 0...4, at the offset.
  case unknownTag(UInt8, offset: Int)
  /// Text that is not UTF-8, at the offset.
  case invalidUTF8(offset: Int)
  /// The last row has fewer values than the others.
  case incompleteRow
}

/// Rows between compute and storage: per value a tag byte (0 null, 1 integer, 2 real, 3 text, 4 blob), then the
/// value: integers and reals 8 bytes little-endian, text and blobs a UInt32 little-endian length and the bytes.
/// A row is its values in order; rows follow each other without separator.
package enum RowCodec {
  /// Encodes one row (or one list of parameters).
  package static func encode(_ row: [StoredValue]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(row.count * 12)
    append(row, to: &bytes)
    return bytes
  }

  /// Appends one row to bytes that already hold rows.
  package static func append(_ row: [StoredValue], to bytes: inout [UInt8]) {
    for value in row { append(value, to: &bytes) }
  }

  /// Appends one value.
  package static func append(_ value: StoredValue, to bytes: inout [UInt8]) {
    switch value {
    case .null:
      bytes.append(0)
    case .integer(let integer):
      bytes.append(1)
      appendLittleEndian(UInt64(bitPattern: integer), to: &bytes)
    case .real(let real):
      bytes.append(2)
      appendLittleEndian(real.bitPattern, to: &bytes)
    case .text(var text):
      bytes.append(3)
      text.withUTF8 { appendCounted(UnsafeRawBufferPointer($0), to: &bytes) }
    case .blob(let blob):
      bytes.append(4)
      blob.withUnsafeBytes { appendCounted($0, to: &bytes) }
    }
  }

  /// Decodes all values in the bytes: one row, or several rows whose borders the caller knows.
  package static func decode(_ bytes: [UInt8]) throws(RowCodecError) -> [StoredValue] {
    var reader = RowReader(bytes)
    var values: [StoredValue] = []
    while !reader.isAtEnd { values.append(try reader.next()) }
    return values
  }

  /// Decodes rows of a known width, which must be above zero.
  package static func decodeRows(_ bytes: [UInt8], columnCount: Int) throws(RowCodecError) -> [[StoredValue]] {
    precondition(columnCount > 0, "rows without columns have no bytes to count them by")
    var reader = RowReader(bytes)
    var rows: [[StoredValue]] = []
    while !reader.isAtEnd {
      var row: [StoredValue] = []
      row.reserveCapacity(columnCount)
      while row.count < columnCount {
        if reader.isAtEnd { throw .incompleteRow }
        row.append(try reader.next())
      }
      rows.append(row)
    }
    return rows
  }

  private static func appendLittleEndian(_ value: UInt64, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func appendCounted(_ content: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: UInt32(content.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: content)
  }
}

/// Reads encoded values one after the other.
package struct RowReader: Sendable {
  private let bytes: [UInt8]
  private var offset: Int = 0

  /// A reader at the first value.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Whether all bytes are consumed.
  package var isAtEnd: Bool { offset >= bytes.count }

  /// The next value.
  package mutating func next() throws(RowCodecError) -> StoredValue {
    guard offset < bytes.count else { throw .truncated }
    let tag = bytes[offset]
    switch tag {
    case 0:
      offset += 1
      return .null
    case 1:
      return .integer(Int64(bitPattern: try eightBytes()))
    case 2:
      return .real(Double(bitPattern: try eightBytes()))
    case 3:
      let range = try counted()
      guard let text = String(validating: bytes[range], as: UTF8.self) else {
        throw .invalidUTF8(offset: range.lowerBound)
      }
      return .text(text)
    case 4:
      return .blob(Array(bytes[try counted()]))
    default:
      throw .unknownTag(tag, offset: offset)
    }
  }

  private mutating func eightBytes() throws(RowCodecError) -> UInt64 {
    guard bytes.count - offset >= 9 else { throw .truncated }
    let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset + 1, as: UInt64.self) }
    offset += 9
    return UInt64(littleEndian: value)
  }

  private mutating func counted() throws(RowCodecError) -> Range<Int> {
    guard bytes.count - offset >= 5 else { throw .truncated }
    let raw = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset + 1, as: UInt32.self) }
    let length = Int(UInt32(littleEndian: raw))
    let start = offset + 5
    guard bytes.count - start >= length else { throw .truncated }
    offset = start + length
    return start..<offset
  }
}
