import Glibc
import SQLTypes
import Synchronization

/// Time zones by name, from the system's tzdata (`/usr/share/zoneinfo`). Zones are read once per process.
package enum TimeZoneDatabase {
  private static let directory = "/usr/share/zoneinfo/"
  private static let cache = Mutex<[String: TimeZoneRule?]>([:])

  /// The zone with the full name (in any case), or one of the common abbreviations; nil where there is none.
  package static func zone(named name: String) -> TimeZoneRule? {
    // A name comes from a client: it must not lead out of the directory, nor fill the cache.
    guard name.utf8.count <= 64, !name.contains(".."), !name.hasPrefix("/"),
      name.utf8.allSatisfy({ isNameByte($0) })
    else { return nil }
    if let known = cache.withLock({ $0[name] }) { return known }
    let zone = read(name) ?? read(canonical(name)) ?? DateTimeAbbreviations.zone(named: name)
    cache.withLock { if $0.count < 1000 { $0[name] = zone } }
    return zone
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d, 0x2f, 0x5f: return true
    default: return false
    }
  }

  /// `europe/berlin` as `Europe/Berlin`, `america/new_york` as `America/New_York`, `utc` as `UTC`.
  private static func canonical(_ name: String) -> String {
    var result = ""
    var startsWord = true
    for character in name {
      result += startsWord ? character.uppercased() : character.lowercased()
      startsWord = !character.isLetter
    }
    return result.contains("/") ? result : name.uppercased()
  }

  private static func read(_ name: String) -> TimeZoneRule? {
    let descriptor = open(directory + name, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var bytes: [UInt8] = []
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count > 0, bytes.count < 1_000_000 else { break }
      bytes.append(contentsOf: buffer[..<count])
    }
    return TimeZoneRule(name: name, tzif: bytes)
  }
}
