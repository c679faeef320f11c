import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageNode

/// `kunlog cluster upgrade`: after all processes run a newer program, what is new in it may be used.
struct ClusterUpgrade: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract: "Let the cluster use what is new in this version of kunlog.",
    discussion: """
      To be run once every process of the cluster runs this version: an older one stops when it meets an event that it does not
      know. There is no way back to the older version afterwards. Meta and storage nodes are asked for their versions first; see to
      the compute nodes and managers yourself: those that are older end, and start again once they are replaced.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Upgrade although nodes are older or do not answer: they stop.")
  var force = false

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let level = FeatureLevel.current
    if client.image.featureLevel < level, !force {
      let older = await olderNodes(client, than: level)
      guard older.isEmpty else {
        throw CommandFailure(
          description: "The cluster stays at feature level \(client.image.featureLevel): "
            + older.joined(separator: "; ") + ". Upgrade or remove them first, or say --force.")
      }
    }
    let result = try await client.append([.raiseFeatureLevel(FeatureLevel.current)])
    let reached = client.image.featureLevel
    print("the cluster is at feature level \(reached)" + (result.events.isEmpty ? " already" : ""))
  }

  /// Nodes that would stop, or that do not say that they would not.
  @LoopActor
  private func olderNodes(_ client: MetadataClient, than level: UInt32) async -> [String] {
    guard let tls = try? cluster.tls() else { return [] }
    var older: [String] = []
    for node in client.image.nodes.values.sorted(by: { $0.id < $1.id })
    where node.role == .meta || node.role == .storage {
      let channel = RPCChannel(host: node.host, port: node.port, tls: tls)
      defer { channel.close() }
      do throws(RPCError) {
        let known: UInt32?
        if node.role == .meta {
          let level = try await MetadataStatus.ask(channel, timeoutMilliseconds: 2_000).supportedFeatureLevel
          known = level == 0 ? nil : level
        } else {
          known = try await StorageStatus.ask(channel, timeoutMilliseconds: 2_000).featureLevel
        }
        if (known ?? 0) < level {
          older.append(
            "\(node.name) (node \(node.id)) "
              + (known.map { "understands level \($0) only" } ?? "is of an older version"))
        }
      } catch {
        older.append("\(node.name) (node \(node.id)) does not answer")
      }
    }
    return older
  }
}
