import FoundationEssentials
import Raft

/// Entries on the wire: the message EntryBatch of raft.proto, coded by hand, since entries come by the hundred thousand and the
/// generated code needs several blocks of memory for each.
enum EntryBatch {
  // Tags of protobuf: the field's number and the wire type (0 varint, 2 bytes).
  private static let entryTag: UInt8 = 1 << 3 | 2
  private static let termTag: UInt8 = 1 << 3
  private static let kindTag: UInt8 = 2 << 3
  private static let payloadTag: UInt8 = 3 << 3 | 2

  /// The batch's bytes; fields that have their default are left out, as protobuf does.
  static func encode(_ entries: [Entry]) -> Data {
    guard !entries.isEmpty else { return Data() }
    let count = entries.reduce(0) { $0 + 1 + prefixedSize(bodySize($1)) }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    var writer = Writer(memory: memory)
    for entry in entries {
      writer.byte(entryTag)
      writer.varint(UInt64(bodySize(entry)))
      if entry.term != 0 {
        writer.byte(termTag)
        writer.varint(entry.term)
      }
      if entry.kind != .command {
        writer.byte(kindTag)
        writer.varint(UInt64(entry.kind.rawValue))
      }
      guard !entry.payload.isEmpty else { continue }
      writer.byte(payloadTag)
      writer.varint(UInt64(entry.payload.count))
      entry.payload.withUnsafeBytes { writer.append($0) }
    }
    assert(writer.position == count)
    return Data(bytesNoCopy: memory.baseAddress!, count: count, deallocator: .custom { start, _ in start.deallocate() })
  }

  /// The entries that follow the one at an index.
  static func decode(_ data: Data, after previousIndex: UInt64) throws(MalformedMessage) -> [Entry] {
    let result = data.withUnsafeBytes { bytes in
      Result { () throws(MalformedMessage) in try decode(bytes, after: previousIndex) }
    }
    return try result.get()
  }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, after previousIndex: UInt64
  ) throws(MalformedMessage) -> [Entry] {
    var entries: [Entry] = []
    var index = previousIndex
    var reader = Reader(bytes: bytes)
    while let tag = try reader.tag() {
      guard tag == UInt64(entryTag) else {
        try reader.skip(tag)
        continue
      }
      index += 1
      entries.append(try decodeEntry(try reader.slice(), at: index))
    }
    return entries
  }

  private static func decodeEntry(
    _ bytes: UnsafeRawBufferPointer, at index: UInt64
  ) throws(MalformedMessage) -> Entry {
    var entry = Entry(index: index, term: 0)
    var reader = Reader(bytes: bytes)
    while let tag = try reader.tag() {
      switch tag {
      case UInt64(termTag): entry.term = try reader.varint()
      case UInt64(kindTag):
        let number = try reader.varint()
        guard let kind = UInt8(exactly: number).flatMap(Entry.Kind.init) else {
          throw MalformedMessage(description: "an entry of kind \(number), which this version does not know")
        }
        entry.kind = kind
      case UInt64(payloadTag): entry.payload = [UInt8](try reader.slice())
      default: try reader.skip(tag)
      }
    }
    return entry
  }

  private static func bodySize(_ entry: Entry) -> Int {
    (entry.term == 0 ? 0 : 1 + varintSize(entry.term)) + (entry.kind == .command ? 0 : 2)
      + (entry.payload.isEmpty ? 0 : 1 + prefixedSize(entry.payload.count))
  }

  private static func prefixedSize(_ count: Int) -> Int { varintSize(UInt64(count)) + count }

  private static func varintSize(_ value: UInt64) -> Int { max(1, (70 - value.leadingZeroBitCount) / 7) }

  /// Writes into memory whose size was reckoned beforehand.
  private struct Writer {
    let memory: UnsafeMutableRawBufferPointer
    var position = 0

    init(memory: UnsafeMutableRawBufferPointer) { self.memory = memory }

    mutating func byte(_ value: UInt8) {
      memory[position] = value
      position += 1
    }

    mutating func varint(_ value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        byte(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      byte(UInt8(truncatingIfNeeded: rest))
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
      UnsafeMutableRawBufferPointer(rebasing: memory[position...]).copyMemory(from: bytes)
      position += bytes.count
    }
  }

  /// Reads what a peer has sent: anything may come.
  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// nil at the end.
    mutating func tag() throws(MalformedMessage) -> UInt64? { position < bytes.count ? try varint() : nil }

    mutating func varint() throws(MalformedMessage) -> UInt64 {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while position < bytes.count, shift < 64 {
        let byte = bytes[position]
        position += 1
        value |= UInt64(byte & 0x7f) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
      throw MalformedMessage(description: "entries that are cut off")
    }

    mutating func slice() throws(MalformedMessage) -> UnsafeRawBufferPointer {
      let length = try varint()
      guard length <= UInt64(bytes.count - position) else {
        throw MalformedMessage(description: "entries that are cut off")
      }
      let start = position
      position += Int(length)
      return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
    }

    /// Passes over a field that this version does not know.
    mutating func skip(_ tag: UInt64) throws(MalformedMessage) {
      switch tag & 7 {
      case 0: _ = try varint()
      case 1: try advance(8)
      case 2: _ = try slice()
      case 5: try advance(4)
      default: throw MalformedMessage(description: "entries of an unknown wire type")
      }
    }

    private mutating func advance(_ count: Int) throws(MalformedMessage) {
      guard bytes.count - position >= count else { throw MalformedMessage(description: "entries that are cut off") }
      position += count
    }
  }
}

/// The batch that was encoded last: followers that keep up are sent the same entries.
struct EncodedEntries {
  // By the log matching property, two entries of a log and what lies between are known by index and term of the last.
  private var firstIndex: UInt64 = 0
  private var lastIndex: UInt64 = 0
  private var lastTerm: UInt64 = 0
  private var data = Data()

  /// The bytes of these entries.
  mutating func data(of entries: [Entry]) -> Data {
    guard let first = entries.first, let last = entries.last else { return Data() }
    guard first.index != firstIndex || last.index != lastIndex || last.term != lastTerm else { return data }
    (firstIndex, lastIndex, lastTerm) = (first.index, last.index, last.term)
    data = EntryBatch.encode(entries)
    return data
  }
}
