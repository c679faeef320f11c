import Metadata
import Raft

/// What everybody has to agree on: the committed entries and the records among them, as they became known (reliability.md,
/// 2, 4, 7 and 8). All looks at it take constant time.
struct CommittedLog {
  /// A record as the log of everybody holds it.
  struct Record {
    var index: UInt64
    /// The first eight bytes of the chain's hash.
    var hash: UInt64
    /// One bit for each family of event.
    var families: UInt16

    func concerns(_ family: EventFamily?) -> Bool {
      guard let family else { return true }
      return families & CommittedLog.bit(family) != 0
    }
  }

  /// Terms of the committed entries, by index.
  private(set) var terms: [UInt32] = [0]
  /// Hashes of what they hold, by index; 0: not seen so far.
  private(set) var contents: [UInt64] = [0]
  /// The records, in order.
  private(set) var records: [Record] = []
  // Where a record stands among them, by index: one more, 0 for none.
  private var ordinals: [UInt32] = [0]
  /// The members by committed entry, in order; the first are those that the group began with.
  private(set) var members: [(index: UInt64, configuration: Configuration)] = []
  /// Hashes of snapshots, by index; looked up, never gone through.
  private var images: [UInt64: UInt64] = [:]

  var lastIndex: UInt64 { UInt64(terms.count - 1) }

  /// An entry is committed; false when it was committed with another term before.
  mutating func commit(_ index: UInt64, term: UInt64) -> Bool {
    if index <= lastIndex { return terms[Int(index)] == UInt32(term) }
    guard index == lastIndex + 1 else { return false }
    terms.append(UInt32(term))
    contents.append(0)
    ordinals.append(0)
    return true
  }

  /// What a committed entry holds; false when it held something else before.
  mutating func apply(_ entry: Entry) -> Bool {
    guard entry.index <= lastIndex, terms[Int(entry.index)] == UInt32(entry.term) else { return false }
    let hash = TraceHash.of(entry.payload) ^ UInt64(entry.kind.rawValue) | 1
    if contents[Int(entry.index)] == 0 {
      contents[Int(entry.index)] = hash
      if entry.kind == .configuration, let configuration = Configuration(encoded: entry.payload) {
        members.append((entry.index, configuration))
      }
    }
    return contents[Int(entry.index)] == hash
  }

  mutating func begin(with configuration: Configuration) { members = [(0, configuration)] }

  /// The members that the committed entries up to the index put in force, as far as entries were seen.
  func members(at index: UInt64) -> (index: UInt64, configuration: Configuration)? {
    members.last { $0.index <= index }
  }

  /// A record was folded into some node's image for the first time.
  mutating func add(_ record: Metadata.Record) {
    var families: UInt16 = 0
    for event in record.events { families |= Self.bit(event.family) }
    ordinals[Int(record.index)] = UInt32(records.count + 1)
    records.append(Record(index: record.index, hash: Self.short(record.hash), families: families))
  }

  /// The chain's hash at a record; nil when there is none at the index.
  func hash(at index: UInt64) -> UInt64? {
    guard index < UInt64(ordinals.count), ordinals[Int(index)] > 0 else { return nil }
    return records[Int(ordinals[Int(index)]) - 1].hash
  }

  /// How many records there are up to the index, which is a record's.
  func ordinal(after index: UInt64) -> Int {
    index < UInt64(ordinals.count) ? Int(ordinals[Int(index)]) : records.count
  }

  /// Whether a snapshot's bytes are those of every other snapshot at the index.
  mutating func agrees(snapshot bytes: [UInt8], at index: UInt64) -> Bool {
    let hash = TraceHash.of(bytes)
    guard let known = images[index] else {
      images[index] = hash
      return true
    }
    return known == hash
  }

  static func short(_ hash: RecordHash) -> UInt64 {
    hash.bytes.withUnsafeBytes { $0.count >= 8 ? $0.loadUnaligned(as: UInt64.self) : 0 }
  }

  static func bit(_ family: EventFamily) -> UInt16 {
    switch family {
    case .cluster: 1
    case .nodes: 2
    case .shards: 4
    case .catalog: 8
    case .roles: 16
    case .placement: 32
    case .notes: 64
    case .transactions: 128
    case .managers: 256
    case .migrations: 512
    case .sagas: 1_024
    }
  }
}
