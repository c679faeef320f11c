import ArgumentParser
import Coordination
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient

/// `kunlog log status`: what each meta node keeps.
struct LogStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Print what each meta node keeps: log, archive, snapshots, and what holds compaction back.")

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    var report = LogStatusReport()
    let members = client.image.nodes.values.filter { $0.role == .meta }.sorted { $0.id < $1.id }
    var endpoints = members.map { (name: $0.name, endpoint: MetadataEndpoint(host: $0.host, port: $0.port)) }
    if endpoints.isEmpty { endpoints = client.configuration.endpoints.map { ($0.description, $0) } }
    for node in endpoints {
      do throws(MetadataError) {
        report.nodes.append(LogStatusReport.Node(node.name, try await client.logStatus(node.endpoint)))
      } catch { report.silent.append("\(node.name) at \(node.endpoint): \(error)") }
    }
    StandardStream.output.write(json ? JSONDocument.text(report) + "\n" : report.text)
  }
}

/// What `kunlog log status` prints.
struct LogStatusReport: Encodable {
  struct Range: Encodable {
    var first: UInt64
    var last: UInt64
    var bytes: UInt64
    var files: Int

    init(_ range: LogStatus.Range) {
      first = range.firstIndex
      last = range.lastIndex
      bytes = range.bytes
      files = range.files
    }

    var text: String {
      files == 0 ? "nothing" : "entries \(first) to \(last), \(ByteText.size(bytes)) in \(files) files"
    }
  }

  struct Snapshot: Encodable {
    var index: UInt64
    var bytes: UInt64
  }

  struct Hold: Encodable {
    var what: String
    var since: UInt64
    var overruled: Bool
  }

  struct Node: Encodable {
    var name: String
    var role: String
    var applied: UInt64
    var log: Range
    var archive: Range
    var archivePath: String
    var backlog: Range
    var archiveProblem: String?
    var archiveProblemSince: String?
    var snapshots: [Snapshot]
    var images: [Snapshot]
    var historyFrom: UInt64
    var proofsFrom: UInt64
    var head: HeadFile?
    var holds: [Hold]

    enum CodingKeys: String, CodingKey {
      case name, role, applied, log, archive, backlog, snapshots, images, head, holds
      case archivePath = "archive_path"
      case archiveProblem = "archive_problem"
      case archiveProblemSince = "archive_problem_since"
      case historyFrom = "history_from"
      case proofsFrom = "proofs_from"
    }

    init(_ name: String, _ status: LogStatus) {
      self.name = name
      role = status.role
      applied = status.appliedIndex
      log = Range(status.log)
      archive = Range(status.archive)
      archivePath = status.archivePath
      backlog = Range(status.backlog)
      archiveProblem = status.archiveProblem.isEmpty ? nil : status.archiveProblem
      archiveProblemSince =
        status.archiveProblem.isEmpty ? nil : RecordTime.text(status.archiveProblemSinceMicroseconds)
      snapshots = status.snapshots.map { Snapshot(index: $0.index, bytes: $0.bytes) }
      images = status.images.map { Snapshot(index: $0.index, bytes: $0.bytes) }
      historyFrom = status.historyFirstIndex
      proofsFrom = status.provableFirstIndex
      head = status.head.map(HeadFile.init)
      holds = status.holds.map { Hold(what: $0.what, since: $0.index, overruled: $0.isOverruled) }
    }

    var text: String {
      var lines = ["\(name) (\(role), applied to \(applied))"]
      lines.append("  log        \(log.text)")
      lines.append("  archive    \(archivePath.isEmpty ? "off" : archive.text + ", in " + archivePath)")
      if let archiveProblem {
        lines.append("             PROBLEM since \(archiveProblemSince ?? ""): \(archiveProblem)")
        lines.append("             waiting in the log's directory: \(backlog.text)")
      }
      lines.append("  snapshots  " + LogStatusReport.list(snapshots))
      lines.append("  images     " + LogStatusReport.list(images))
      lines.append("  history    the state at any record from \(historyFrom) on; proofs from record \(proofsFrom) on")
      if let head {
        lines.append("  head       record \(head.recordIndex), \(head.count) in the tree, root \(head.root)")
      }
      for hold in holds {
        lines.append(
          "  held       from record \(hold.since) on by \(hold.what)"
            + (hold.overruled ? "; the log has become too long, it is compacted all the same" : ""))
      }
      if holds.isEmpty { lines.append("  held       by nothing") }
      return lines.joined(separator: "\n") + "\n"
    }
  }

  var nodes: [Node] = []
  /// Who did not answer.
  var silent: [String] = []

  var text: String {
    nodes.map(\.text).joined() + silent.map { "no answer from \($0)\n" }.joined()
  }

  private static func list(_ snapshots: [Snapshot]) -> String {
    guard let first = snapshots.first, let last = snapshots.last else { return "none" }
    let bytes = ByteText.size(snapshots.reduce(0) { $0 + $1.bytes })
    return snapshots.count == 1
      ? "at \(first.index), \(bytes)" : "\(snapshots.count), at \(first.index) to \(last.index), \(bytes)"
  }
}
