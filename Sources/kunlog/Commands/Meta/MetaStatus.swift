import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog meta status`: how each meta node is, as it says itself.
struct MetaStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how each meta node is: role, log, disk, snapshot, subscribers.",
    discussion: """
      Every node is asked, and answers for itself: this works without a leader too. One that does not answer is named with the
      reason. Exit status 1 where no node answers.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "How many milliseconds a node has to answer.")
  var timeoutMs = 2000

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  func validate() throws {
    guard (1...600_000).contains(timeoutMs) else { throw ValidationError("--timeout-ms is between 1 and 600000.") }
  }

  @LoopActor
  func run() async throws {
    let client = ReplicationGroupClient(endpoints: try cluster.metaEndpoints(), tls: try cluster.tls())
    defer { client.close() }
    let report = MetaStatusReport(await client.groupStatus(timeoutMilliseconds: timeoutMs))
    print(json ? report.json : report.table)
    if !report.nodes.contains(where: { $0.role != nil }) { throw ExitCode(1) }
  }
}
