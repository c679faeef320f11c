import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog cluster upgrade`: after all processes run a newer program, what is new in it may be used.
struct ClusterUpgrade: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract: "Let the cluster use what is new in this version of kunlog.",
    discussion: """
      To be run once every process of the cluster runs this version: an older one stops when it meets an event that it does not
      know. There is no way back to the older version afterwards.
      """)

  @OptionGroup var cluster: ClusterOptions

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let result = try await client.append([.raiseFeatureLevel(FeatureLevel.current)])
    let level = client.image.featureLevel
    print(
      result.events.isEmpty
        ? "the cluster is at feature level \(level) already" : "the cluster is at feature level \(level)")
  }
}
