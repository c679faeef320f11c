import Coordination
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient
import Monitoring

/// The meta nodes as `kunlog meta status` shows them.
struct MetaStatusReport: Codable, Sendable {
  struct Node: Codable, Sendable {
    var id: UInt64?
    var name: String
    var address: String
    /// "voter", "learner", "leaving"; nil: no member.
    var standing: String?
    /// nil where it does not answer; then `failure` says why.
    var role: String?
    var failure: String?
    var term: UInt64?
    var leader: UInt64?
    var firstIndex: UInt64?
    var lastIndex: UInt64?
    var commitIndex: UInt64?
    var appliedIndex: UInt64?
    /// Entries of the leader's log, or of the longest one, that are not durable there.
    var behind: UInt64?
    /// The last record of the metadata log that it has applied.
    var recordIndex: UInt64?
    var logBytes: UInt64?
    var archiveBytes: UInt64?
    var snapshotIndex: UInt64?
    var snapshotBytes: UInt64?
    var subscribers: UInt64?
    /// Records that the subscriber lacks that is furthest behind.
    var subscriberLag: UInt64?
    /// "ok", "full", "stalled for 1200 ms", "damaged: waits for entry 12"
    var disk: String?
    /// 99 % of the disk's synchronizations took so long or less.
    var syncP99Microseconds: UInt64?
    var diskStalls: UInt64?
    var elections: UInt64?
    var leaderChanges: UInt64?
    /// RFC 3339; nil: none since it started.
    var lastElection: String?
    var uptimeSeconds: UInt64?
    var supportedFeatureLevel: UInt32?

    enum CodingKeys: String, CodingKey {
      case id, name, address, standing, role, failure, term, leader, behind, subscribers, disk, elections
      case firstIndex = "first_index"
      case lastIndex = "last_index"
      case commitIndex = "commit_index"
      case appliedIndex = "applied_index"
      case recordIndex = "record_index"
      case logBytes = "log_bytes"
      case archiveBytes = "archive_bytes"
      case snapshotIndex = "snapshot_index"
      case snapshotBytes = "snapshot_bytes"
      case subscriberLag = "subscriber_lag"
      case syncP99Microseconds = "sync_p99_microseconds"
      case diskStalls = "disk_stalls"
      case leaderChanges = "leader_changes"
      case lastElection = "last_election"
      case uptimeSeconds = "uptime_seconds"
      case supportedFeatureLevel = "supported_feature_level"
    }
  }

  var clusterID: String?
  /// Who leads; nil: nobody says so.
  var leader: UInt64?
  var term: UInt64?
  var commitIndex: UInt64?
  /// Of the cluster.
  var featureLevel: UInt32?
  var votersAnswering: Int
  var voters: Int
  var nodes: [Node]

  enum CodingKeys: String, CodingKey {
    case leader, term, voters, nodes
    case clusterID = "cluster_id"
    case commitIndex = "commit_index"
    case featureLevel = "feature_level"
    case votersAnswering = "voters_answering"
  }

  init(_ group: MetaGroupStatus, atMicroseconds now: Int64 = Loop.wallClockMicroseconds()) {
    let answering = group.nodes.compactMap(\.status)
    let leading = group.leader
    let best = leading ?? answering.max { ($0.term, $0.lastIndex) < ($1.term, $1.lastIndex) }
    clusterID = best?.clusterID?.hexadecimal
    leader = leading?.nodeID.rawValue
    term = best?.term
    commitIndex = best?.commitIndex
    featureLevel = answering.map(\.featureLevel).max()
    let members = group.nodes.filter { $0.standing == .voter || $0.standing == .leaving }
    voters = members.count
    votersAnswering = members.count { $0.status != nil }
    nodes = group.nodes.map { node in Node(node, furthest: best?.lastIndex ?? 0, leading, now) }
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// For people.
  var table: String {
    var lines: [String] = []
    if let leader {
      let name = nodes.first { $0.id == leader }?.name ?? ""
      lines.append(
        "leader \(name.isEmpty ? "node \(leader)" : name) in term \(term ?? 0), committed \(commitIndex ?? 0), "
          + "feature level \(featureLevel ?? 0), \(votersAnswering) of \(voters) voters answer")
    } else if nodes.contains(where: { $0.role != nil }) {
      lines.append("no leader: \(votersAnswering) of \(voters) voters answer, latest term \(term ?? 0)")
    } else {
      lines.append("no meta node answers")
    }
    var table = TextTable(header: [
      "node", "name", "address", "role", "term", "committed", "applied", "behind", "log", "archive", "snapshot",
      "subscribers", "disk", "last election",
    ])
    func text(_ number: UInt64?) -> String { number.map(String.init) ?? "" }
    func size(_ bytes: UInt64?) -> String { bytes.map(ByteText.size) ?? "" }
    for node in nodes {
      let snapshot =
        (node.snapshotIndex ?? 0) == 0 ? "" : "\(text(node.snapshotIndex)), \(size(node.snapshotBytes))"
      let lag = (node.subscriberLag ?? 0) > 0 ? " (behind \(text(node.subscriberLag)))" : ""
      let role = node.role.map { node.standing == "learner" && $0 == "follower" ? "learner" : $0 } ?? "unreachable"
      table.add([
        text(node.id), node.name, node.address, role, text(node.term), text(node.commitIndex), text(node.appliedIndex),
        text(node.behind), size(node.logBytes), size(node.archiveBytes), snapshot,
        text(node.subscribers) + lag, node.disk ?? "", node.lastElection ?? "",
      ])
    }
    lines.append(table.text)
    for node in nodes {
      guard let failure = node.failure else { continue }
      let name = node.name.isEmpty ? node.id.map { "node \($0)" } ?? "a node" : node.name
      lines.append("\(name) at \(node.address) does not answer: \(failure)")
    }
    return lines.joined(separator: "\n")
  }
}

extension MetaStatusReport.Node {
  init(_ node: MetaGroupStatus.Node, furthest: UInt64, _ leading: MetadataStatus?, _ now: Int64) {
    id = node.nodeID?.rawValue
    name = node.name
    address = node.address.description
    standing = node.standing?.rawValue
    failure = node.failure
    guard let status = node.status else { return }
    role = status.role
    term = status.term
    leader = status.leaderID?.rawValue
    firstIndex = status.firstIndex
    lastIndex = status.lastIndex
    commitIndex = status.commitIndex
    appliedIndex = status.appliedIndex
    let match = leading?.members.first { $0.nodeID == status.nodeID }?.matchIndex ?? status.lastIndex
    behind = furthest - min(furthest, match)
    recordIndex = status.recordIndex
    logBytes = status.logBytes
    archiveBytes = status.archiveBytes
    snapshotIndex = status.snapshotIndex
    snapshotBytes = status.snapshotBytes
    subscribers = UInt64(status.subscribers)
    subscriberLag = status.subscriberLag
    disk = status.diskState
    syncP99Microseconds = status.syncP99Microseconds
    diskStalls = status.diskStalls
    elections = status.elections
    leaderChanges = status.leaderChanges
    lastElection = status.lastElectionMicroseconds.map { LogTime.text(microseconds: $0) }
    uptimeSeconds = status.startedMicroseconds.map { UInt64(max(0, now - $0) / 1_000_000) }
    supportedFeatureLevel = status.supportedFeatureLevel
  }
}
