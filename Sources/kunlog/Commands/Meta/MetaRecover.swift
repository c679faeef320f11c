import ArgumentParser
import FoundationEssentials
import Glibc
import MetadataService

/// `kunlog meta recover`: the last resort where a majority of the meta nodes is lost for good.
struct MetaRecover: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover", abstract: "Go on with one meta node where the majority is lost for good. Offline.",
    discussion: """
      Stop the node first. It becomes the only voter: what only the lost nodes knew is lost, even where clients were told that \
      it is done, and what this node's log holds counts from now on, even where clients were told nothing. Of several survivors \
      choose the one whose log ends last (the higher term, then the higher index): --dry-run shows it for each.
      The lost nodes must never be started again. Afterwards start this node as before, and add new ones: kunlog meta member add.
      """)

  @Option(name: .long, help: "The node's own data directory (of a quick start: DIR/meta-1).")
  var data: String

  @Flag(name: .long, help: "Only show what is there.")
  var dryRun = false

  @Flag(name: .long, help: "Do not ask.")
  var yes = false

  @Option(name: .long, help: "Who decides, for the metadata log (default: USER@HOST).")
  var principal: String?

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  func validate() throws {
    guard !json || yes || dryRun else { throw ValidationError("--json does not ask: add --yes, or --dry-run.") }
  }

  func run() async throws {
    let directory = QuickstartDirectory(path: data).path
    let recovery: MetaRecovery
    do throws(MetaNodeError) { recovery = try MetaRecovery(dataDirectory: directory) } catch {
      throw CommandFailure(description: error.description)
    }
    var report = RecoveryReport(recovery, data: directory)
    guard !recovery.isAlone else {
      recovery.cancel()
      throw CommandFailure(
        description: "Node \(recovery.nodeID) is the only member of its group: there is nothing to recover. Start it.")
    }
    if !json { say(report.text) }
    guard !dryRun, yes || isConfirmed(recovery) else {
      recovery.cancel()
      say(json ? report.json : "Nothing was changed.")
      return
    }
    do throws(MetaNodeError) { try recovery.force(principal: principal ?? Self.operatorName) } catch {
      throw CommandFailure(description: error.description)
    }
    report.isDone = true
    say(
      json
        ? report.json
        : """
        Done: node \(recovery.nodeID) is the only voter, by entry \(recovery.forcedIndex) of term \(recovery.forcedTerm).
        Start it as before; it records this in the metadata log. Then add new nodes: kunlog meta member add.
        Never start the others again; delete their data directories.
        """)
  }

  private func say(_ text: String) { StandardStream.output.write(text + "\n") }

  private func isConfirmed(_ recovery: MetaRecovery) -> Bool {
    StandardStream.output.write("To go on, type the node's number (\(recovery.nodeID)): ")
    return readLine()?.trimmingCharacters(in: .whitespaces) == String(recovery.nodeID)
  }

  private static var operatorName: String {
    let environment = ProcessInfo.processInfo.environment
    let user = environment["SUDO_USER"] ?? environment["USER"] ?? "user \(getuid())"
    return "\(user)@\(ProcessInfo.processInfo.hostName)"
  }
}

/// What `kunlog meta recover` found and did.
struct RecoveryReport: Codable, Sendable {
  struct Node: Codable, Sendable {
    var id: UInt64
    var address: String
    var isVoter: Bool

    enum CodingKeys: String, CodingKey {
      case id, address
      case isVoter = "is_voter"
    }
  }

  var data: String
  var nodeID: UInt64
  /// The last entry that is durable here.
  var lastIndex: UInt64
  var lastTerm: UInt64
  /// The latest term that the node knows; above `lastTerm` where an election came after the last entry.
  var term: UInt64
  /// What is known here to be committed.
  var committedAtLeast: UInt64
  /// Who belonged to the group as this node knows it.
  var members: [Node]
  /// What damage has cost this log; nil: nothing.
  var loss: String?
  var forcedIndex: UInt64
  var forcedTerm: UInt64
  /// Whether the node is the only voter now.
  var isDone = false

  enum CodingKeys: String, CodingKey {
    case data, members, loss, term
    case nodeID = "node_id"
    case lastIndex = "last_index"
    case lastTerm = "last_term"
    case committedAtLeast = "committed_at_least"
    case forcedIndex = "forced_index"
    case forcedTerm = "forced_term"
    case isDone = "is_done"
  }

  init(_ recovery: MetaRecovery, data: String) {
    self.data = data
    nodeID = recovery.nodeID
    lastIndex = recovery.last.index
    lastTerm = recovery.last.term
    term = recovery.term
    committedAtLeast = recovery.committedAtLeast
    members = recovery.members.map { Node(id: $0.member.id, address: $0.member.address, isVoter: $0.isVoter) }
    loss = recovery.loss
    forcedIndex = recovery.forcedIndex
    forcedTerm = recovery.forcedTerm
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// For people: what is here, and what may be lost.
  var text: String {
    let others = members.filter { $0.id != nodeID }.map {
      "node \($0.id) at \($0.address)\($0.isVoter ? "" : " (no voter)")"
    }
    var lines = [
      "Node \(nodeID) in \(data):",
      "  its log ends at entry \(lastIndex) of term \(lastTerm); the latest term that it knows is \(term)",
      "  of these, entries up to \(committedAtLeast) are known to be committed; what is after that may be or not",
      "  the group as it knows it: this node\(others.isEmpty ? "" : ", " + others.joined(separator: ", "))",
      "What may be lost: everything that the others have after entry \(lastIndex), although clients were told that it is done.",
      "What becomes true: entries up to \(lastIndex), although some may never have been acknowledged.",
    ]
    if let loss { lines.append("This log is damaged, and choosing it makes that final: \(loss)") }
    if !(members.first { $0.id == nodeID }?.isVoter ?? false) {
      lines.append("This node has no vote: a voter's log is the better choice where there is one.")
    }
    lines.append("Out for ever: \(others.isEmpty ? "nobody" : others.joined(separator: ", ")).")
    return lines.joined(separator: "\n")
  }
}
