/// Reads protobuf's wire format field by field, for messages that come by the hundred thousand. Nothing is copied until it is
/// asked for; the bytes must outlive the reader.
struct WireReader {
  /// The wire types that there are (groups are none that this protocol uses).
  enum Kind: UInt64 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
  }

  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  /// For errors: what is being read.
  private let what: String

  init(_ bytes: UnsafeRawBufferPointer, _ what: String) {
    self.bytes = bytes
    self.what = what
  }

  /// The next field's number and wire type; nil at the end.
  mutating func field() throws(WireError) -> (number: UInt64, kind: Kind)? {
    guard position < bytes.count else { return nil }
    let tag = try varint()
    guard let kind = Kind(rawValue: tag & 7), tag >> 3 != 0 else { throw .malformed(what) }
    return (tag >> 3, kind)
  }

  mutating func varint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count, shift < 64 {
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw .malformed(what)
  }

  /// A varint of 32 bits: what is beyond them is cut off, as the generated code does.
  mutating func uint32() throws(WireError) -> UInt32 { UInt32(truncatingIfNeeded: try varint()) }

  /// Whether all has been read.
  var isAtEnd: Bool { position == bytes.count }

  /// A field of bytes, a string or a message, still where it lies.
  mutating func slice() throws(WireError) -> UnsafeRawBufferPointer {
    let length = try varint()
    guard length <= UInt64(bytes.count - position) else { throw .malformed(what) }
    let start = position
    position += Int(length)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
  }

  mutating func array() throws(WireError) -> [UInt8] { Array(try slice()) }

  mutating func string() throws(WireError) -> String {
    let slice = try slice()
    // ASCII needs no look-up of generic code at run time.
    if slice.allSatisfy({ $0 < 0x80 }) { return String(decoding: slice, as: UTF8.self) }
    guard let string = String(validating: slice, as: UTF8.self) else { throw .malformed(what) }
    return string
  }

  /// Passes over a field that is not known.
  mutating func skip(_ kind: Kind) throws(WireError) {
    switch kind {
    case .varint: _ = try varint()
    case .bytes: _ = try slice()
    case .fixed64: try advance(8)
    case .fixed32: try advance(4)
    }
  }

  private mutating func advance(_ count: Int) throws(WireError) {
    guard bytes.count - position >= count else { throw .malformed(what) }
    position += count
  }
}
