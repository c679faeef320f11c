/// A running hash of all that happens: one multiplication for each word. Not for adversaries.
struct TraceHash {
  private(set) var value: UInt64 = 0x6B75_6E6C_6F67_0001

  @inline(__always)
  mutating func mix(_ word: UInt64) {
    value = (value ^ word) &* 0x9FB2_1C65_1E98_DF25
    value ^= value >> 32
  }

  /// Of bytes: eight at a time.
  static func of(_ bytes: [UInt8]) -> UInt64 {
    var hash = TraceHash()
    bytes.withUnsafeBytes { buffer in
      var position = 0
      while position + 8 <= buffer.count {
        hash.mix(UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
        position += 8
      }
      var rest: UInt64 = UInt64(buffer.count)
      while position < buffer.count {
        rest = rest << 8 | UInt64(buffer[position])
        position += 1
      }
      hash.mix(rest)
    }
    return hash.value
  }
}
