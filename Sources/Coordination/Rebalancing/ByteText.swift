/// Numbers of bytes for people, in decimal units: the same wherever commands, errors and logs name one.
package enum ByteText {
  private static let units = ["B", "kB", "MB", "GB", "TB"]

  /// Three digits, or two with one behind the point: `512 B`, `1.5 kB`, `268 MB`.
  package static func size(_ bytes: UInt64) -> String {
    var (value, unit) = (Double(bytes), 0)
    // What would be rounded to 1000 is 1.0 of the next unit.
    while value >= 999.5, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    let tenths = UInt64((value * 10).rounded())
    let number = unit == 0 || tenths >= 1000 ? "\(UInt64(value.rounded()))" : "\(tenths / 10).\(tenths % 10)"
    return "\(number) \(units[unit])"
  }

  /// Of a disk; nothing where it is not known.
  package static func free(_ space: DiskSpace?) -> String {
    space.map { "\(size($0.freeBytes)) of \(size($0.totalBytes))" } ?? ""
  }
}
