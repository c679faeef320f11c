import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit

/// `kunlog log`: the metadata log, readable, and with room for a note.
struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Read the metadata log, or leave a note in it.",
    subcommands: [
      LogShow.self, LogTail.self, LogBlame.self, LogAt.self, LogDiff.self, LogExport.self, LogNote.self,
      LogHeadCommand.self, LogProve.self, LogVerify.self, LogReplayCommand.self, LogStatusCommand.self,
    ])
}

/// Which records `log show` and `log tail` print.
struct LogFilter: ParsableArguments {
  @Option(
    name: .long,
    help: "Only events of these kinds (TableCreated) or families (catalog): comma-separated, in any case.")
  var kind: String?

  @Option(name: .long, help: "Only events of these families: comma-separated.")
  var family: String?

  @Option(name: .long, help: "Only what this one asked for; a * at the end stands for anything.")
  var principal: String?

  @Option(
    name: .long,
    help: "Only events that touch this object and what belongs to it: \"table public.t\", \"shard 2\", \"role abc\".")
  var object: String?

  @Option(name: .long, help: "Only records of this time or later: \(AuditTime.help).")
  var since: String?

  @Option(name: .long, help: "Only records of this time or earlier.")
  var until: String?

  func validate() throws {
    for name in Self.names(kind) where !RecordSelection.knownKinds.contains(name) {
      throw ValidationError(
        "There are no events '\(name)'. Families: \(EventFamily.allCases.map(\.rawValue).joined(separator: ", ")). "
          + "Kinds: \(Event.kinds.joined(separator: ", ")).")
    }
    for name in Self.names(family) where EventFamily(rawValue: name) == nil {
      throw ValidationError(
        "There is no family '\(name)': \(EventFamily.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    if object != nil { _ = try reference() }
    let (first, last) = (try Moment.time(since), try Moment.time(until))
    if let first, let last, first > last { throw ValidationError("--since is after --until.") }
  }

  /// Whether the history before the first record that is printed has to be read, to know what an object's events are.
  var needsHistory: Bool { object != nil }

  /// What is wanted, ready to be given records.
  /// - Parameter image: of the present.
  func selection(_ image: Image) throws -> RecordSelection {
    var selection = RecordSelection()
    selection.kinds = Set(Self.names(kind))
    selection.families = Set(Self.names(family).compactMap(EventFamily.init(rawValue:)))
    selection.principal = principal
    selection.since = try Moment.time(since)
    selection.until = try Moment.time(until)
    if let reference = try reference() { selection.object = ObjectMatcher(reference, image: image) }
    return selection
  }

  private func reference() throws -> ObjectReference? {
    guard let object else { return nil }
    do throws(ObjectReference.Malformed) { return try ObjectReference(words: [object]) } catch {
      throw ValidationError(error.description)
    }
  }

  private static func names(_ list: String?) -> [String] {
    (list ?? "").split(separator: ",").map { word in
      let name = word.lowercased().filter { $0 != " " }
      // migration as well as migrations.
      return EventFamily(rawValue: name + "s") == nil ? name : name + "s"
    }
  }
}

/// A point in the log's history, as operators write it: an index, or a time.
enum Moment: Hashable, Sendable, ExpressibleByArgument {
  case index(UInt64)
  /// Microseconds since 1970.
  case time(Int64)

  init?(argument: String) {
    if let index = UInt64(argument) {
      self = .index(index)
    } else if let time = AuditTime.parse(argument, nowMicroseconds: Loop.wallClockMicroseconds()) {
      self = .time(time)
    } else {
      return nil
    }
  }

  /// The time of an option; nil where it is not given.
  static func time(_ text: String?) throws -> Int64? {
    guard let text else { return nil }
    guard let time = AuditTime.parse(text, nowMicroseconds: Loop.wallClockMicroseconds()) else {
      throw ValidationError("'\(text)' is no time. Write \(AuditTime.help).")
    }
    return time
  }

  /// Refuses what cannot be in the history.
  /// - Parameter present: the last record's index.
  func check(present: UInt64) throws {
    switch self {
    case .index(0): throw CommandFailure(description: "The log's indexes begin with 1.")
    case .index(let index) where index > present:
      throw CommandFailure(description: "Index \(index) is in the future: the log ends at \(present).")
    case .time(let time) where time > Loop.wallClockMicroseconds():
      throw CommandFailure(description: "\(AuditTime.text(time)) is in the future.")
    case .index, .time: break
    }
  }
}
