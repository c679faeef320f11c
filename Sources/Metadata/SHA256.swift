/// SHA-256 (FIPS 180-4), so that the pure core can check the log's chain without a library.
package struct SHA256: Sendable {
  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  private var pending: [UInt8] = []
  private var lengthBytes: UInt64 = 0
  private var schedule = [UInt32](repeating: 0, count: 64)

  /// A library's implementation of `digest`: two pieces of input, room for 32 bytes.
  package typealias Implementation =
    @Sendable (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> Void

  /// Used by `digest` where it is set: processors have instructions for this that a compiler does not find.
  ///
  /// Unsafe: set by a process's main function before there is another thread, only read from then on.
  nonisolated(unsafe) package static var accelerated: Implementation?

  /// The digest of the two pieces, one after the other, into 32 bytes.
  package static func digest(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, into result: UnsafeMutableRawBufferPointer
  ) {
    if let accelerated { return accelerated(first, second, result) }
    var hasher = SHA256()
    hasher.update(first)
    hasher.update(second)
    result.copyBytes(from: hasher.finish())
  }

  package init() { pending.reserveCapacity(64) }

  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    lengthBytes += UInt64(bytes.count)
    var taken = 0
    if !pending.isEmpty {
      taken = min(64 - pending.count, bytes.count)
      pending.append(contentsOf: bytes[0..<taken])
      guard pending.count == 64 else { return }
      let block = pending
      block.withUnsafeBufferPointer { compress($0.baseAddress!) }
      pending.removeAll(keepingCapacity: true)
    }
    bytes.withMemoryRebound(to: UInt8.self) { buffer in
      while buffer.count - taken >= 64 {
        compress(buffer.baseAddress! + taken)
        taken += 64
      }
    }
    pending.append(contentsOf: bytes[taken...])
  }

  /// The digest, 32 bytes. The value is not to be used afterwards.
  package mutating func finish() -> [UInt8] {
    let lengthBits = lengthBytes &* 8
    var padding: [UInt8] = [0x80]
    let zeros = (119 - pending.count) % 64
    padding.append(contentsOf: repeatElement(0, count: zeros))
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      padding.append(UInt8(truncatingIfNeeded: lengthBits >> shift))
    }
    update(padding)
    var digest: [UInt8] = []
    digest.reserveCapacity(32)
    for word in state {
      for shift in stride(from: UInt32(24), through: 0, by: -8) {
        digest.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return digest
  }

  // Plain loops over pointers: a build without optimization, as the tests use, is several times quicker for it.
  private mutating func compress(_ block: UnsafePointer<UInt8>) {
    schedule.withUnsafeMutableBufferPointer { schedule in
      Self.constants.withUnsafeBufferPointer { constants in
        state.withUnsafeMutableBufferPointer { state in
          Self.compress(block, schedule.baseAddress!, constants.baseAddress!, state.baseAddress!)
        }
      }
    }
  }

  private static func compress(
    _ block: UnsafePointer<UInt8>, _ schedule: UnsafeMutablePointer<UInt32>, _ constants: UnsafePointer<UInt32>,
    _ state: UnsafeMutablePointer<UInt32>
  ) {
    var word = 0
    while word < 16 {
      let bytes = block + word &* 4
      schedule[word] = UInt32(bytes[0]) << 24 | UInt32(bytes[1]) << 16 | UInt32(bytes[2]) << 8 | UInt32(bytes[3])
      word &+= 1
    }
    while word < 64 {
      let x = schedule[word &- 15]
      let y = schedule[word &- 2]
      let small = (x &>> 7 | x &<< 25) ^ (x &>> 18 | x &<< 14) ^ (x &>> 3)
      let large = (y &>> 17 | y &<< 15) ^ (y &>> 19 | y &<< 13) ^ (y &>> 10)
      schedule[word] = schedule[word &- 16] &+ small &+ schedule[word &- 7] &+ large
      word &+= 1
    }
    var a = state[0]
    var b = state[1]
    var c = state[2]
    var d = state[3]
    var e = state[4]
    var f = state[5]
    var g = state[6]
    var h = state[7]
    var round = 0
    while round < 64 {
      let sumE = (e &>> 6 | e &<< 26) ^ (e &>> 11 | e &<< 21) ^ (e &>> 25 | e &<< 7)
      let first = h &+ sumE &+ ((e & f) ^ (~e & g)) &+ constants[round] &+ schedule[round]
      let sumA = (a &>> 2 | a &<< 30) ^ (a &>> 13 | a &<< 19) ^ (a &>> 22 | a &<< 10)
      let second = sumA &+ ((a & b) ^ (a & c) ^ (b & c))
      h = g
      g = f
      f = e
      e = d &+ first
      d = c
      c = b
      b = a
      a = first &+ second
      round &+= 1
    }
    state[0] = state[0] &+ a
    state[1] = state[1] &+ b
    state[2] = state[2] &+ c
    state[3] = state[3] &+ d
    state[4] = state[4] &+ e
    state[5] = state[5] &+ f
    state[6] = state[6] &+ g
    state[7] = state[7] &+ h
  }

  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
}
