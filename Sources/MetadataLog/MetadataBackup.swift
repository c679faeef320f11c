import Metadata
import MetadataWire

/// A backup of the metadata as bytes: a line that names the format, then frames.
///
///     1 byte    what it is: H (header, text), I (a piece of the image, as in a snapshot), R (records), E (the end)
///     4 bytes   length of the content, little-endian
///     content   of R: records, each index, term (8 bytes), length (4 bytes), body as it was logged
///     32 bytes  SHA-256 of the digest of the frame before (zeros at the first), the five bytes, and the content
///
/// The digests are a chain: the last one stands for the whole file. A flipped, missing or moved byte is found in its frame.
package enum MetadataBackup {
  /// Names the format and its version.
  static let magic = Array("kunlog metadata backup 1\n".utf8)
  static let maximumFrameBytes = 96 * 1024 * 1024

  enum FrameKind: UInt8 {
    case header = 0x48
    case image = 0x49
    case records = 0x52
    case end = 0x45
  }

  /// What a backup is of.
  package struct Header: Sendable, Equatable {
    package var clusterID: ClusterID
    package var clusterName: String
    /// The record that the image is the state after.
    package var index: UInt64
    package var hash: RecordHash
    /// No record in it has a higher term.
    package var term: UInt64
    /// Whether records follow the image; 0 where the first of them is the log's first, else the record before it.
    package var historyAfter: UInt64?
    /// When it was made, microseconds since 1970-01-01 UTC, and by whom.
    package var timeMicroseconds: Int64
    package var principal: String

    package init(
      clusterID: ClusterID, clusterName: String, index: UInt64, hash: RecordHash, term: UInt64, historyAfter: UInt64?,
      timeMicroseconds: Int64, principal: String
    ) {
      self.clusterID = clusterID
      self.clusterName = clusterName
      self.index = index
      self.hash = hash
      self.term = term
      self.historyAfter = historyAfter
      self.timeMicroseconds = timeMicroseconds
      self.principal = principal
    }
  }

  /// Why bytes are no backup, or not a whole one.
  package struct Damaged: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where in the file the part begins that is not as it was written.
    package let offset: Int
    package let reason: String
    package init(offset: Int, reason: String) {
      self.offset = offset
      self.reason = reason
    }
    package var description: String { "at byte \(offset): \(reason)" }
  }

  /// Makes a backup, piece by piece: the header, the image, the records in their order, the end.
  package struct Writer: Sendable {
    private var digest = [UInt8](repeating: 0, count: RecordHash.lengthBytes)
    private var waiting: [UInt8] = []
    private var records: UInt64 = 0
    private static let recordsBytes = 256 * 1024

    package init() {}

    /// The digest that stands for all that was made so far.
    package var checksum: [UInt8] { digest }

    package mutating func begin(_ header: Header) -> [UInt8] { magic + frame(.header, header.bytes) }

    /// A piece of a snapshot of the image (`ImageSnapshot.Writer`).
    package mutating func image(_ piece: [UInt8]) -> [UInt8] { frame(.image, piece) }

    /// Takes the next record; bytes once there are enough.
    /// - Throws: where its body cannot be made again as it was logged.
    package mutating func add(_ record: Record) throws(WireError) -> [UInt8]? {
      let body = try RecordBody(
        after: record.previousIndex, record.previousHash, timeMicroseconds: record.timeMicroseconds,
        principal: record.principal, requestID: record.requestID, cause: record.cause, events: record.events
      ).encoded()
      guard RecordHash.of(index: record.index, term: record.term, body: body) == record.hash else {
        throw .corrupt("record \(record.index): this program does not know all that is in it")
      }
      append(record.index, bytes: 8)
      append(record.term, bytes: 8)
      append(UInt64(body.count), bytes: 4)
      waiting += body
      records += 1
      return waiting.count >= Self.recordsBytes ? flush() : nil
    }

    /// The rest.
    package mutating func end() -> [UInt8] {
      let rest = waiting.isEmpty ? [] : flush()
      append(records, bytes: 8)
      let counts = waiting
      waiting = []
      return rest + frame(.end, counts)
    }

    private mutating func flush() -> [UInt8] {
      let content = waiting
      waiting = []
      return frame(.records, content)
    }

    private mutating func append(_ value: UInt64, bytes: UInt64) {
      for shift in stride(from: UInt64(0), to: bytes * 8, by: 8) {
        waiting.append(UInt8(truncatingIfNeeded: value >> shift))
      }
    }

    private mutating func frame(_ kind: FrameKind, _ content: [UInt8]) -> [UInt8] {
      var head = [kind.rawValue]
      for shift in stride(from: 0, to: 32, by: 8) { head.append(UInt8(truncatingIfNeeded: content.count >> shift)) }
      digest = MetadataBackup.digest(digest + head, content[...])
      return head + content + digest
    }
  }

  static func digest(_ before: [UInt8], _ content: ArraySlice<UInt8>) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: RecordHash.lengthBytes)
    before.withUnsafeBytes { before in
      content.withUnsafeBytes { content in
        result.withUnsafeMutableBytes { SHA256.digest(before, content, into: $0) }
      }
    }
    return result
  }
}

extension MetadataBackup.Header {
  /// A word and its value per line.
  var bytes: [UInt8] {
    var lines = [
      "cluster \(hexadecimal(clusterID.rawValue))", "name \(clusterName.filter { !$0.isNewline })", "index \(index)",
      "hash \(hash)", "term \(term)", "time \(timeMicroseconds)", "principal \(principal.filter { !$0.isNewline })",
    ]
    if let historyAfter { lines.append("history-after \(historyAfter)") }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  init?(bytes: [UInt8]) {
    var values: [String: String] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      values[String(words[0])] = words.count > 1 ? String(words[1]) : ""
    }
    guard let cluster = values["cluster"].flatMap(Self.binary), cluster.count == 16,
      let index = values["index"].flatMap({ UInt64($0) }),
      let hash = values["hash"].flatMap(Self.binary).flatMap({ RecordHash($0) }),
      let term = values["term"].flatMap({ UInt64($0) }), let time = values["time"].flatMap({ Int64($0) })
    else { return nil }
    self.init(
      clusterID: ClusterID(rawValue: cluster), clusterName: values["name"] ?? "", index: index, hash: hash, term: term,
      historyAfter: values["history-after"].flatMap { UInt64($0) }, timeMicroseconds: time,
      principal: values["principal"] ?? "")
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  private static func binary(_ text: String) -> [UInt8]? {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == text.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }
}
