import EventLoop
import Metadata
import MetadataWire
import RPC
import Raft
import Replica

/// An operator's decision to go on with one meta node where the quorum is lost, kept in the node's data directory: the node
/// records it in the metadata log at its next start, and never again listens to the members of before.
package struct QuorumRecovery: Sendable, Equatable {
  /// The entry that made the node the only voter.
  package var index: UInt64
  package var term: UInt64
  /// Who decided, and when.
  package var principal: String
  package var timeMicroseconds: Int64
  /// The last entry that the node's log held.
  package var last: LogPosition
  /// Everybody who belonged to the group, as `id=host:port`, the node itself included.
  package var members: [Member]
  /// Those of earlier recoveries, who stay out as well.
  package var formerMembers: [UInt64]
  /// Whether the metadata log holds it.
  package var isRecorded = false

  /// The topic of the note that stands for it in the metadata log.
  static let topic = "QuorumRecovered"

  static func file(_ dataDirectory: String) -> String { dataDirectory + "/quorum-recovery" }

  /// What the directory says; nil where there was no such decision.
  static func read(_ dataDirectory: String) throws(MetaNodeError) -> QuorumRecovery? {
    let path = file(dataDirectory)
    guard FileSystem.exists(path) else { return nil }
    do {
      if let recovery = QuorumRecovery(text: try FileSystem.readText(path)) { return recovery }
    } catch { throw MetaNodeError(description: "\(error)") }
    throw MetaNodeError(
      description:
        "\(path) is damaged. It says which members are out for ever since a forced recovery; give kunlog meta "
        + "recover again, which writes it anew")
  }

  func write(_ dataDirectory: String) throws(MetaNodeError) {
    do {
      try FileSystem.atomicReplace(Self.file(dataDirectory), Array(text.utf8))
    } catch { throw MetaNodeError(description: "\(error)") }
  }

  /// Who must not be listened to.
  func isOut(_ id: UInt64, node: UInt64) -> Bool {
    id != node && (formerMembers.contains(id) || members.contains { $0.id == id })
  }

  // MARK: - As text: a word and its value per line

  private static let firstLine = "kunlog quorum recovery 1"

  var text: String {
    var lines = [
      Self.firstLine, "entry \(index) \(term)", "last \(last.index) \(last.term)", "time \(timeMicroseconds)",
      "principal \(principal.filter { !$0.isNewline })", "recorded \(isRecorded ? 1 : 0)",
    ]
    lines += members.map { "member \($0.id) \($0.address)" }
    lines += formerMembers.map { "former \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  init?(text: String) {
    self.init(
      index: 0, term: 0, principal: "", timeMicroseconds: 0, last: LogPosition(index: 0, term: 0), members: [],
      formerMembers: [])
    let lines = text.split(separator: "\n")
    guard lines.first.map(String.init) == Self.firstLine else { return nil }
    for line in lines.dropFirst() {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      let numbers = words.dropFirst().map { UInt64($0) }
      switch (words[0], words.count) {
      case ("entry", 3): (index, term) = (numbers[0] ?? 0, numbers[1] ?? 0)
      case ("last", 3): last = LogPosition(index: numbers[0] ?? 0, term: numbers[1] ?? 0)
      case ("time", 2): timeMicroseconds = Int64(words[1]) ?? 0
      case ("principal", 2...): principal = words.dropFirst().joined(separator: " ")
      case ("recorded", 2): isRecorded = words[1] == "1"
      case ("member", 3):
        guard let id = numbers[0] else { return nil }
        members.append(Member(id: id, address: words[2]))
      case ("former", 2):
        guard let id = numbers[0] else { return nil }
        formerMembers.append(id)
      default: return nil
      }
    }
    guard index > 0, term > 0, !members.isEmpty else { return nil }
  }

  init(
    index: UInt64, term: UInt64, principal: String, timeMicroseconds: Int64, last: LogPosition, members: [Member],
    formerMembers: [UInt64]
  ) {
    self.index = index
    self.term = term
    self.principal = principal
    self.timeMicroseconds = timeMicroseconds
    self.last = last
    self.members = members
    self.formerMembers = formerMembers
  }

  /// What the metadata log says of it: one JSON document.
  func note(node: UInt64) -> String {
    func quoted(_ text: String) -> String {
      let safe = text.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : $0.value < 32 ? " " : String($0) }
      return "\"" + safe.joined() + "\""
    }
    let members = members.map { "{\"id\":\($0.id),\"address\":\(quoted($0.address))}" }.joined(separator: ",")
    return "{\"node\":\(node),\"index\":\(index),\"term\":\(term),\"last_index\":\(last.index),"
      + "\"last_term\":\(last.term),\"principal\":\(quoted(principal)),\"time_microseconds\":\(timeMicroseconds),"
      + "\"old_members\":[\(members)]}"
  }
}
