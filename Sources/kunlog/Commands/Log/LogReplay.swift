import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import MetadataLog
import MetadataService

/// `kunlog log replay`: the state anew, from nothing but the records.
struct LogReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Make the state anew from the records alone, and compare it with the live one.",
    discussion: """
      Every record of archive and log is read from a meta node, checked against the chain and folded; the result is written as a \
      snapshot file. Exit status 1 where it is not the state that the meta node has.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Directory for the snapshot file, which is named <index>.snapshot.")
  var into: String

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let live = client.image
    let bar = ProgressBar("records")
    var image = Image()
    var count = 0
    var failure: String?
    try await LogHistory.read(client, tls: try cluster.tls(), from: nil, isQuiet: true) { record in
      guard record.index <= live.index else { return false }
      guard record.continues(image) else {
        failure =
          count == 0
          ? "The archives do not reach back to the first record: the oldest that is kept is \(record.index). Keep all with "
            + "kunlog meta --archive-mb all, on at least one meta node."
          : "Record \(record.index) does not continue record \(image.index)."
        return false
      }
      image.apply(record)
      count += 1
      bar.update(fraction: Double(record.index) / Double(max(1, live.index)), count: count)
      return true
    }
    bar.finish()
    if let failure { throw CommandFailure(description: failure) }
    let path = into + "/\(image.index).snapshot"
    do {
      try FileSystem.createDirectory(into)
      var writer = ImageSnapshot.Writer(image)
      try FileSystem.write(path, syncedEveryBytes: 1 << 20) { try writer.next() }
    } catch { throw CommandFailure(description: "\(error)") }
    let difference = ImageDifference.text(image, live)
    if json {
      StandardStream.output.write(
        JSONDocument.text(
          Report(file: path, index: image.index, records: count, isEqual: difference == nil, difference: difference))
          + "\n")
    } else {
      StandardStream.output.write("\(count) records, to \(image.index), in \(path)\n")
      StandardStream.output.write(
        difference.map { "It is NOT the state that the meta nodes have: \($0)\n" } ?? "It equals the live state.\n")
    }
    if difference != nil { throw ExitCode(1) }
  }

  private struct Report: Encodable {
    var file: String
    var index: UInt64
    var records: Int
    var isEqual: Bool
    var difference: String?

    enum CodingKeys: String, CodingKey {
      case file, index, records, difference
      case isEqual = "is_equal"
    }
  }
}
