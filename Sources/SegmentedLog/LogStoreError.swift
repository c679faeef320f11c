/// Why a log cannot be opened, written or read. The text says what an operator can do.
package enum LogStoreError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The operating system refused.
  case io(operation: String, path: String, errno: Int32)
  /// Another process has the directory open.
  case inUse(path: String)
  /// The directory belongs to another cluster, group or member.
  case foreign(path: String, what: String, expected: String, found: String)
  /// The directory was written by a version that this one does not understand.
  case unsupportedVersion(path: String, found: Int, supported: Int)
  /// Bytes that were durable once are not what was written.
  case corrupt(path: String, offset: Int, what: String)
  /// The directory holds no log, though it should.
  case noLog(path: String)
  /// A file or entries that must be there are missing.
  case missing(path: String, what: String)
  /// The entry is before the first one that is kept.
  case compacted(firstIndex: UInt64)
  /// The entry is not in the log.
  case beyondEnd(lastIndex: UInt64)
  /// The log was closed, or has failed before.
  case closed

  package var description: String {
    switch self {
    case .io(let operation, let path, let code):
      return "cannot \(operation) \(path): \(Self.reason(code))"
    case .inUse(let path):
      return "\(path) is in use by a running process: stop that process, or give this one a directory of its own"
    case .foreign(let path, let what, let expected, let found):
      return "\(path) belongs to \(what) \(found), not to \(expected): give this process its own directory, "
        + "or remove the old one if its data is no longer needed"
    case .unsupportedVersion(let path, let found, let supported):
      return "\(path) has format version \(found), this program reads version \(supported): "
        + "start it with the program that wrote it"
    case .corrupt(let path, let offset, let what):
      return "\(path) is damaged at byte \(offset): \(what)"
    case .missing(let path, let what):
      return "\(path): \(what). Nothing was changed. Replace this member by a new one with an empty directory (a meta "
        + "node: kunlog meta member replace)"
    case .noLog(let path):
      return "\(path) holds no log, and this is not the first start of this member: its disk was lost, or the path is "
        + "wrong. Give it its directory back, or replace this member by a new one (a meta node: kunlog meta member replace)"
    case .compacted(let firstIndex):
      return "the log begins at entry \(firstIndex); what came before is only in the snapshot"
    case .beyondEnd(let lastIndex):
      return "the log ends at entry \(lastIndex)"
    case .closed:
      return "the log is closed"
    }
  }

  /// Whether the disk has no space left for this.
  package var isDiskFull: Bool {
    guard case .io(_, _, let code) = self else { return false }
    return code == 28 || code == 122
  }

  // The errors that disks give, by Linux' numbers: a simulated disk has no system to ask for their texts.
  private static func reason(_ code: Int32) -> String {
    switch code {
    case 2: return "no such file or directory"
    case 5: return "input/output error"
    case 12: return "out of memory"
    case 13: return "permission denied"
    case 17: return "it exists already"
    case 20: return "not a directory"
    case 23, 24: return "too many open files"
    case 27: return "the file would be too large"
    case 28: return "no space left on the disk"
    case 30: return "the file system is read-only"
    case 122: return "the disk quota is used up"
    default: return "error \(code)"
    }
  }
}
