import ArgumentParser
import Metadata

/// How `kunlog table move` is to go about it; recorded with the plan, for whichever manager acts.
struct MoveOptions: ParsableArguments {
  @Flag(
    name: .long,
    help: """
      Keep the source's copy current after the route has moved, until kunlog migration complete deletes it or kunlog migration \
      reverse takes the table back.
      """)
  var keepSource = false

  @Flag(name: .long, help: "Do not compare both sides' rows before the route moves.")
  var noVerify = false

  @Option(name: .long, help: "Cut writes only once the target is no further behind: 200ms, 3s, 1m.")
  var maxLag = TimeArgument(milliseconds: MigrationOptions.standard.maximumLagMilliseconds)

  @Option(
    name: .long,
    help: """
      Copy rows no faster than this, in bytes per second: 500kB, 48MiB, and slower while statements keep the nodes busy; \
      0: as fast as it goes.
      """)
  var throttle = SizeArgument(bytes: MigrationOptions.standard.bytesPerSecond)

  var options: MigrationOptions {
    var options = MigrationOptions()
    options.keepsSource = keepSource
    options.isVerified = !noVerify
    options.maximumLagMilliseconds = maxLag.milliseconds
    options.bytesPerSecond = throttle.bytes
    return options
  }
}

/// A time: `250ms`, `3s`, `1m`; a number alone: seconds.
struct TimeArgument: ExpressibleByArgument, Equatable, CustomStringConvertible {
  var milliseconds: UInt32

  init(milliseconds: UInt32) { self.milliseconds = milliseconds }

  init?(argument: String) {
    let units: [(String, Double)] = [("ms", 1), ("s", 1000), ("min", 60_000), ("m", 60_000), ("", 1000)]
    guard let value = Measure.value(argument, units), value >= 1, value <= 86_400_000 else { return nil }
    milliseconds = UInt32(value)
  }

  var description: String { milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms" }
  var defaultValueDescription: String { description }
}

/// A number of bytes: `48MiB`, `500kB`, `1000000`.
struct SizeArgument: ExpressibleByArgument, Equatable, CustomStringConvertible {
  var bytes: UInt64

  init(bytes: UInt64) { self.bytes = bytes }

  init?(argument: String) {
    let units: [(String, Double)] = [
      ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824), ("kb", 1000), ("mb", 1_000_000),
      ("gb", 1_000_000_000), ("k", 1000), ("m", 1_000_000), ("g", 1_000_000_000), ("b", 1), ("", 1),
    ]
    guard let value = Measure.value(argument.lowercased(), units), value >= 0, value < 1e15 else { return nil }
    bytes = UInt64(value)
  }

  var description: String { bytes % 1_048_576 == 0 && bytes > 0 ? "\(bytes / 1_048_576)MiB" : "\(bytes)" }
  var defaultValueDescription: String { description }
}

private enum Measure {
  static func value(_ text: String, _ units: [(String, Double)]) -> Double? {
    let number = text.prefix { $0.isNumber || $0 == "." }
    let unit = String(text.dropFirst(number.count))
    guard let value = Double(number), let factor = units.first(where: { $0.0 == unit })?.1 else { return nil }
    return value * factor
  }
}
