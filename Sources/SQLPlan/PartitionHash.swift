import SQLTypes

/// The hash by which rows are spread over hash partitions. Fixed for ever: rows lie where it once put them.
///
/// Values that are equal in SQL hash alike, whatever their stored form: 1.0 and 1.00, 0.0 and -0.0, '1 mon' and '30 days'.
/// It is not PostgreSQL's own hash: the two systems place the same key differently.
///
/// Definition, all in 64-bit arithmetic modulo 2^64. A key's hash starts at `seed`; each value in turn makes
/// `hash = mix(hash ^ valueHash) + seed`. The hash of an integer is `mix(value)`; of bytes (the UTF-8 of text, a blob), FNV-1a
/// over them, mixed with the length; of a real, that of its bit pattern; of null, 0. `mix` is the finalizer of SplitMix64.
package enum PartitionHash {
  private static let seed: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// The hash of a key's values; `types` are those of the key's columns.
  package static func hash(_ key: [StoredValue], types: [SQLType]) -> UInt64 {
    var hash = seed
    for (value, type) in zip(key, types) { hash = mix(hash ^ self.hash(value, type)) &+ seed }
    return hash
  }

  private static func hash(_ value: StoredValue, _ type: SQLType) -> UInt64 {
    switch KeyOrder.normalized(value, type) {
    case .null: return 0
    case .integer(let integer): return mix(UInt64(bitPattern: integer))
    case .real(let real): return mix((real == 0 ? 0.0 : real).bitPattern)
    case .text(let text): return hash(bytes: text.utf8)
    case .blob(let bytes): return hash(bytes: bytes)
    }
  }

  private static func hash(bytes: some Sequence<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var count: UInt64 = 0
    for byte in bytes {
      hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
      count &+= 1
    }
    return mix(hash ^ count)
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
