import Coordination
import FoundationEssentials
import Metadata
import MetadataClient

/// The members of the meta group: what `kunlog meta member …` shows.
struct MembershipReport: Codable, Sendable {
  struct Node: Codable, Sendable {
    var id: UInt64
    /// Empty where the log of facts does not name the node.
    var name: String
    var address: String
    /// "voter", "learner", "leaving".
    var standing: GroupMembership.Standing
    var isLeader: Bool
    /// The last entry that is durable there.
    var matchIndex: UInt64?
    /// Entries that it lacks.
    var lag: UInt64?
    /// Whether the leader heard of it within the last election timeout.
    var isAlive: Bool?
    /// Of its data's file system, where it was asked.
    var diskFreeBytes: UInt64?
    var diskTotalBytes: UInt64?

    enum CodingKeys: String, CodingKey {
      case id, name, address, standing, lag
      case isLeader = "is_leader"
      case matchIndex = "match_index"
      case isAlive = "is_alive"
      case diskFreeBytes = "disk_free_bytes"
      case diskTotalBytes = "disk_total_bytes"
    }
  }

  var leader: UInt64?
  var term: UInt64
  /// The entry that put these members in force.
  var configurationIndex: UInt64
  var commitIndex: UInt64
  var lastIndex: UInt64
  var members: [Node]

  enum CodingKeys: String, CodingKey {
    case leader, term, members
    case configurationIndex = "configuration_index"
    case commitIndex = "commit_index"
    case lastIndex = "last_index"
  }

  /// - Parameter spaces: what the members' disks have, where they were asked.
  init(_ membership: GroupMembership, spaces: [NodeID: DiskSpace] = [:]) {
    leader = membership.leaderID?.rawValue
    term = membership.term
    configurationIndex = membership.configurationIndex
    commitIndex = membership.commitIndex
    lastIndex = membership.lastIndex
    members = membership.members.map { member in
      Node(
        id: member.nodeID.rawValue, name: member.name, address: member.address, standing: member.standing,
        isLeader: member.nodeID == membership.leaderID, matchIndex: member.matchIndex,
        lag: member.matchIndex.map { membership.lastIndex - min(membership.lastIndex, $0) }, isAlive: member.isAlive,
        diskFreeBytes: spaces[member.nodeID]?.freeBytes, diskTotalBytes: spaces[member.nodeID]?.totalBytes)
    }
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// For people.
  var table: String {
    let hasSpaces = members.contains { $0.diskTotalBytes != nil }
    var table = TextTable(
      header: ["node", "name", "address", "standing", "state", "durable up to", "behind"] + (hasSpaces ? ["free"] : []))
    for member in members {
      let space = member.diskTotalBytes.map { DiskSpace(freeBytes: member.diskFreeBytes ?? 0, totalBytes: $0) }
      table.add(
        [
          String(member.id), member.name, member.address, member.isLeader ? "leader" : member.standing.rawValue,
          member.isAlive.map { $0 ? "up" : "down" } ?? "", member.matchIndex.map(String.init) ?? "",
          member.lag.map(String.init) ?? "",
        ] + (hasSpaces ? [ByteText.free(space)] : []))
    }
    return "term \(term), committed \(commitIndex), members since entry \(configurationIndex)\n\(table.text)"
  }
}
