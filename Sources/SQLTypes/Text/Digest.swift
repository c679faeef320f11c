/// MD5 (RFC 1321) and SHA-2 (FIPS 180-4) for SQL's `md5` and `sha…` functions; not for protecting anything.
package enum Digest {
  /// MD5's 16 bytes.
  package static func md5(_ message: [UInt8]) -> [UInt8] {
    let shifts: [UInt32] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
    var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]
    let padded = pad(message, blockBytes: 64, lengthBytes: 8, bigEndian: false)
    for block in stride(from: 0, to: padded.count, by: 64) {
      let words = (0..<16).map { word in
        (0..<4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(padded[block + word * 4 + $1]) }
      }
      var (a, b, c, d) = (state[0], state[1], state[2], state[3])
      for round in 0..<64 {
        let mixed: UInt32
        let index: Int
        switch round / 16 {
        case 0: (mixed, index) = (b & c | ~b & d, round)
        case 1: (mixed, index) = (d & b | ~d & c, (5 * round + 1) % 16)
        case 2: (mixed, index) = (b ^ c ^ d, (3 * round + 5) % 16)
        default: (mixed, index) = (c ^ (b | ~d), 7 * round % 16)
        }
        let sum = a &+ mixed &+ md5Constants[round] &+ words[index]
        let shift = shifts[round / 16 * 4 + round % 4]
        (a, d, c, b) = (d, c, b, b &+ (sum << shift | sum >> (32 - shift)))
      }
      state = [state[0] &+ a, state[1] &+ b, state[2] &+ c, state[3] &+ d]
    }
    return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
  }

  /// SHA-224's 28 or SHA-256's 32 bytes.
  package static func sha256(_ message: [UInt8], is224: Bool = false) -> [UInt8] {
    var state: [UInt32] =
      is224
      ? [
        0xc105_9ed8, 0x367c_d507, 0x3070_dd17, 0xf70e_5939, 0xffc0_0b31, 0x6858_1511, 0x64f9_8fa7, 0xbefa_4fa4,
      ]
      : sqrtWords.map { UInt32($0 >> 32) }
    let padded = pad(message, blockBytes: 64, lengthBytes: 8, bigEndian: true)
    for block in stride(from: 0, to: padded.count, by: 64) {
      var w = (0..<16).map { word in
        (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(padded[block + word * 4 + $1]) }
      }
      for t in 16..<64 {
        let s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3
        let s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10
        w.append(w[t - 16] &+ s0 &+ w[t - 7] &+ s1)
      }
      var v = state
      for t in 0..<64 {
        let s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
        let choice = v[4] & v[5] ^ ~v[4] & v[6]
        let t1 = v[7] &+ s1 &+ choice &+ UInt32(cubeRootWords[t] >> 32) &+ w[t]
        let s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
        let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
        v = [t1 &+ s0 &+ majority, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
      }
      for index in 0..<8 { state[index] &+= v[index] }
    }
    let bytes = state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - $0 * 8)) } }
    return Array(bytes.prefix(is224 ? 28 : 32))
  }

  /// SHA-384's 48 or SHA-512's 64 bytes.
  package static func sha512(_ message: [UInt8], is384: Bool = false) -> [UInt8] {
    var state: [UInt64] =
      is384
      ? [
        0xcbbb_9d5d_c105_9ed8, 0x629a_292a_367c_d507, 0x9159_015a_3070_dd17, 0x152f_ecd8_f70e_5939,
        0x6733_2667_ffc0_0b31, 0x8eb4_4a87_6858_1511, 0xdb0c_2e0d_64f9_8fa7, 0x47b5_481d_befa_4fa4,
      ] : sqrtWords
    let padded = pad(message, blockBytes: 128, lengthBytes: 16, bigEndian: true)
    for block in stride(from: 0, to: padded.count, by: 128) {
      var w = (0..<16).map { word in
        (0..<8).reduce(UInt64(0)) { $0 << 8 | UInt64(padded[block + word * 8 + $1]) }
      }
      for t in 16..<80 {
        let s0 = rotate(w[t - 15], 1) ^ rotate(w[t - 15], 8) ^ w[t - 15] >> 7
        let s1 = rotate(w[t - 2], 19) ^ rotate(w[t - 2], 61) ^ w[t - 2] >> 6
        w.append(w[t - 16] &+ s0 &+ w[t - 7] &+ s1)
      }
      var v = state
      for t in 0..<80 {
        let s1 = rotate(v[4], 14) ^ rotate(v[4], 18) ^ rotate(v[4], 41)
        let choice = v[4] & v[5] ^ ~v[4] & v[6]
        let t1 = v[7] &+ s1 &+ choice &+ cubeRootWords[t] &+ w[t]
        let s0 = rotate(v[0], 28) ^ rotate(v[0], 34) ^ rotate(v[0], 39)
        let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
        v = [t1 &+ s0 &+ majority, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
      }
      for index in 0..<8 { state[index] &+= v[index] }
    }
    let bytes = state.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - $0 * 8)) } }
    return Array(bytes.prefix(is384 ? 48 : 64))
  }

  private static func rotate(_ value: UInt32, _ places: UInt32) -> UInt32 { value >> places | value << (32 - places) }
  private static func rotate(_ value: UInt64, _ places: UInt64) -> UInt64 { value >> places | value << (64 - places) }

  private static func pad(_ message: [UInt8], blockBytes: Int, lengthBytes: Int, bigEndian: Bool) -> [UInt8] {
    var bytes = message
    bytes.append(0x80)
    while bytes.count % blockBytes != blockBytes - lengthBytes { bytes.append(0) }
    let bits = UInt64(message.count) * 8
    let length = (0..<8).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
    bytes.append(contentsOf: repeatElement(0, count: lengthBytes - 8))
    bytes.append(contentsOf: bigEndian ? length.reversed() : length)
    return bytes
  }

  /// floor(2^32 |sin(i + 1)|), RFC 1321 section 3.4. The sines are computed by their series.
  private static let md5Constants: [UInt32] = (1...64).map { index in
    let pi = Double.pi
    var x = Double(index).truncatingRemainder(dividingBy: 2 * pi)
    if x > pi { x -= 2 * pi }
    if x > pi / 2 { x = pi - x } else if x < -pi / 2 { x = -pi - x }
    var term = x
    var sum = x
    for n in stride(from: 2.0, through: 30, by: 2) {
      term *= -x * x / (n * (n + 1))
      sum += term
    }
    return UInt32(abs(sum) * 4_294_967_296)
  }

  private static let primes: [UInt64] = {
    var found: [UInt64] = []
    var candidate: UInt64 = 2
    while found.count < 80 {
      if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
      candidate += 1
    }
    return found
  }()

  /// The first 64 bits of the fractional parts of the square roots of the first 8 primes.
  private static let sqrtWords: [UInt64] = primes.prefix(8).map { fractionOfRoot($0, degree: 2) }

  /// The first 64 bits of the fractional parts of the cube roots of the first 80 primes.
  private static let cubeRootWords: [UInt64] = primes.map { fractionOfRoot($0, degree: 3) }

  /// Bit by bit: the greatest r with r^degree not above prime * 2^(64 degree).
  private static func fractionOfRoot(_ prime: UInt64, degree: Int) -> UInt64 {
    var root = DecimalMagnitude.zero
    var target = DecimalMagnitude(prime)
    for _ in 0..<(64 * degree) { target = target + target }
    var bits: [DecimalMagnitude] = [.one]
    for _ in 0..<68 { bits.append(bits[bits.count - 1] + bits[bits.count - 1]) }
    var fraction: UInt64 = 0
    for place in (0...68).reversed() {
      let candidate = root + bits[place]
      var power = candidate
      for _ in 1..<degree { power = power * candidate }
      if power.compare(target) <= 0 {
        root = candidate
        if place < 64 { fraction |= 1 << UInt64(place) }
      }
    }
    return fraction
  }
}
