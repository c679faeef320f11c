import EventLoop
import SQLTypes
import Synchronization

/// The time zones of the system's database (`/usr/share/zoneinfo`), read when they are first asked for.
enum TimeZones {
  private static let directory = "/usr/share/zoneinfo/"
  /// Names that were looked up are remembered, up to so many.
  private static let maximumKnown = 1024
  private static let known = Mutex<[String: TimeZoneRule?]>([:])

  /// The zone of a name, with its spelling in the database or `UTC` for all that mean it; nil where there is none.
  static func rule(named name: String) -> TimeZoneRule? {
    if ConversionContext.standard.zone(named: name) != nil { return .utc }
    return found(name)
  }

  /// Looks a full name up; for `ConversionContext.findTimeZone`.
  static func found(_ name: String) -> TimeZoneRule? {
    if let rule = known.withLock({ $0[name] }) { return rule }
    let rule = read(name)
    known.withLock { known in
      if known.count >= maximumKnown { known = [:] }
      known[name] = rule
    }
    return rule
  }

  private static func read(_ name: String) -> TimeZoneRule? {
    // A name is a path below the directory, and nothing else.
    let isName = name.utf8.allSatisfy { byte in
      (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte) || "/_+-".utf8.contains(byte)
    }
    guard isName, !name.isEmpty, !name.hasPrefix("/"), name.utf8.count <= 64 else { return nil }
    guard let bytes = try? FileSystem.read(directory + name) else { return nil }
    return TimeZoneRule(name: name, tzif: bytes)
  }
}
