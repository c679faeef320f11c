/// Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
package enum PrometheusText {
  /// For the header of an answer over HTTP.
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The set as text, in its order. A metric without series does not appear.
  package static func render(_ set: MetricSet) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(32 * 1024)
    for family in set.families where !family.series.isEmpty {
      out += "# HELP \(family.name) ".utf8
      escape(family.help, quotes: false, into: &out)
      out += "\n# TYPE \(family.name) \(family.kind.rawValue)\n".utf8
      for series in family.series {
        switch series.value {
        case .number(let value): line(family.name, "", series.labels, nil, value, into: &out)
        case .histogram(let histogram): render(histogram, family.name, series.labels, into: &out)
        }
      }
    }
    return out
  }

  private static func render(
    _ histogram: Histogram, _ name: String, _ labels: [MetricLabel], into out: inout [UInt8]
  ) {
    var cumulated: UInt64 = 0
    for (index, bound) in histogram.bounds.bounds.enumerated() {
      cumulated += histogram.counts[index]
      let limit = number(Double(bound) * histogram.bounds.scale)
      line(name, "_bucket", labels, limit, Double(cumulated), into: &out)
    }
    cumulated += histogram.counts[histogram.bounds.bounds.count]
    line(name, "_bucket", labels, "+Inf", Double(cumulated), into: &out)
    line(name, "_sum", labels, nil, Double(histogram.sum) * histogram.bounds.scale, into: &out)
    line(name, "_count", labels, nil, Double(cumulated), into: &out)
  }

  private static func line(
    _ name: String, _ suffix: String, _ labels: [MetricLabel], _ bound: String?, _ value: Double,
    into out: inout [UInt8]
  ) {
    out += name.utf8
    out += suffix.utf8
    if !labels.isEmpty || bound != nil {
      var separator = UInt8(ascii: "{")
      for label in labels {
        out.append(separator)
        out += label.name.utf8
        out += "=\"".utf8
        escape(label.value, quotes: true, into: &out)
        out.append(UInt8(ascii: "\""))
        separator = UInt8(ascii: ",")
      }
      if let bound {
        out.append(separator)
        out += "le=\"".utf8
        out += bound.utf8
        out.append(UInt8(ascii: "\""))
      }
      out.append(UInt8(ascii: "}"))
    }
    out.append(UInt8(ascii: " "))
    out += number(value).utf8
    out.append(UInt8(ascii: "\n"))
  }

  /// A value as the format has it: whole numbers without a fraction, others so that reading gives the same value again.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    // 2^53: whole numbers below are exact.
    if value == value.rounded(.towardZero), value.magnitude < 9_007_199_254_740_992 { return String(Int64(value)) }
    return value.description
  }

  /// Backslash and newline are escaped everywhere, quotes in the values of labels.
  private static func escape(_ text: String, quotes: Bool, into out: inout [UInt8]) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): out += "\\\\".utf8
      case UInt8(ascii: "\n"): out += "\\n".utf8
      case UInt8(ascii: "\"") where quotes: out += "\\\"".utf8
      default: out.append(byte)
      }
    }
  }
}
