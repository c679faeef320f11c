/// What a metric is to Prometheus.
package enum MetricKind: String, Sendable {
  /// Only grows, from 0 at the process's start.
  case counter
  /// May do both.
  case gauge
  case histogram
}

/// A name and its value, which tell one series of a metric from another.
package struct MetricLabel: Sendable, Hashable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// One metric with its series.
package struct MetricFamily: Sendable {
  /// What a series is worth.
  package enum Value: Sendable {
    case number(Double)
    case histogram(Histogram)
  }
  /// A value under its labels.
  package struct Series: Sendable {
    package var labels: [MetricLabel]
    package var value: Value
  }

  package let name: String
  package let kind: MetricKind
  package let help: String
  package fileprivate(set) var series: [Series] = []
}

/// All that a process tells at one moment, in the order in which it was added. Names follow Prometheus' conventions
/// (https://prometheus.io/docs/practices/naming/): the unit is the base unit and stands last, counters end with `_total`.
package struct MetricSet: Sendable {
  /// The metrics; a name occurs once.
  package private(set) var families: [MetricFamily] = []
  private var places: [String: Int] = [:]

  /// Nothing.
  package init() {}

  /// Adds a counter's series.
  package mutating func counter(_ name: String, _ help: String, _ value: UInt64, _ labels: (String, String)...) {
    add(name, .counter, help, .number(Double(value)), labels)
  }

  /// Adds a counter's series that counts seconds.
  package mutating func counter(
    _ name: String, _ help: String, seconds: Double, _ labels: (String, String)...
  ) {
    add(name, .counter, help, .number(seconds), labels)
  }

  /// Adds a gauge's series.
  package mutating func gauge(_ name: String, _ help: String, _ value: Double, _ labels: (String, String)...) {
    add(name, .gauge, help, .number(value), labels)
  }

  /// Adds a gauge's series.
  package mutating func gauge(
    _ name: String, _ help: String, _ value: some BinaryInteger, _ labels: (String, String)...
  ) {
    add(name, .gauge, help, .number(Double(value)), labels)
  }

  /// Adds a gauge's series that is 1 for true.
  package mutating func gauge(_ name: String, _ help: String, _ value: Bool, _ labels: (String, String)...) {
    add(name, .gauge, help, .number(value ? 1 : 0), labels)
  }

  /// Adds a histogram's series.
  package mutating func histogram(_ name: String, _ help: String, _ value: Histogram, _ labels: (String, String)...) {
    add(name, .histogram, help, .histogram(value), labels)
  }

  /// Adds all of another set.
  package mutating func add(_ other: MetricSet) {
    for family in other.families {
      let place = place(family.name, family.kind, family.help)
      families[place].series += family.series
    }
  }

  private mutating func add(
    _ name: String, _ kind: MetricKind, _ help: String, _ value: MetricFamily.Value, _ labels: [(String, String)]
  ) {
    let place = place(name, kind, help)
    families[place].series.append(.init(labels: labels.map { MetricLabel($0.0, $0.1) }, value: value))
  }

  private mutating func place(_ name: String, _ kind: MetricKind, _ help: String) -> Int {
    if let place = places[name] {
      assert(families[place].kind == kind, "\(name) is a \(families[place].kind.rawValue)")
      return place
    }
    assert(MetricSet.isName(name), "'\(name)' is no name of a metric")
    assert((kind == .counter) == name.hasSuffix("_total"), "\(name): counters, and only they, end with _total")
    places[name] = families.count
    families.append(MetricFamily(name: name, kind: kind, help: help))
    return families.count - 1
  }

  /// Letters, digits and underscores, and no digit first.
  private static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}
