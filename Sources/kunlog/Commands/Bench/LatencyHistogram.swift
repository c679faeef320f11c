/// Latencies by the million: counts in classes that are a sixty-fourth of their size wide.
struct LatencyHistogram {
  private static let steps = 64
  private var counts = [Int](repeating: 0, count: 64 * steps)
  private(set) var count = 0
  private var sum = 0.0
  private var maximum: UInt64 = 0

  /// In nanoseconds.
  mutating func add(_ value: UInt64) {
    counts[Self.place(value)] += 1
    count += 1
    sum += Double(value)
    maximum = max(maximum, value)
  }

  private static func place(_ value: UInt64) -> Int {
    guard value >= UInt64(steps) else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    return (exponent - 5) * steps + Int(value >> UInt64(exponent - 6)) - steps
  }

  /// The upper end of a class.
  private static func value(_ place: Int) -> UInt64 {
    guard place >= steps else { return UInt64(place) }
    return UInt64(place % steps + steps + 1) << UInt64(place / steps - 1)
  }

  func summary() -> LatencyRecorder.Summary {
    func percentile(_ fraction: Double) -> Double {
      var left = Int(Double(count) * fraction)
      for place in counts.indices {
        left -= counts[place]
        if left < 0 { return Double(min(Self.value(place), maximum)) / 1000 }
      }
      return Double(maximum) / 1000
    }
    return LatencyRecorder.Summary(
      mean: count == 0 ? 0 : sum / Double(count) / 1000, p50: percentile(0.5), p99: percentile(0.99),
      p999: percentile(0.999), maximum: Double(maximum) / 1000)
  }
}
