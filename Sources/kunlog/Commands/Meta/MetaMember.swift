import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog meta member`: who belongs to the group of meta nodes.
struct MetaMember: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "member", abstract: "Show and change who belongs to the group of meta nodes.",
    discussion: """
      A change is carried out by the group's leader, one at a time, while appends go on. It can be cut off and given again:
      what is done already is not done twice. A node's number is never used again after its removal.
      """,
    subcommands: [
      MemberList.self, MemberAdd.self, MemberPromote.self, MemberReplace.self, MemberRemove.self,
      MemberSetAddress.self,
    ])
}

/// What every command of the group takes.
struct MetaGroupOptions: ParsableArguments {
  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Give up after so many seconds; what was begun can be taken up again.")
  var timeout = 600

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  func validate() throws {
    guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout is between 1 and 86400 seconds.") }
  }

  /// Lets the body change the group, then shows the members.
  @LoopActor
  func run(_ body: @LoopActor (GroupOperator) async throws -> GroupMembership) async throws {
    let client = ReplicationGroupClient(endpoints: try cluster.metaEndpoints(), tls: try cluster.tls())
    defer { client.close() }
    let group = GroupOperator(client: client, words: .meta, timeoutSeconds: timeout) {
      StandardStream.error.write($0 + "\n")
    }
    let report = MembershipReport(try await body(group))
    cluster.remember(client.knownEndpoints)
    print(json ? report.json : report.table)
  }
}

/// `kunlog meta member list`.
struct MemberList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show the meta nodes, who leads, and how far each has come.")

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    try await options.run { group in try await group.membership() }
  }
}

/// `kunlog meta member add`.
struct MemberAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a meta node: it receives the log, and is given a vote once it has caught up.",
    discussion:
      "Start it first, with an empty directory: kunlog meta --join --data DIR --node-id ID --listen HOST:PORT …")

  @Argument(help: "The new node: id=host:port.")
  var node: Member

  @Option(name: .long, help: "Its name, for people (default: meta-ID).")
  var name: String?

  @Flag(name: .long, help: "Leave it without a vote: it receives the log and serves readers.")
  var learner = false

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    try await options.run { group in
      try await group.add(node.nodeID, at: node.metadataEndpoint, name: name)
      if learner { return try await group.membership() }
      try await group.awaitCaughtUp(node.nodeID)
      return try await group.promote(node.nodeID)
    }
  }
}

/// `kunlog meta member promote`.
struct MemberPromote: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "promote", abstract: "Give a learner a vote, once it has caught up.")

  @Argument(help: "The learner's number.")
  var node: UInt64

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    let id = NodeID(rawValue: node)
    try await options.run { group in
      try await group.awaitCaughtUp(id)
      return try await group.promote(id)
    }
  }
}

/// `kunlog meta member replace`.
struct MemberReplace: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replace",
    abstract: "Put a new meta node in the place of another: in one step, once the new one has caught up.",
    discussion: """
      Start the new one first, with an empty directory: kunlog meta --join --data DIR --node-id ID --listen HOST:PORT …
      The old one may be dead, as long as a majority of the voters lives. Where it leads, it hands the leadership over first.
      """)

  @Argument(help: "The number of the node that goes.")
  var node: UInt64

  @Option(name: .customLong("with"), help: "The new node: id=host:port.")
  var new: Member

  @Option(name: .long, help: "The new node's name, for people (default: meta-ID).")
  var name: String?

  @OptionGroup var options: MetaGroupOptions

  func validate() throws {
    guard node != new.id else {
      throw ValidationError(
        "The new node needs a number of its own: a number is never used twice. "
          + "(For a node that has moved: kunlog meta member set-address.)")
    }
  }

  func run() async throws {
    let old = NodeID(rawValue: node)
    try await options.run { group in
      try await group.requireReplaceable(old, by: new.nodeID)
      try await group.add(new.nodeID, at: new.metadataEndpoint, name: name)
      try await group.awaitCaughtUp(new.nodeID)
      return try await group.swap(old, for: new.nodeID)
    }
  }
}

/// `kunlog meta member remove`.
struct MemberRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a meta node out of the group, for ever.")

  @Argument(help: "The node's number.")
  var node: UInt64

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    try await options.run { group in try await group.remove(NodeID(rawValue: node)) }
  }
}

/// `kunlog meta member set-address`.
struct MemberSetAddress: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set-address", abstract: "Say where a meta node is now reached.",
    discussion: "The node keeps its number and its data directory; restart it with the new --listen.")

  @Argument(help: "The node and its new address: id=host:port.")
  var node: Member

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    try await options.run { group in try await group.setAddress(node.nodeID, to: node.metadataEndpoint) }
  }
}

/// `kunlog meta transfer`.
struct MetaTransfer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "transfer", abstract: "Hand the leadership of the meta nodes to another one, without a pause.")

  @Option(name: .long, help: "The number of the node that is to lead (default: the one whose log is furthest).")
  var to: UInt64?

  @OptionGroup var options: MetaGroupOptions

  func run() async throws {
    try await options.run { group in try await group.transfer(to: to.map(NodeID.init(rawValue:))) }
  }
}

extension Member {
  /// As the metadata log counts nodes.
  var nodeID: NodeID { NodeID(rawValue: id) }
  /// As a meta node's address.
  var metadataEndpoint: MetadataEndpoint { MetadataEndpoint(host: endpoint.host, port: endpoint.port) }
}
