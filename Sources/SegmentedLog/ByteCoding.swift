/// Builds little-endian bytes.
struct ByteWriter {
  private(set) var result: [UInt8] = []

  mutating func integer<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { result.append(contentsOf: $0) }
  }

  /// Bytes with their length (UInt32) before them.
  mutating func bytes(_ value: [UInt8]) {
    integer(UInt32(value.count))
    result += value
  }

  mutating func raw(_ value: [UInt8]) { result += value }
}

/// Takes little-endian bytes apart; nil where they end too early.
struct ByteReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
    let size = MemoryLayout<T>.size
    guard rest.count >= size else { return nil }
    let value = rest.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
    rest = rest.dropFirst(size)
    return T(littleEndian: value)
  }

  mutating func bytes() -> [UInt8]? {
    guard let count = integer(UInt32.self), rest.count >= Int(count) else { return nil }
    let value = Array(rest.prefix(Int(count)))
    rest = rest.dropFirst(Int(count))
    return value
  }
}
