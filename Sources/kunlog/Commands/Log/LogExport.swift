import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog log export`: the history as tables for SQL, or as lines of JSON.
struct LogExport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write the history into an SQLite database or a file of JSON lines.",
    discussion: """
      A file that is there already is continued from its last record, once that is found to be a record of this log. Queries to \
      begin with are in docs/audit.md.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "An SQLite database: tables records, events, objects, event_objects, and views over them.")
  var sqlite: String?

  @Flag(name: .long, help: "One JSON document per record and line, into FILE or to standard output.")
  var jsonl = false

  @Option(name: .long, help: "Last index; by default the present.")
  var to: UInt64?

  @Argument(help: "The file for --jsonl.")
  var file: String?

  func validate() throws {
    guard jsonl != (sqlite != nil) else { throw ValidationError("Say into what: --sqlite FILE, or --jsonl [FILE].") }
    guard sqlite == nil || file == nil else {
      throw ValidationError("--sqlite names the file itself: leave '\(file!)' out.")
    }
    guard to != 0 else { throw ValidationError("The log's indexes begin with 1.") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = client.image
    if let to { try Moment.index(to).check(present: image.index) }
    let end = to ?? image.index
    let path = sqlite ?? file
    let target: any ExportTarget =
      try sqlite.map { try SQLiteExport($0, image) } ?? file.map { try LineExport(path: $0) } ?? LineExport()
    let last = target.last
    if let last, last.index > image.index {
      throw foreign(path!, "it reaches index \(last.index), the log \(image.index)")
    }
    let progress = ProgressBar("records")
    let start = Loop.now
    var (records, events, reached) = (0, 0, last?.index ?? 0)
    do {
      try await LogHistory.read(client, tls: try cluster.tls(), from: last?.index) { record in
        if let last, record.index <= last.index {
          guard record.index == last.index, "\(record.hash)" == last.hash else {
            throw foreign(path!, "record \(record.index) is another one there")
          }
          return true
        }
        if let last, records == 0, record.previousIndex != last.index || "\(record.previousHash)" != last.hash {
          throw foreign(path!, "the log continues record \(record.previousIndex), the file ends with \(last.index)")
        }
        guard record.index <= end else { return false }
        try target.add(record)
        (records, events, reached) = (records + 1, events + record.events.count, record.index)
        if path != nil, end > last?.index ?? 0 {
          let begin = last?.index ?? 0
          progress.update(fraction: Double(record.index - begin) / Double(end - begin), count: records)
        }
        return true
      }
      progress.finish()
      try target.finish()
    } catch {
      progress.finish()
      target.abandon()
      throw error
    }
    guard let path else { return }
    let seconds = Double((Loop.now - start) / 1_000_000) / 1000
    StandardStream.output.write(
      "\(records) records with \(events) events in \(seconds) s: \(path) reaches index \(reached)\n")
  }

  private func foreign(_ path: String, _ reason: String) -> CommandFailure {
    CommandFailure(
      description: "\(path) is the export of another log (\(reason)): of another cluster, or of this one before it was "
        + "restored from a backup. Name another file.")
  }
}

/// Into what records are exported.
@LoopActor
protocol ExportTarget: AnyObject {
  /// The last record that is in it from earlier; nil where it is new.
  var last: (index: UInt64, hash: String)? { get }
  func add(_ record: Record) throws
  /// Makes all of it durable.
  func finish() throws
  /// Leaves what is whole, after an error.
  func abandon()
}
