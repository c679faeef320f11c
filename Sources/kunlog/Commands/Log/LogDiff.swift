import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog log diff`: what differs between two moments.
struct LogDiff: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Show what differs in the metadata between two moments: objects added, removed, changed.",
    discussion: "A moment is an index of the log or a time: \(AuditTime.help).")

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "From when.")
  var from: Moment

  @Argument(help: "To when; by default the present.")
  var to: Moment?

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let before = try await PastImage.read(client, cluster, at: from).image
    var after = client.image
    if let to { after = try await PastImage.read(client, cluster, at: to).image }
    let diff = ImageDiff(from: before, to: after)
    StandardStream.output.write((json ? JSONDocument.text(diff) : diff.text) + "\n")
  }
}
