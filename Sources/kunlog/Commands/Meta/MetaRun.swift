import ArgumentParser
import Metadata
import MetadataService
import Monitoring

/// `kunlog meta [run]`: one replica of the metadata log.
struct MetaRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run a meta node.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Data directory.")
  var data: String

  @Option(
    name: .long, parsing: .singleValue,
    help: "A meta node that the group starts with, this one included: id=host:port. Repeat.")
  var member: [Member] = []

  @Option(
    name: .long,
    help:
      "How many MB of records that the log does not need any more are kept for audits ('kunlog log show'), the latest ones; 0: none; all: everything, for ever."
  )
  var archiveMB = ArchiveLimit.megabytes(1024)

  @Option(
    name: .long,
    help:
      "A folder for the archive, on another disk for instance (default: in the data directory). While it is full or gone the node goes on."
  )
  var archive: String?

  @Option(name: .long, help: "How many days something stays in the archive (default: as long as there is room for it).")
  var archiveDays: Int?

  @Option(
    name: .long,
    help:
      "How many MB wait for --archive while it takes nothing, before the oldest are dropped (default: as many as the disk holds)."
  )
  var archiveBacklogMB: Int?

  @Flag(
    name: .long,
    help: "This node comes into a group that exists: it waits until 'kunlog meta member add' or 'replace' names it.")
  var join = false

  @Option(name: .long, help: "After how many MB of log a snapshot is taken.")
  var snapshotMB = 64

  func validate() throws {
    guard archiveDays ?? 1 > 0, archiveBacklogMB ?? 1 > 0 else {
      throw ValidationError("--archive-days and --archive-backlog-mb are above 0.")
    }
    guard archiveBacklogMB == nil || archive != nil else {
      throw ValidationError("--archive-backlog-mb says how much may wait for --archive, which is not given.")
    }
    guard (1...1_000_000).contains(snapshotMB) else { throw ValidationError("--snapshot-mb is between 1 and 1000000.") }
    guard join != !member.isEmpty else {
      throw ValidationError(
        join
          ? "Leave --member out with --join: a node that comes in is told of the others by their leader."
          : "Say whom the group starts with (--member, for each of them), or --join where it exists already.")
    }
    guard join || member.contains(where: { $0.id == node.nodeID }) else {
      throw ValidationError("The group starts without this node: no --member \(node.nodeID)=HOST:PORT.")
    }
  }

  func run() async throws {
    let listen = try node.endpoint()
    var configuration = MetaNodeConfiguration(
      clusterID: try node.cluster(), nodeID: NodeID(rawValue: node.nodeID),
      members: member.map { .init(nodeID: NodeID(rawValue: $0.id), host: $0.endpoint.host, port: $0.endpoint.port) },
      dataDirectory: data, host: listen.host, port: listen.port, tls: node.tls)
    configuration.mayBegin = !node.existing
    configuration.archiveBytes = archiveMB.bytes
    configuration.archiveFolder = archive
    configuration.archiveSeconds = archiveDays.map { $0 * 86_400 }
    configuration.archiveBacklogBytes = archiveBacklogMB.map { $0 * 1024 * 1024 }
    configuration.snapshotLogBytes = snapshotMB * 1024 * 1024
    try await NodeProcess.run(node, role: "meta") { fail in
      let meta = MetaNode(configuration)
      meta.onFailure = fail
      return NodeRole(
        start: { try await meta.start() }, stop: { await meta.stop() },
        failureCode: { meta.isRemoved ? removedExitCode : 1 },
        monitoring: MonitoringSource(metrics: { meta.metrics }, unreadiness: { meta.unreadiness }))
    }
  }
}

/// How much is archived.
enum ArchiveLimit: ExpressibleByArgument, Equatable {
  case megabytes(Int)
  case all

  init?(argument: String) {
    if argument == "all" {
      self = .all
    } else if let number = Int(argument), (0...1_000_000_000).contains(number) {
      self = .megabytes(number)
    } else {
      return nil
    }
  }

  var defaultValueDescription: String { if case .megabytes(let number) = self { "\(number)" } else { "all" } }

  /// nil: all.
  var bytes: Int? { if case .megabytes(let number) = self { number * 1024 * 1024 } else { nil } }
}
