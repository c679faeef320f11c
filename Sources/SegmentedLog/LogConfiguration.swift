import Raft

/// How a log is kept. Sizes in bytes.
package struct LogConfiguration: Sendable {
  /// Whose log it is.
  package var identity: LogIdentity
  /// The members that the group starts with; used when the directory is new.
  package var initialMembers: Configuration
  /// The number that a new directory gets: random, and never 0, which stands for one that is not known.
  package var newDisk: UInt64 = 0
  /// Whether a log may begin in an empty directory. False for a member that had one: its disk was lost.
  package var mayBegin = true
  /// Length of a segment's file; reserved when it is created. An entry that is larger gets a segment of its own length.
  package var segmentBytes = 16 * 1024 * 1024
  /// How far ahead of the log's end a new segment is filled with zeros: a write into filled space does not change the
  /// file's metadata, so its synchronization is one write to the disk and not two.
  package var fillBytes = 1024 * 1024
  /// How many segments that were dropped are kept for reuse.
  package var spareSegments = 1
  /// Whether files of segments that were dropped are used again. Where they are, what lies behind a segment's end need not be
  /// zero, and damage there is not found by `LogInspection` (nor does it matter).
  package var recyclesSegments = true
  /// Space that is set aside, to be used when the disk is full: for terms and votes, and for what is under way. 0: none.
  package var reserveBytes = 4 * 1024 * 1024
  /// How often it is tried whether a full disk has space again.
  package var spaceCheckMilliseconds = 500
  /// What becomes of segments that the log does not need any more.
  package var archive = ArchiveRetention.none
  /// Most bytes of recent entries that are kept in memory.
  package var cacheBytes = 4 * 1024 * 1024
  /// Mistakes to make, for the simulator to find; none in production.
  package var mutants: LogMutants = []

  /// Makes a configuration with the defaults.
  package init(identity: LogIdentity, initialMembers: Configuration) {
    self.identity = identity
    self.initialMembers = initialMembers
  }
}

/// What becomes of segments that the log does not need any more.
package enum ArchiveRetention: Sendable, Equatable {
  /// They are removed, or used again.
  case none
  /// They are kept in the directory's `archive`, the latest ones up to so many bytes.
  case bytes(Int)
  /// They are kept for ever.
  case all
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

  /// The space that is set aside.
  static let reserve = "reserve"

  /// `spare-3`
  package static func spare(_ number: UInt64) -> String { sparePrefix + String(number) }
}
