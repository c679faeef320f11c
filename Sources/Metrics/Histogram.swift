/// The bounds of a histogram's buckets: log-linear, that is, each decade in the same few steps, so that the relative error is
/// the same everywhere and the bounds never change with what is measured.
package struct HistogramBounds: Sendable {
  /// Inclusive upper bounds in the unit in which values are recorded, ascending. One more bucket takes what is above.
  package let bounds: [UInt64]
  /// What a recorded unit is in the unit that is exposed: 1e-9 for nanoseconds that are shown as seconds.
  package let scale: Double
  /// By the number of significant bits of a value: the first bound that may hold it.
  private let first: [Int]

  /// Bounds 1, 2, 5 times each power of ten, from the smallest to the largest.
  package init(from smallest: UInt64, through largest: UInt64, scale: Double) {
    var bounds: [UInt64] = []
    var decade: UInt64 = 1
    while decade <= largest {
      for step in [1, 2, 5] as [UInt64] where decade * step >= smallest && decade * step <= largest {
        bounds.append(decade * step)
      }
      guard decade <= UInt64.max / 50 else { break }
      decade *= 10
    }
    self.bounds = bounds
    self.scale = scale
    // The smallest value of n significant bits is 2^(n-1).
    first = (0...64).map { bits in
      let least: UInt64 = bits == 0 ? 0 : 1 << UInt64(bits - 1)
      return bounds.firstIndex { $0 >= least } ?? bounds.count
    }
  }

  /// Nanoseconds, exposed as seconds: from 10 µs to 10 s.
  package static let seconds = HistogramBounds(from: 10_000, through: 10_000_000_000, scale: 1e-9)

  /// The bucket of a value. At most three comparisons: between two powers of two lie two bounds at most.
  @inline(__always)
  func bucket(of value: UInt64) -> Int {
    var index = first[UInt64.bitWidth - value.leadingZeroBitCount]
    while index < bounds.count, bounds[index] < value { index += 1 }
    return index
  }
}

/// How values are distributed. A value type without a lock: it belongs to whoever records, and others get a copy.
package struct Histogram: Sendable {
  package let bounds: HistogramBounds
  /// Values per bucket, the last for those above all bounds. Not cumulated.
  package private(set) var counts: [UInt64]
  /// Sum of all values, in the unit in which they were recorded.
  package private(set) var sum: UInt64 = 0

  /// Nothing recorded.
  package init(_ bounds: HistogramBounds = .seconds) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.bounds.count + 1)
  }

  /// Takes a value in. Costs some nanoseconds, allocates nothing.
  @inline(__always)
  package mutating func record(_ value: UInt64) {
    counts[bounds.bucket(of: value)] &+= 1
    sum &+= value
  }

  /// How many values were recorded.
  package var count: UInt64 { counts.reduce(0, &+) }

  /// A bound below or at which so large a part of the values lies, in the exposed unit; nil where there are none, infinity where
  /// the part reaches above the last bound.
  package func quantile(_ part: Double) -> Double? {
    let total = count
    guard total > 0 else { return nil }
    let wanted = (Double(total) * part).rounded(.up)
    var seen: UInt64 = 0
    for (index, bound) in bounds.bounds.enumerated() {
      seen += counts[index]
      if Double(seen) >= wanted { return Double(bound) * bounds.scale }
    }
    return .infinity
  }
}
