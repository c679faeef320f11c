import Coordination
import FoundationEssentials
import Metadata
import MetadataClient
import MetadataService
import SQLTypes
import SegmentedLog

/// What `kunlog log verify` has found.
struct VerifyReport: Encodable {
  struct Finding: Encodable {
    var file: String
    var offset: UInt64
    var record: UInt64
    var what: String

    var text: String { "\(file), byte \(offset)\(record == 0 ? "" : ", record \(record)"): \(what)" }
  }

  struct Node: Encodable {
    var name: String
    var firstIndex: UInt64
    var lastIndex: UInt64
    var records: UInt64
    var bytes: UInt64
    var snapshots: Int
    var seconds: Double
    var chainHash: String?
    var head: HeadFile?
    var imageDigest: String?
    var findings: [Finding]
    /// Of findings, with those that were too many to be listed.
    var findingsCount: Int

    enum CodingKeys: String, CodingKey {
      case name, records, bytes, snapshots, seconds, head, findings
      case firstIndex = "first_index"
      case lastIndex = "last_index"
      case chainHash = "chain_hash"
      case imageDigest = "image_digest"
      case findingsCount = "findings_count"
    }

    fileprivate var recentHashes: [UInt64: RecordHash] = [:]
    fileprivate var committedIndex: UInt64 = 0

    init(_ name: String, _ result: HistoryAudit.Result, _ findings: [LogFinding], seconds: Double) {
      self.name = name
      firstIndex = result.firstIndex
      lastIndex = result.lastIndex
      records = result.records
      bytes = UInt64(result.bytes)
      snapshots = result.comparedSnapshots
      self.seconds = seconds
      chainHash = result.lastIndex == 0 ? nil : result.lastHash.description
      head = result.head.map(HeadFile.init)
      imageDigest = result.imageDigest.map(ByteaText.hexadecimal)
      self.findings = findings.map {
        Finding(file: $0.path, offset: UInt64(max(0, $0.offset)), record: $0.index, what: $0.what)
      }
      findingsCount = result.findings
      recentHashes = result.recentHashes
      committedIndex = result.committedIndex
    }

    init(_ name: String, _ answer: VerifyAnswer, seconds: Double) {
      self.name = name
      firstIndex = answer.firstIndex
      lastIndex = answer.head?.recordIndex ?? answer.lastIndex
      records = answer.records
      bytes = answer.bytes
      snapshots = answer.snapshots
      self.seconds = seconds
      chainHash = answer.head?.chainHash.description
      head = answer.head.map(HeadFile.init)
      imageDigest = answer.imageDigest.isEmpty ? nil : ByteaText.hexadecimal(answer.imageDigest)
      findings = answer.findings.map {
        Finding(file: $0.path, offset: $0.offset, record: $0.recordIndex, what: $0.what)
      }
      findingsCount = answer.findingsCount
    }

    fileprivate var text: String {
      let rate = seconds > 0 ? Int(Double(records) / seconds) : 0
      var lines = [
        "\(name): \(findingsCount == 0 ? "good" : "\(findingsCount) findings"). \(records) records "
          + "(\(firstIndex) to \(lastIndex)), \(ByteText.size(bytes)), \(snapshots) snapshots compared, \(rate) records/s"
      ]
      lines += findings.map { "  " + $0.text }
      if findings.count < findingsCount { lines.append("  and \(findingsCount - findings.count) more") }
      return lines.joined(separator: "\n") + "\n"
    }
  }

  var nodes: [Node] = []
  /// What concerns more than one node.
  var problems: [String] = []
  /// What is worth knowing, and no fault.
  var remarks: [String] = []

  var isGood: Bool { problems.isEmpty && nodes.allSatisfy { $0.findingsCount == 0 } }

  /// All went to the same index.
  mutating func compareRunning() {
    guard let first = nodes.first else { return }
    for node in nodes.dropFirst() {
      if node.lastIndex != first.lastIndex {
        problems.append("\(node.name) ends at record \(node.lastIndex), \(first.name) at record \(first.lastIndex)")
      } else if node.head != first.head {
        problems.append(
          "\(node.name) and \(first.name) differ at record \(node.lastIndex): their histories are not the same")
      } else if let one = node.imageDigest, let other = first.imageDigest, one != other {
        problems.append("the states of \(node.name) and \(first.name) after record \(node.lastIndex) differ")
      }
    }
  }

  /// Logs of stopped nodes end where they end; what one of them has more need not be committed.
  mutating func compareStopped() {
    for (number, node) in nodes.enumerated() {
      for other in nodes.dropFirst(number + 1) {
        let common = node.recentHashes.keys.filter { other.recentHashes[$0] != nil }
        guard let differing = common.filter({ node.recentHashes[$0] != other.recentHashes[$0] }).min() else { continue }
        let text = "\(node.name) and \(other.name) differ from record \(differing) on"
        if differing <= min(node.committedIndex, other.committedIndex) {
          problems.append(text + ", which both know to be committed")
        } else {
          remarks.append(
            text
              + ": unless that record was committed, one of them holds what the group has given up, and drops it when it "
              + "starts")
        }
      }
    }
  }

  var text: String {
    var text = nodes.map(\.text).joined()
    for problem in problems { text += "PROBLEM: \(problem)\n" }
    for remark in remarks { text += "note: \(remark)\n" }
    if isGood, let head = nodes.first?.head {
      text += "All is as it must be, to record \(head.recordIndex), root \(head.root)\n"
    }
    return text
  }

  enum CodingKeys: String, CodingKey { case nodes, problems, remarks, isGood = "is_good" }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(nodes, forKey: .nodes)
    try container.encode(problems, forKey: .problems)
    try container.encode(remarks, forKey: .remarks)
    try container.encode(isGood, forKey: .isGood)
  }
}
