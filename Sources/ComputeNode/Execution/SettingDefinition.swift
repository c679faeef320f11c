import PostgresWire
import SQLTypes

/// A session setting ("configuration parameter"), with what it takes.
struct SettingDefinition: Sendable {
  enum Unit: Sendable { case none, milliseconds, kilobytes }
  enum Kind: Sendable {
    case boolean
    case integer(minimum: Int64, maximum: Int64, unit: Unit)
    case real(minimum: Double, maximum: Double)
    case choice([String])
    case text
    /// Only values that mean the same as the default are supported: listed, in lower case.
    case fixed([String])
    case clientEncoding
    case timeZone
    case searchPath
  }
  /// As SHOW ALL spells it.
  var name: String
  var kind: Kind
  var standard: String
  /// Shown, but not to be set.
  var isReadOnly = false
  var summary = ""

  /// The value as it is kept and shown; throws 22023 where it makes no sense, 0A000 where only the default works.
  func normalized(_ value: String) throws(SQLError) -> String {
    switch kind {
    case .boolean:
      guard let flag = Self.boolean(value) else {
        throw SQLError(.invalidParameterValue, "parameter \"\(name)\" requires a Boolean value")
      }
      return flag ? "on" : "off"
    case .integer(let minimum, let maximum, let unit):
      return try integer(value, minimum, maximum, unit)
    case .real(let minimum, let maximum):
      guard let number = Double(value), !number.isNaN else { throw invalid(value) }
      guard number >= minimum, number <= maximum else {
        throw SQLError(
          .invalidParameterValue,
          "\(value) is outside the valid range for parameter \"\(name)\" (\(minimum) .. \(maximum))")
      }
      return value
    case .choice(let choices):
      guard let choice = choices.first(where: { $0.lowercased() == value.lowercased() }) else {
        throw invalid(value, hint: "Available values: \(choices.joined(separator: ", ")).")
      }
      return choice
    case .text, .searchPath: return value
    case .clientEncoding:
      guard let encoding = ClientEncoding.canonicalName(value) else {
        throw SQLError(
          .featureNotSupported, "client encoding \"\(value)\" is not supported", hint: "Only UTF8 is supported.")
      }
      return encoding
    case .timeZone:
      guard let zone = TimeZones.rule(named: value) else {
        throw SQLError(
          .invalidParameterValue, "invalid value for parameter \"TimeZone\": \"\(value)\"",
          hint: "Zones are known by their full names, such as Europe/Berlin.")
      }
      return zone.name
    case .fixed(let supported):
      let words = value.lowercased().filter { $0 != " " }
      guard supported.contains(words) else {
        throw SQLError(
          .featureNotSupported, "value \"\(value)\" of parameter \"\(name)\" is not supported",
          hint: "This version supports \"\(standard)\" only.")
      }
      return standard
    }
  }

  private func invalid(_ value: String, hint: String? = nil) -> SQLError {
    SQLError(.invalidParameterValue, "invalid value for parameter \"\(name)\": \"\(value)\"", hint: hint)
  }

  private func integer(
    _ value: String, _ minimum: Int64, _ maximum: Int64, _ unit: Unit
  ) throws(SQLError) -> String {
    guard let number = Self.scaled(value, unit) else { throw invalid(value) }
    guard number >= minimum, number <= maximum else {
      throw SQLError(
        .invalidParameterValue,
        "\(number) is outside the valid range for parameter \"\(name)\" (\(minimum) .. \(maximum))")
    }
    return Self.shown(number, unit)
  }

  /// `on`, `off` and what PostgreSQL takes for them; nil for anything else.
  static func boolean(_ value: String) -> Bool? {
    switch value.lowercased() {
    case "on", "true", "t", "yes", "y", "1": true
    case "off", "false", "f", "no", "n", "0": false
    default: nil
    }
  }

  private static let milliseconds: [(name: String, factor: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1),
  ]
  private static let kilobytes: [(name: String, factor: Int64)] = [
    ("TB", 1 << 30), ("GB", 1 << 20), ("MB", 1 << 10), ("kB", 1),
  ]

  private static func factors(_ unit: Unit) -> [(name: String, factor: Int64)] {
    switch unit {
    case .none: []
    case .milliseconds: milliseconds
    case .kilobytes: kilobytes
    }
  }

  /// A number with its unit, in the setting's own unit; nil where it is none.
  static func scaled(_ value: String, _ unit: Unit) -> Int64? {
    let text = value.drop { $0 == " " }
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "-" || $0 == "+" || $0 == ".") }
    let suffix = text.dropFirst(digits.count).filter { $0 != " " }
    guard let number = Double(digits), abs(number) < 1e15 else { return nil }
    if suffix.isEmpty { return Int64(number.rounded()) }
    guard let factor = factors(unit).first(where: { $0.name == suffix })?.factor else { return nil }
    let product = number * Double(factor)
    return abs(product) < 1e15 ? Int64(product.rounded()) : nil
  }

  /// A number in the largest unit that divides it, as SHOW prints it.
  static func shown(_ number: Int64, _ unit: Unit) -> String {
    guard number > 0, let best = factors(unit).first(where: { number % $0.factor == 0 }) else { return String(number) }
    return "\(number / best.factor)\(best.name)"
  }
}
