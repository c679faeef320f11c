import AccessControl
import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata
import RPC

/// `kunlog bench meta certificates`: an authority and certificates for the servers and the client of a measurement.
struct BenchCertificates: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certificates", abstract: "Make an authority and certificates: ca.crt, NAME.crt, NAME.key.")

  @Option(name: .long, help: "An existing directory.")
  var directory: String

  @Argument(help: "For whom: NAME=ROLE. Nodes are numbered from 1.")
  var names: [String]

  func run() async throws {
    let authority = try CertificateAuthority.create(
      commonName: "kunlog bench", certificateFile: directory + "/ca.crt", keyFile: directory + "/ca.key")
    var nodes: UInt64 = 0
    for argument in names {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, let role = AccessRole(rawValue: parts[1]) else {
        throw ValidationError("'\(argument)' is not NAME=ROLE.")
      }
      if role.isNode { nodes += 1 }
      guard
        let identity = AccessIdentity(name: parts[0], role: role, nodeID: role.isNode ? NodeID(rawValue: nodes) : nil)
      else { throw ValidationError("'\(parts[0])' is no name for a certificate.") }
      try authority.issue(
        identity, certificateFile: "\(directory)/\(parts[0]).crt", keyFile: "\(directory)/\(parts[0]).key")
    }
  }
}

/// `kunlog bench meta prepare`: waits for a leader and makes the system ready; prints the leader's position.
struct BenchPrepare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prepare", abstract: "Wait for a leader and print its position among the endpoints.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "Give the leadership to the member at this position (etcd only).")
  var transferTo: Int?

  @LoopActor
  func run() async throws {
    let (members, leader) = try await target.membersAndLeader()
    defer { for member in members { member.close() } }
    if let transferTo {
      guard members.indices.contains(transferTo), let from = members[leader] as? EtcdMember,
        let to = members[transferTo] as? EtcdMember
      else { throw ValidationError("--transfer-to is the position of an etcd server.") }
      try await from.transfer(to: to)
      return
    }
    try await members[leader].prepare()
    try printJSON(["leader": leader])
  }
}

/// `kunlog bench meta reach`: waits until every member has applied what the leader has, or one a given index.
struct BenchReach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reach", abstract: "Wait until all members have applied an index; print clock, index and term.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "The index; 0: the highest that any of them has applied now.")
  var index: UInt64 = 0

  @Option(name: .long, help: "Seconds to wait.")
  var timeout = 60

  @LoopActor
  func run() async throws {
    var options = RPCOptions()
    options.initialBackoffMilliseconds = 5
    options.maximumBackoffMilliseconds = 10
    let members = try target.members(options: options)
    defer { for member in members { member.close() } }
    var goal = index
    if goal == 0 {
      for member in members { goal = max(goal, await member.state()?.appliedIndex ?? 0) }
    }
    let deadline = Loop.now + UInt64(max(0, timeout)) * 1_000_000_000
    for member in members {
      while await member.state()?.appliedIndex ?? 0 < goal {
        guard Loop.now < deadline else { throw ValidationError("Index \(goal) is not reached within \(timeout) s.") }
        try await loopSleep(milliseconds: 2)
      }
    }
    let reached = Loop.now
    var term: UInt64 = 0
    for member in members { term = max(term, await member.state()?.term ?? 0) }
    try printJSON(["index": goal, "nanoseconds": reached, "term": term])
  }
}
