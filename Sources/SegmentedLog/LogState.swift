import Raft

/// What a log must not lose with any one of its records, kept once more beside the segments: bit rot in one of the two
/// places leaves the other. Written when it changes, which is rare: a vote, a new segment, a snapshot.
struct LogState: Sendable, Equatable {
  /// The last segment that was begun: should its file be missing, that is noticed.
  var lastSegment: UInt64
  /// Term and vote.
  var hardState: HardState
  /// Start and snapshot of the log; nil where they are too long for the file.
  var base: LogBase?
  /// Up to where the log had promised to reach, while it does not.
  var promised: LogPosition?
  /// Where the log ended when it was closed; nil while it is open. So nothing that is missing then can pass for torn.
  var closedAt: LogPosition?

  fileprivate func encode(to writer: inout ByteWriter) {
    writer.integer(lastSegment)
    writer.integer(hardState.term)
    writer.integer(hardState.vote ?? 0)
    writer.integer(promised?.index ?? 0)
    writer.integer(promised?.term ?? 0)
    writer.integer(UInt8(closedAt == nil ? 0 : 1))
    writer.integer(closedAt?.index ?? 0)
    writer.integer(closedAt?.term ?? 0)
    writer.integer(UInt8(base == nil ? 0 : 1))
    base?.encode(to: &writer)
  }

  fileprivate init?(from reader: inout ByteReader) {
    guard let lastSegment = reader.integer(UInt64.self), let term = reader.integer(UInt64.self),
      let vote = reader.integer(UInt64.self), let promisedIndex = reader.integer(UInt64.self),
      let promisedTerm = reader.integer(UInt64.self), let isClosed = reader.integer(UInt8.self),
      let closedIndex = reader.integer(UInt64.self), let closedTerm = reader.integer(UInt64.self),
      let hasBase = reader.integer(UInt8.self)
    else { return nil }
    self.lastSegment = lastSegment
    hardState = HardState(term: term, vote: vote == 0 ? nil : vote)
    promised = promisedIndex == 0 ? nil : LogPosition(index: promisedIndex, term: promisedTerm)
    closedAt = isClosed == 1 ? LogPosition(index: closedIndex, term: closedTerm) : nil
    if hasBase == 1 {
      guard let base = LogBase(from: &reader) else { return nil }
      self.base = base
    }
  }

  init(
    lastSegment: UInt64, hardState: HardState, base: LogBase?, promised: LogPosition?, closedAt: LogPosition?
  ) {
    self.lastSegment = lastSegment
    self.hardState = hardState
    self.base = base
    self.promised = promised
    self.closedAt = closedAt
  }
}

/// The file `state`: two slots, written in turn, so that a torn write leaves the one before. A slot: checksum (UInt32),
/// length (UInt32), number of the write (UInt64), the log's identity, the state.
final class StateFile: Sendable {
  static let name = "state"
  static let slotBytes = 32 * 1024
  private static let blockBytes = 4096

  /// What the file holds.
  struct Found {
    var state: LogState?
    var identity: LogIdentity?
    /// How many writes there were.
    var writes: UInt64 = 0
    /// A slot is neither empty nor whole: torn by a crash, or damaged.
    var isDamaged = false
  }

  private let file: any LogFile

  init(file: any LogFile) { self.file = file }

  /// Creates the file, empty.
  static func create(on disk: any LogDisk) throws(LogStoreError) -> StateFile {
    let file = try disk.create(name, sizeBytes: 2 * slotBytes)
    try file.synchronize()
    try disk.synchronizeDirectory()
    return StateFile(file: file)
  }

  /// Writes durably; `number` is one above that of the write before.
  func write(_ state: LogState, identity: LogIdentity, number: UInt64) throws(LogStoreError) {
    var bytes = Self.encode(state, identity, number)
    if bytes.count > Self.slotBytes {
      var shorter = state
      shorter.base = nil
      bytes = Self.encode(shorter, identity, number)
    }
    // In whole blocks: nothing of a longer state before it stays behind.
    bytes += [UInt8](repeating: 0, count: (Self.blockBytes - bytes.count % Self.blockBytes) % Self.blockBytes)
    try file.write(bytes, at: Int(number % 2) * Self.slotBytes)
    try file.synchronize()
  }

  private static func encode(_ state: LogState, _ identity: LogIdentity, _ number: UInt64) -> [UInt8] {
    var body = ByteWriter()
    body.integer(number)
    body.bytes(identity.encoded)
    state.encode(to: &body)
    var slot = ByteWriter()
    slot.integer(body.result.withUnsafeBytes { CRC32C.checksum($0) })
    slot.integer(UInt32(body.result.count))
    slot.raw(body.result)
    return slot.result
  }

  /// Reads the file: the state of the latest write that is whole.
  func read(path: String) -> Found {
    var found = Found()
    for slot in 0..<2 {
      var bytes = [UInt8](repeating: 0, count: Self.slotBytes)
      guard let count = try? file.read(&bytes, at: slot * Self.slotBytes) else {
        found.isDamaged = true
        continue
      }
      if count == Self.slotBytes, bytes.prefix(16).allSatisfy({ $0 == 0 }) { continue }
      guard let (number, identity, state) = Self.decode(bytes[..<count], path: path) else {
        found.isDamaged = true
        continue
      }
      if number > found.writes { (found.writes, found.identity, found.state) = (number, identity, state) }
    }
    return found
  }

  /// Where copies begin of which a byte is not as it must be: neither empty nor whole, or with something behind it.
  func damagedSlots(path: String) -> [Int] {
    var damaged: [Int] = []
    for slot in 0..<2 {
      var bytes = [UInt8](repeating: 0, count: Self.slotBytes)
      guard let count = try? file.read(&bytes, at: slot * Self.slotBytes), count == bytes.count else {
        damaged.append(slot * Self.slotBytes)
        continue
      }
      var end = 0
      if !bytes.prefix(16).allSatisfy({ $0 == 0 }) {
        guard Self.decode(bytes[...], path: path) != nil else {
          damaged.append(slot * Self.slotBytes)
          continue
        }
        end = 8 + Int(bytes[4]) + Int(bytes[5]) << 8 + Int(bytes[6]) << 16
      }
      if let behind = bytes[end...].firstIndex(where: { $0 != 0 }) { damaged.append(slot * Self.slotBytes + behind) }
    }
    return damaged
  }

  private static func decode(
    _ slot: ArraySlice<UInt8>, path: String
  ) -> (number: UInt64, identity: LogIdentity, state: LogState)? {
    var head = ByteReader(slot)
    guard let checksum = head.integer(UInt32.self), let length = head.integer(UInt32.self), length <= slot.count - 8
    else { return nil }
    let body = slot.dropFirst(8).prefix(Int(length))
    guard body.withUnsafeBytes({ CRC32C.checksum($0) }) == checksum else { return nil }
    var reader = ByteReader(body)
    guard let number = reader.integer(UInt64.self), let stamp = reader.bytes(),
      let identity = try? LogIdentity(encoded: stamp, path: path), let state = LogState(from: &reader), reader.isAtEnd
    else { return nil }
    return (number, identity, state)
  }
}
