import ArgumentParser
import EventLoop
import Metadata
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

  @Flag(name: .long, help: "One JSON document on standard output: {\"records\": [...]}.")
  var json = false

  func validate() throws {
    if let from, let to, from > to { throw ValidationError("--from \(from) is after --to \(to).") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    var names = ObjectNames(client.image)
    var isFirst = true
    try await LogHistory.read(client, tls: try cluster.tls(), from: from) { record in
      if let to, record.index > to { return false }
      names.learn(record)
      guard let record = filter.filtered(record) else { return true }
      if json {
        StandardStream.output.write((isFirst ? "{\"records\": [\n" : ",\n") + RecordJSON.text(record))
      } else {
        StandardStream.output.write(RecordText.text(record, names) + "\n")
      }
      isFirst = false
      return true
    }
    if json { StandardStream.output.write(isFirst ? "{\"records\": []}\n" : "\n]}\n") }
  }
}
