import ArgumentParser
import Metadata
import MetadataService

/// `kunlog meta`: one replica of the metadata log.
struct MetaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "meta", abstract: "Run a meta node.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Data directory.")
  var data: String

  @Option(
    name: .long, parsing: .singleValue,
    help: "A meta node that the group starts with, this one included: id=host:port. Repeat.")
  var member: [Member]

  func run() async throws {
    let listen = try node.endpoint()
    let configuration = MetaNodeConfiguration(
      clusterID: try node.cluster(), nodeID: NodeID(rawValue: node.nodeID),
      members: member.map { .init(nodeID: NodeID(rawValue: $0.id), host: $0.endpoint.host, port: $0.endpoint.port) },
      dataDirectory: data, host: listen.host, port: listen.port, tls: node.tls)
    try await NodeProcess.run(node.name, parent: node.parent) { fail in
      let meta = MetaNode(configuration)
      meta.onFailure = fail
      return NodeRole(start: { try await meta.start() }, stop: { await meta.stop() })
    }
  }
}
