import Testing

@testable import Metrics

@Suite("Prometheus' text format")
struct PrometheusTextTests {
  private func text(_ set: MetricSet) -> String { String(decoding: PrometheusText.render(set), as: UTF8.self) }

  @Test("A metric has its help, its type and a line per series")
  func counters() {
    var set = MetricSet()
    set.counter("requests_total", "Requests.", 3, ("method", "Get"), ("code", "OK"))
    set.gauge("depth", "How deep.", -1.5)
    set.counter("requests_total", "Requests.", 4, ("method", "Put"), ("code", "OK"))
    #expect(
      text(set) == """
        # HELP requests_total Requests.
        # TYPE requests_total counter
        requests_total{method="Get",code="OK"} 3
        requests_total{method="Put",code="OK"} 4
        # HELP depth How deep.
        # TYPE depth gauge
        depth -1.5

        """)
  }

  @Test("Buckets are cumulated, end with +Inf, and are followed by sum and count")
  func histograms() {
    var histogram = Histogram(HistogramBounds(from: 10_000_000, through: 100_000_000, scale: 1e-9))
    for value: UInt64 in [5_000_000, 20_000_000, 30_000_000, 2_000_000_000] { histogram.record(value) }
    var set = MetricSet()
    set.histogram("wait_seconds", "Waits.", histogram, ("queue", "a"))
    #expect(
      text(set) == """
        # HELP wait_seconds Waits.
        # TYPE wait_seconds histogram
        wait_seconds_bucket{queue="a",le="0.01"} 1
        wait_seconds_bucket{queue="a",le="0.02"} 2
        wait_seconds_bucket{queue="a",le="0.05"} 3
        wait_seconds_bucket{queue="a",le="0.1"} 3
        wait_seconds_bucket{queue="a",le="+Inf"} 4
        wait_seconds_sum{queue="a"} 2.055
        wait_seconds_count{queue="a"} 4

        """)
  }

  @Test("Backslashes and newlines are escaped, quotes in the values of labels only")
  func escapes() {
    var set = MetricSet()
    set.gauge("a", "one\\two\n\"three\"", 1, ("path", "C:\\x\n\"y\" ü"))
    #expect(
      text(set) == #"""
        # HELP a one\\two\n"three"
        # TYPE a gauge
        a{path="C:\\x\n\"y\" ü"} 1

        """#)
  }

  @Test("Numbers are written so that they are read as the same again")
  func numbers() {
    #expect(PrometheusText.number(0) == "0")
    #expect(PrometheusText.number(12_345_678_901) == "12345678901")
    #expect(PrometheusText.number(0.1) == "0.1")
    #expect(PrometheusText.number(1e-05) == "1e-05")
    #expect(PrometheusText.number(1e300) == "1e+300")
    #expect(PrometheusText.number(.infinity) == "+Inf")
    #expect(PrometheusText.number(-.infinity) == "-Inf")
    #expect(PrometheusText.number(.nan) == "NaN")
  }

  @Test("Sets are joined metric by metric")
  func joined() {
    var first = MetricSet()
    first.gauge("a", "A.", 1, ("group", "x"))
    var second = MetricSet()
    second.gauge("b", "B.", 2)
    second.gauge("a", "A.", 3, ("group", "y"))
    first.add(second)
    #expect(first.families.map(\.name) == ["a", "b"])
    #expect(first.families[0].series.map { $0.labels[0].value } == ["x", "y"])
  }
}
