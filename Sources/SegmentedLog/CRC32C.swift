/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), eight bytes at a time (Kounavis and Berry, 2005).
package struct CRC32C: Sendable {
  // Written once, before anybody can read it, and never freed.
  private nonisolated(unsafe) static let table: UnsafePointer<UInt32> = makeTable()

  /// An implementation by the processor's own instruction: the state before, and the bytes; the state after.
  package typealias Implementation = @Sendable (UInt32, UnsafeRawBufferPointer) -> UInt32

  /// Used where it is set.
  ///
  /// Unsafe: set by a process's main function before there is another thread, only read from then on.
  nonisolated(unsafe) package static var accelerated: Implementation?

  private var state: UInt32

  /// Starts a checksum, or goes on from the value of an earlier one.
  package init(continuing value: UInt32 = 0) { state = ~value }

  /// The checksum of all bytes so far.
  package var value: UInt32 { ~state }

  /// The checksum of the bytes.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var sum = CRC32C()
    sum.update(bytes)
    return sum.value
  }

  /// Takes in more bytes.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    if let accelerated = Self.accelerated {
      state = accelerated(state, bytes)
      return
    }
    let table = Self.table
    var crc = state
    var position = 0
    while position + 8 <= bytes.count {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: position, as: UInt64.self)) ^ UInt64(crc)
      crc =
        table[7 &* 256 &+ Int(word & 0xFF)] ^ table[6 &* 256 &+ Int((word >> 8) & 0xFF)]
        ^ table[5 &* 256 &+ Int((word >> 16) & 0xFF)] ^ table[4 &* 256 &+ Int((word >> 24) & 0xFF)]
        ^ table[3 &* 256 &+ Int((word >> 32) & 0xFF)] ^ table[2 &* 256 &+ Int((word >> 40) & 0xFF)]
        ^ table[1 &* 256 &+ Int((word >> 48) & 0xFF)] ^ table[Int(word >> 56)]
      position &+= 8
    }
    while position < bytes.count {
      crc = table[Int((crc ^ UInt32(base.load(fromByteOffset: position, as: UInt8.self))) & 0xFF)] ^ (crc >> 8)
      position &+= 1
    }
    state = crc
  }

  private static func makeTable() -> UnsafePointer<UInt32> {
    let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
      table[byte] = crc
    }
    for slice in 1..<8 {
      for byte in 0..<256 {
        let previous = table[(slice - 1) * 256 + byte]
        table[slice * 256 + byte] = table[Int(previous & 0xFF)] ^ (previous >> 8)
      }
    }
    return UnsafePointer(table)
  }
}
