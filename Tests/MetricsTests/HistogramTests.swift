import Testing

@testable import Metrics

@Suite("Histograms")
struct HistogramTests {
  @Test("Each decade has the same three bounds, from the smallest to the largest")
  func bounds() {
    #expect(
      HistogramBounds(from: 20, through: 5_000, scale: 1).bounds == [20, 50, 100, 200, 500, 1_000, 2_000, 5_000])
    #expect(HistogramBounds.seconds.bounds.count == 19)
    #expect(HistogramBounds.seconds.bounds.first == 10_000)
    #expect(HistogramBounds.seconds.bounds.last == 10_000_000_000)
  }

  @Test("A value lies in the first bucket whose bound is not below it, as a search through all bounds finds it")
  func buckets() {
    let bounds = HistogramBounds.seconds
    var values: [UInt64] = [0, 1, UInt64.max]
    for bound in bounds.bounds { values += [bound - 1, bound, bound + 1] }
    for shift in 0..<64 { values += [UInt64(1) << UInt64(shift), (UInt64(1) << UInt64(shift)) &- 1] }
    for value in values {
      let searched = bounds.bounds.firstIndex { value <= $0 } ?? bounds.bounds.count
      #expect(bounds.bucket(of: value) == searched, "\(value)")
    }
  }

  @Test("Counts and sum are those of the values, and a quantile is the bound that covers so many of them")
  func record() {
    var histogram = Histogram(HistogramBounds(from: 1, through: 100, scale: 0.5))
    #expect(histogram.quantile(0.5) == nil)
    for value: UInt64 in [1, 1, 2, 3, 50, 1000] { histogram.record(value) }
    // Bounds 1, 2, 5, 10, 20, 50, 100, and above.
    #expect(histogram.counts == [2, 1, 1, 0, 0, 1, 0, 1])
    #expect(histogram.count == 6)
    #expect(histogram.sum == 1057)
    #expect(histogram.quantile(0.5) == 1.0)
    #expect(histogram.quantile(0.6) == 2.5)
    #expect(histogram.quantile(0.83) == 25)
    #expect(histogram.quantile(1) == .infinity)
  }
}
