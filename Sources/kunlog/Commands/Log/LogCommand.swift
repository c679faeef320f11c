import ArgumentParser
import Metadata

/// `kunlog log`: the metadata log, readable, and with room for a note.
struct LogCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "Read the metadata log, or leave a note in it.",
    subcommands: [LogShow.self, LogTail.self, LogNote.self])
}

/// Which records `log show` and `log tail` print.
struct LogFilter: ParsableArguments {
  @Option(
    name: .long,
    help: "Only events of these kinds (TableCreated) or families (catalog): comma-separated, in any case.")
  var kind: String?

  func validate() throws {
    for name in names where !Self.known.contains(name) {
      throw ValidationError(
        "There are no events '\(name)'. Families: \(EventFamily.allCases.map(\.rawValue).joined(separator: ", ")). "
          + "Kinds: \(Event.kinds.joined(separator: ", ")).")
    }
  }

  /// The record with only the events that are wanted; nil where none is.
  func filtered(_ record: Record) -> Record? {
    let names = names
    guard !names.isEmpty else { return record }
    var result = record
    result.events = record.events.filter {
      names.contains($0.kind.lowercased()) || names.contains($0.family.rawValue)
    }
    return result.events.isEmpty ? nil : result
  }

  private var names: [String] {
    (kind ?? "").split(separator: ",").map { $0.lowercased().filter { $0 != " " } }
  }

  private static let known = Set(Event.kinds.map { $0.lowercased() } + EventFamily.allCases.map(\.rawValue))
}
