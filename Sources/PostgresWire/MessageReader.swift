import SQLTypes

/// Reads the fields of one message's body; every read is checked against the body's end.
///
/// The errors are PostgreSQL's for a message that is framed well but lies about its content (08P01, 22021).
struct MessageReader {
  private let bytes: UnsafeRawBufferPointer
  private(set) var offset = 0

  /// A reader of a body; the caller keeps the bytes alive.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Reads a body: all of the bytes, or a range of them.
  static func read<Value>(
    _ bytes: [UInt8], in range: Range<Int>? = nil, _ body: (inout MessageReader) throws(SQLError) -> Value
  ) throws(SQLError) -> Value {
    let result = bytes.withUnsafeBytes { bytes -> Result<Value, SQLError> in
      var reader = MessageReader(range.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) } ?? bytes)
      return Result { () throws(SQLError) in try body(&reader) }
    }
    return try result.get()
  }

  /// Bytes not read yet.
  var remainingCount: Int { bytes.count - offset }

  private static let insufficient = SQLError(.protocolViolation, "insufficient data left in message")

  /// One byte.
  mutating func readByte() throws(SQLError) -> UInt8 {
    guard remainingCount >= 1 else { throw Self.insufficient }
    defer { offset += 1 }
    return bytes[offset]
  }

  /// Two bytes, big-endian.
  mutating func readInt16() throws(SQLError) -> Int16 {
    guard remainingCount >= 2 else { throw Self.insufficient }
    defer { offset += 2 }
    return Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self))
  }

  /// Four bytes, big-endian.
  mutating func readInt32() throws(SQLError) -> Int32 {
    guard remainingCount >= 4 else { throw Self.insufficient }
    defer { offset += 4 }
    return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
  }

  /// Four bytes, big-endian, unsigned.
  mutating func readUInt32() throws(SQLError) -> UInt32 { UInt32(bitPattern: try readInt32()) }

  /// The number of items that follow, each of at least `itemBytes`: checked before anything is reserved for them.
  mutating func readCount(itemBytes: Int) throws(SQLError) -> Int {
    let count = Int(UInt16(bitPattern: try readInt16()))
    guard count * itemBytes <= remainingCount else { throw Self.insufficient }
    return count
  }

  /// Skips so many bytes and returns where they lie in the body.
  mutating func readRange(count: Int) throws(SQLError) -> Range<Int> {
    guard count >= 0, count <= remainingCount else { throw Self.insufficient }
    defer { offset += count }
    return offset..<offset + count
  }

  /// A zero-terminated string, checked to be UTF-8.
  mutating func readString() throws(SQLError) -> String {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    guard let length = rest.firstIndex(of: 0) else {
      throw SQLError(.protocolViolation, "invalid string in message")
    }
    offset += length + 1
    return try UTF8Text.decode(UnsafeRawBufferPointer(rebasing: rest[..<length]))
  }

  /// A copy of the next bytes; the caller has checked that they are there.
  mutating func readBytes(count: Int) -> [UInt8] {
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  /// A copy of all that is left.
  mutating func readRest() -> [UInt8] {
    defer { offset = bytes.count }
    return Array(bytes[offset...])
  }

  /// Refuses a body that goes on.
  func expectEnd() throws(SQLError) {
    guard remainingCount == 0 else { throw SQLError(.protocolViolation, "invalid message format") }
  }
}

/// Text from outside, as a String.
package enum UTF8Text {
  /// The text, or 22021 with the offending bytes as PostgreSQL prints them.
  package static func decode(_ bytes: some Collection<UInt8>) throws(SQLError) -> String {
    // PostgreSQL's text holds no zero byte.
    if let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) { return text }
    throw invalidSequence(in: Array(bytes))
  }

  /// The error for the first malformed sequence.
  private static func invalidSequence(in bytes: [UInt8]) -> SQLError {
    var start = 0
    while start < bytes.count {
      let length = sequenceLength(bytes[start])
      let end = min(start + length, bytes.count)
      if bytes[start] == 0 || end - start < length || String(validating: bytes[start..<end], as: UTF8.self) == nil {
        let shown = bytes[start..<end].map { "0x" + hexadecimal($0) }.joined(separator: " ")
        return SQLError(
          .characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": \(shown)")
      }
      start = end
    }
    return SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"")
  }

  private static func sequenceLength(_ lead: UInt8) -> Int {
    switch lead {
    case 0xc0..<0xe0: 2
    case 0xe0..<0xf0: 3
    case 0xf0..<0xf8: 4
    default: 1
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.utf8.count == 1 ? "0" + digits : digits
  }
}
