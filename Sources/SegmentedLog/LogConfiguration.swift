import Raft

/// How a log is kept. Sizes in bytes.
package struct LogConfiguration: Sendable {
  /// Whose log it is.
  package var identity: LogIdentity
  /// The members that the group starts with; used when the directory is new.
  package var initialMembers: Configuration
  /// Length of a segment's file; reserved when it is created. An entry that is larger gets a segment of its own length.
  package var segmentBytes = 16 * 1024 * 1024
  /// How far ahead of the log's end a new segment is filled with zeros: a write into filled space does not change the
  /// file's metadata, so its synchronization is one write to the disk and not two.
  package var fillBytes = 1024 * 1024
  /// How many segments that were dropped are kept for reuse.
  package var spareSegments = 1
  /// Most bytes of recent entries that are kept in memory.
  package var cacheBytes = 4 * 1024 * 1024

  /// Makes a configuration with the defaults.
  package init(identity: LogIdentity, initialMembers: Configuration) {
    self.identity = identity
    self.initialMembers = initialMembers
  }
}

/// The names of a log's files.
package enum LogFileName {
  /// What the names of segments end with.
  package static let segmentSuffix = ".log"
  /// What the names of files for later segments begin with.
  package static let sparePrefix = "spare-"

  /// `0000000012.log`
  package static func segment(_ number: UInt64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + segmentSuffix
  }

  /// The number in the name of a segment; nil for other files.
  package static func segmentNumber(_ name: String) -> UInt64? {
    guard name.hasSuffix(segmentSuffix) else { return nil }
    return UInt64(name.dropLast(segmentSuffix.count))
  }

  /// `spare-3`
  package static func spare(_ number: UInt64) -> String { sparePrefix + String(number) }
}
