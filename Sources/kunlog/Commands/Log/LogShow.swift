import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient
import RPC

/// `kunlog log show`: records between two indexes, as one document.
struct LogShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print the records of the metadata log, oldest first.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var filter: LogFilter

  @Option(name: .long, help: "First index; by default the oldest that is kept.")
  var from: UInt64?

  @Option(name: .long, help: "Last index; by default the present.")
  var to: UInt64?

  @Option(name: .long, help: "At most so many records: the first of them, with --reverse the last.")
  var limit: Int?

  @Flag(name: .long, help: "Newest first.")
  var reverse = false

  @Flag(name: .long, help: "Go on with each record as it is committed.")
  var follow = false

  @Flag(name: .long, help: "One JSON document on standard output: {\"records\": [...]}.")
  var json = false

  func validate() throws {
    if follow, json || reverse || to != nil {
      throw ValidationError(
        "--follow has no end, and goes with neither --reverse nor --to nor --json (kunlog log tail --json writes a document per "
          + "record).")
    }
    if let from, let to, from > to { throw ValidationError("--from \(from) is after --to \(to).") }
    if let limit, limit < 1 { throw ValidationError("--limit is at least 1.") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    if let from { try Moment.index(from).check(present: client.image.index) }
    var names = ObjectNames(client.image)
    var selection = try filter.selection(client.image)
    var printer = RecordPrinter(json: json)
    var kept: [Record] = []
    var last = client.image.index
    try await LogHistory.read(client, tls: try cluster.tls(), from: filter.needsHistory ? nil : from) { record in
      if let to, record.index > to { return false }
      last = max(last, record.index)
      names.learn(record)
      guard let record = selection.take(record), record.index >= from ?? 0 else { return true }
      guard reverse else {
        printer.show(record, names)
        return printer.count < limit ?? .max
      }
      kept.append(record)
      // Twice as many, so that they seldom move.
      if let limit, kept.count >= 2 * limit { kept.removeFirst(kept.count - limit) }
      return true
    }
    for record in kept.reversed().prefix(limit ?? .max) { printer.show(record, names) }
    if follow, printer.count < limit ?? .max {
      return try await LogHistory.follow(client, after: last) { record in
        names.learn(record)
        if let record = selection.take(record) { printer.show(record, names) }
        return printer.count < limit ?? .max
      }
    }
    printer.end()
    if let object = selection.object, object.lives.isEmpty { throw CommandFailure(description: object.notFound) }
  }
}

/// Prints records one after another, for people or as one JSON document.
struct RecordPrinter {
  let json: Bool
  private(set) var count = 0

  init(json: Bool) { self.json = json }

  mutating func show(_ record: Record, _ names: ObjectNames) {
    if json {
      StandardStream.output.write((count == 0 ? "{\"records\": [\n" : ",\n") + RecordJSON.text(record))
    } else {
      StandardStream.output.write(RecordText.text(record, names) + "\n")
    }
    count += 1
  }

  func end() {
    if json { StandardStream.output.write(count == 0 ? "{\"records\": []}\n" : "\n]}\n") }
  }
}
