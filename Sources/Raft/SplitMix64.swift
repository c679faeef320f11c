/// A small seeded generator (Steele, Lea and Flood, 2014): the core's only source of randomness, part of its state.
package struct SplitMix64: Sendable, Equatable {
  private var state: UInt64

  /// Starts the sequence that belongs to the seed.
  package init(seed: UInt64) { state = seed }

  /// The next value of the sequence.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A value from 0 up to, not including, the bound (Lemire's multiplication; its bias is far below what a timeout needs).
  package mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: max(1, bound)).high }
}
