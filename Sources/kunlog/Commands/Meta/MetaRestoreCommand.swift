import ArgumentParser
import EventLoop
import Glibc
import Metadata
import MetadataLog
import MetadataService

/// `kunlog meta restore`: data directories for a new group, from a backup.
struct MetaRestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Make data directories for a new group of meta nodes from a backup. Offline.",
    discussion: """
      The new group is another cluster with an id of its own: nodes of the old one are refused by it, and the log's first new \
      record says from which cluster, index and hash it comes. Where only a majority of the meta nodes is lost and one is left, \
      'kunlog meta recover' keeps more.
      Rows are not in a backup: docs/audit.md says what becomes of storage nodes.
      """)

  @Option(
    name: .long, help: "The directory to make, with one per member in it: DIR/meta-1, …; it must not be there yet.")
  var into: String?

  @Option(
    name: .long, parsing: .singleValue,
    help: "A member of the new group and where it will listen: id=host:port. Repeat.")
  var member: [Member] = []

  @Option(name: .long, help: "The new cluster's name; by default that of the old one.")
  var name: String?

  @Flag(name: .long, help: "Only read the backup and say what it is.")
  var check = false

  @Option(name: .long, help: "Who restores, for the metadata log.")
  var principal = "operator"

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The backup's file.")
  var backup: String

  func validate() throws {
    guard !check else { return }
    guard into != nil, !member.isEmpty else {
      throw ValidationError(
        "Say where and for whom: --into DIR --member 1=HOST:PORT --member 2=… --member 3=…; or only look: --check.")
    }
    guard Set(member.map(\.id)).count == member.count, Set(member.map(\.endpoint)).count == member.count else {
      throw ValidationError("Each --member has a number and an address of its own.")
    }
    guard member.allSatisfy({ $0.id > 0 }) else { throw ValidationError("A member's number is above 0.") }
    guard principal.utf8.count <= 128 else { throw ValidationError("--principal has at most 128 bytes.") }
  }

  @LoopActor
  func run() async throws {
    let contents = try BackupFile.read(backup)
    let report = BackupReport(backup, contents, sizeBytes: try FileSystem.size(backup))
    guard !check, let into else {
      StandardStream.output.write((json ? JSONDocument.text(report) : report.text) + "\n")
      return
    }
    let directory = QuickstartDirectory(path: into).path
    guard !FileSystem.exists(directory) else {
      throw CommandFailure(
        description: "\(directory) exists. A restore overwrites nothing: name a directory that is not there yet.")
    }
    var random = SystemRandomNumberGenerator()
    let clusterID = ClusterID(rawValue: (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
    let members = member.map {
      MetaNodeConfiguration.Member(nodeID: NodeID(rawValue: $0.id), host: $0.endpoint.host, port: $0.endpoint.port)
    }
    let temporary = "\(directory).partial-\(getpid())"
    do {
      let restore = try MetaRestore(
        contents, clusterID: clusterID, clusterName: name, members: members, principal: principal)
      for member in member {
        let reader = try BackupReader(backup)
        try restore.write("\(temporary)/meta-\(member.id)", node: NodeID(rawValue: member.id)) { try reader.next() }
      }
      try FileSystem.atomicReplace(temporary + "/cluster-id", Array((clusterID.hexadecimal + "\n").utf8))
      try FileSystem.rename(temporary, directory)
      let done = RestoreReport(report, directory, clusterID, restore.record, member)
      StandardStream.output.write((json ? JSONDocument.text(done) : done.text) + "\n")
    } catch {
      try? FileSystem.remove(temporary)
      throw (error as? MetaNodeError).map { CommandFailure(description: $0.description) } ?? error
    }
  }
}

/// What a restore has made, and what is to be done with it.
struct RestoreReport: Codable, Sendable {
  var backup: BackupReport
  var directory: String
  var clusterID: String
  /// The record that says so.
  var index: UInt64
  var hash: String
  var members: [String]

  enum CodingKeys: String, CodingKey {
    case backup, directory, index, hash, members
    case clusterID = "cluster_id"
  }

  init(_ backup: BackupReport, _ directory: String, _ clusterID: ClusterID, _ record: Record, _ members: [Member]) {
    self.backup = backup
    self.directory = directory
    self.clusterID = clusterID.hexadecimal
    index = record.index
    hash = "\(record.hash)"
    self.members = members.map(\.description)
  }

  /// For people.
  var text: String {
    let group = members.map { "--member \($0)" }.joined(separator: " ")
    let lines = members.map { member -> String in
      let parts = member.split(separator: "=", maxSplits: 1)
      return "  kunlog meta --existing --node-id \(parts[0]) --name meta-\(parts[0]) --listen \(parts[1]) "
        + "--data \(directory)/meta-\(parts[0]) --cluster-id \(clusterID) \(group) --certificate … --key … --authority …"
    }
    return """
      Restored index \(backup.index) of cluster \(backup.clusterName) (\(backup.clusterID)) as a new cluster.
      id     \(clusterID)
      index  \(index), hash \(hash)
      Bring each directory to its machine, and start the members:
      \(lines.joined(separator: "\n"))
      """
  }
}
