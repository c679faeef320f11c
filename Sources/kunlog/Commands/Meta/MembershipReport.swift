import FoundationEssentials
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

    enum CodingKeys: String, CodingKey {
      case id, name, address, standing, lag
      case isLeader = "is_leader"
      case matchIndex = "match_index"
      case isAlive = "is_alive"
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

  init(_ membership: GroupMembership) {
    leader = membership.leaderID?.rawValue
    term = membership.term
    configurationIndex = membership.configurationIndex
    commitIndex = membership.commitIndex
    lastIndex = membership.lastIndex
    members = membership.members.map { member in
      Node(
        id: member.nodeID.rawValue, name: member.name, address: member.address, standing: member.standing,
        isLeader: member.nodeID == membership.leaderID, matchIndex: member.matchIndex,
        lag: member.matchIndex.map { membership.lastIndex - min(membership.lastIndex, $0) }, isAlive: member.isAlive)
    }
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// For people.
  var table: String {
    var table = TextTable(header: ["node", "name", "address", "standing", "state", "durable up to", "behind"])
    for member in members {
      table.add([
        String(member.id), member.name, member.address, member.isLeader ? "leader" : member.standing.rawValue,
        member.isAlive.map { $0 ? "up" : "down" } ?? "", member.matchIndex.map(String.init) ?? "",
        member.lag.map(String.init) ?? "",
      ])
    }
    return "term \(term), committed \(commitIndex), members since entry \(configurationIndex)\n\(table.text)"
  }
}
