import Raft

/// A stream of random numbers for one purpose. Each purpose has its own, so that a run without one kind of fault is else
/// as much like the run with it as can be: that is what makes shrinking work.
struct Chance: Sendable {
  private var generator: SplitMix64

  /// The stream that belongs to the seed and the purpose.
  init(seed: UInt64, purpose: UInt64) {
    var mixer = SplitMix64(seed: seed ^ (purpose &* 0xD1B5_4A32_D192_ED03))
    _ = mixer.next()
    generator = SplitMix64(seed: mixer.next())
  }

  mutating func next() -> UInt64 { generator.next() }

  /// From 0 up to, not including, the bound.
  mutating func below(_ bound: UInt64) -> UInt64 { generator.next(below: bound) }

  mutating func below(_ bound: Int) -> Int { Int(generator.next(below: UInt64(max(1, bound)))) }

  /// From one bound to the other, both included.
  mutating func between(_ low: UInt64, _ high: UInt64) -> UInt64 { low + below(high - low + 1) }

  /// True in so many of a million cases.
  mutating func happens(perMillion: UInt32) -> Bool {
    perMillion > 0 && generator.next() >> 44 < UInt64(perMillion) * 1_048_576 / 1_000_000
  }

  /// A wait whose mean is given, as if each moment were as likely: geometric, by halves, never more than ten times the mean.
  mutating func wait(mean: UInt64) -> UInt64 {
    // -ln(u) as the number of leading zeros, with the fraction interpolated: no floating point, whose results could differ.
    let bits = generator.next()
    let zeros = UInt64(min(bits.leadingZeroBitCount, 12))
    let fraction = (bits << (zeros + 1)) >> 48
    let logarithm = zeros << 16 + (65_536 - fraction)
    // ln 2 = 45426 / 65536.
    let wait = ((mean >> 4) &* ((logarithm &* 45_426) >> 16)) >> 12
    return max(1, min(wait, mean &* 10))
  }
}
