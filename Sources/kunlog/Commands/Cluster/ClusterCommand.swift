import ArgumentParser
import EventLoop
import FoundationEssentials
import MetadataClient

/// `kunlog cluster`: the cluster as a whole.
struct ClusterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "Look at the cluster as a whole.",
    subcommands: [ClusterStatus.self, ClusterFailures.self, ClusterUpgrade.self])
}

/// `kunlog cluster status`.
struct ClusterStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show nodes, roles, leaders and log indexes, as each node reports them.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    let tls = try cluster.tls()
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    if moment.at != nil {
      let report = ClusterReport(past: try await moment.image(client, cluster))
      print(json ? report.json : report.table)
      return
    }
    let probe = ClusterProbe(client: client, tls: tls)
    let report = await probe.report()
    print(json ? report.json : report.table)
    probe.close()
  }
}
