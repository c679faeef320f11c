/// Latencies of a run, each kept: a run is some seconds.
struct LatencyRecorder {
  private var nanoseconds: [UInt64] = []

  init() { nanoseconds.reserveCapacity(1 << 18) }

  var count: Int { nanoseconds.count }

  mutating func add(_ value: UInt64) { nanoseconds.append(value) }

  /// For the report; sorts what was recorded.
  mutating func summary() -> Summary {
    nanoseconds.sort()
    func percentile(_ fraction: Double) -> Double {
      guard !nanoseconds.isEmpty else { return 0 }
      let position = min(nanoseconds.count - 1, Int(Double(nanoseconds.count) * fraction))
      return Double(nanoseconds[position]) / 1000
    }
    let sum = nanoseconds.reduce(0.0) { $0 + Double($1) }
    return Summary(
      mean: nanoseconds.isEmpty ? 0 : sum / Double(nanoseconds.count) / 1000, p50: percentile(0.5),
      p99: percentile(0.99), p999: percentile(0.999), maximum: Double(nanoseconds.last ?? 0) / 1000)
  }

  /// In microseconds.
  struct Summary: Encodable {
    var mean: Double
    var p50: Double
    var p99: Double
    var p999: Double
    var maximum: Double
  }
}
