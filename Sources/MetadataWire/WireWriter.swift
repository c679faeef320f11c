/// Writes protobuf's wire format, for messages that come by the hundred thousand: the same bytes as the generated code, fields in
/// ascending order, empty ones left out.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  init(capacity: Int) { bytes.reserveCapacity(capacity) }

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// A field of type uint64 or int64.
  mutating func integer(_ field: UInt64, _ value: UInt64) {
    guard value != 0 else { return }
    varint(field << 3)
    varint(value)
  }

  mutating func string(_ field: UInt64, _ value: String) {
    guard !value.isEmpty else { return }
    var value = value
    value.withUTF8 { utf8 in
      begin(field, lengthBytes: utf8.count)
      bytes.append(contentsOf: utf8)
    }
  }

  mutating func array(_ field: UInt64, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    message(field, value)
  }

  /// A message that is encoded already; written even where it is empty.
  mutating func message(_ field: UInt64, _ encoded: [UInt8]) {
    begin(field, lengthBytes: encoded.count)
    bytes.append(contentsOf: encoded)
  }

  /// Begins a message or bytes of a known length, to be written next.
  mutating func begin(_ field: UInt64, lengthBytes: Int) {
    varint(field << 3 | 2)
    varint(UInt64(lengthBytes))
  }

  /// A message whose length is known when it is written; written even where it is empty.
  mutating func nested<Failure: Error>(
    _ field: UInt64, _ write: (inout WireWriter) throws(Failure) -> Void
  ) throws(Failure) {
    varint(field << 3 | 2)
    let start = bytes.count
    // Most are short.
    bytes.append(0)
    try write(&self)
    var length = UInt64(bytes.count - start - 1)
    var place = start
    while length >= 0x80 {
      bytes[place] = UInt8(truncatingIfNeeded: length) | 0x80
      length >>= 7
      place += 1
      bytes.insert(0, at: place)
    }
    bytes[place] = UInt8(length)
  }

  /// A text without tag and length.
  mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { bytes.append(contentsOf: $0) }
  }

  mutating func append(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

  static func size(of value: UInt64) -> Int { max(1, (70 - value.leadingZeroBitCount) / 7) }

  /// Of a whole field of bytes; 0 where it is empty, hence left out.
  static func size(_ field: UInt64, lengthBytes: Int) -> Int {
    lengthBytes == 0 ? 0 : size(of: field << 3) + size(of: UInt64(lengthBytes)) + lengthBytes
  }

  /// Of a whole field of type uint64.
  static func size(_ field: UInt64, _ value: UInt64) -> Int { value == 0 ? 0 : size(of: field << 3) + size(of: value) }
}
