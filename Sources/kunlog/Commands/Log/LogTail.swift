import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog log tail`: the latest records, and those that follow.
struct LogTail: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tail", abstract: "Print the latest records of the metadata log, then each as it is committed.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var filter: LogFilter

  @Option(name: .long, help: "Begin at this index instead of with the latest records.")
  var from: UInt64?

  @Option(name: .long, help: "End after this index.")
  var to: UInt64?

  @Option(name: .long, help: "How many of the latest records to begin with.")
  var lines = 10

  @Flag(name: .long, help: "One JSON document per record and line.")
  var json = false

  func validate() throws {
    if let from, let to, from > to { throw ValidationError("--from \(from) is after --to \(to).") }
    guard (0...100_000).contains(lines) else { throw ValidationError("--lines is between 0 and 100000.") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let present = client.image.index
    var names = ObjectNames(client.image)
    var selection = try filter.selection(client.image)
    for record in try await history(client, to: present, &selection, &names) { show(record, names) }
    if let to, present >= to { return }
    try await LogHistory.follow(client, after: present) { record in
      names.learn(record)
      if let to, record.index > to { return false }
      if let record = selection.take(record), record.index >= from ?? 0 { show(record, names) }
      return record.index != to
    }
  }

  /// What to begin with, up to the present.
  @LoopActor
  private func history(
    _ client: MetadataClient, to present: UInt64, _ selection: inout RecordSelection, _ names: inout ObjectNames
  ) async throws -> [Record] {
    // Between records there are few other entries: some more than asked for hold enough records. Of those that are wanted, the
    // latest may lie far back.
    let margin = UInt64(lines) * 2 + 100
    let near = present > margin && selection.isEmpty ? present - margin : 1
    let start = filter.needsHistory ? 1 : from ?? near
    var wanted = selection
    var known = names
    var records: [Record] = []
    try await LogHistory.read(client, tls: try cluster.tls(), from: start) { record in
      guard record.index <= min(present, to ?? present) else { return false }
      known.learn(record)
      guard let record = wanted.take(record), record.index >= from ?? 0 else { return true }
      records.append(record)
      if from == nil, records.count > 2 * lines + 100 { records.removeFirst(records.count - lines) }
      return true
    }
    selection = wanted
    names = known
    return from == nil ? records.suffix(lines) : records
  }

  private func show(_ record: Record, _ names: ObjectNames) {
    StandardStream.output.write((json ? RecordJSON.text(record) : RecordText.text(record, names)) + "\n")
  }
}
