import Raft

/// The bytes of records. A record begins at a multiple of 8:
///
///     0  UInt32  checksum, CRC-32C of the log's identity, the segment's number, and all that follows here
///     4  UInt32  length of the body
///     8  UInt32  offset at which the record's batch begins: all before it was durable when the batch was written
///     12 UInt8   type;  13 UInt8 kind of entry;  14 UInt16 zero
///     16 UInt64  index (entry, mark, promise); vote or zero (hard state)
///     24 UInt64  term (entry, mark, promise, hard state)
///     32         body, then zeros up to a multiple of 8
///
/// The seed of the checksum makes what a recycled file still holds, and what belongs elsewhere, no records. The batch's
/// offset tells a torn write from damage: a bad record is torn only if no later batch was begun after it.
package struct RecordCodec: Sendable {
  /// Bytes before the body.
  package static let headLength = 32
  private static let alignment = 8

  private enum RecordType: UInt8 {
    case header = 1
    case entry, hardState, compaction, reset, mark, promise
  }

  private let seed: UInt32

  /// The records of one segment of one log.
  package init(identity: LogIdentity, segment: UInt64) {
    var sum = CRC32C(continuing: identity.checksumSeed)
    withUnsafeBytes(of: segment.littleEndian) { sum.update($0) }
    seed = sum.value
  }

  /// How many bytes a record takes.
  package static func encodedLength(bodyLength: Int) -> Int {
    (headLength + bodyLength + alignment - 1) / alignment * alignment
  }

  /// Appends a record to a buffer whose start is aligned.
  package func encode(_ record: LogRecord, batchOffset: Int, to buffer: inout [UInt8]) {
    let start = buffer.count
    let (type, kind, index, term, body) = Self.parts(of: record)
    buffer.reserveCapacity(start + Self.encodedLength(bodyLength: body.count))
    Self.append(UInt32(0), to: &buffer)
    Self.append(UInt32(body.count), to: &buffer)
    Self.append(UInt32(batchOffset), to: &buffer)
    buffer.append(type.rawValue)
    buffer.append(kind)
    Self.append(UInt16(0), to: &buffer)
    Self.append(index, to: &buffer)
    Self.append(term, to: &buffer)
    buffer.append(contentsOf: body)
    while buffer.count % Self.alignment != 0 { buffer.append(0) }
    let end = start + Self.headLength + body.count
    let seed = seed
    buffer.withUnsafeMutableBytes { bytes in
      var sum = CRC32C(continuing: seed)
      sum.update(UnsafeRawBufferPointer(rebasing: bytes[(start + 4)..<end]))
      bytes.storeBytes(of: sum.value.littleEndian, toByteOffset: start, as: UInt32.self)
    }
  }

  private static func parts(of record: LogRecord) -> (RecordType, UInt8, UInt64, UInt64, [UInt8]) {
    switch record {
    case .header(let header): return (.header, 0, 0, 0, header.encoded)
    case .entry(let entry): return (.entry, entry.kind.rawValue, entry.index, entry.term, entry.payload)
    case .hardState(let state): return (.hardState, 0, state.vote ?? 0, state.term, [])
    case .compaction(let base), .reset(let base):
      var writer = ByteWriter()
      base.encode(to: &writer)
      if case .reset = record { return (.reset, 0, 0, 0, writer.result) }
      return (.compaction, 0, 0, 0, writer.result)
    case .mark(let position): return (.mark, 0, position.index, position.term, [])
    case .promise(let position, let keeping):
      var writer = ByteWriter()
      writer.integer(keeping.index)
      writer.integer(keeping.term)
      return (.promise, 0, position.index, position.term, writer.result)
    }
  }

  private static func append<T: FixedWidthInteger>(_ value: T, to buffer: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
  }

  /// A record found in a segment.
  package struct Found {
    /// What it says.
    package var record: LogRecord
    /// Where its batch begins.
    package var batchOffset: Int
    /// Where the next record begins.
    package var endOffset: Int
  }

  /// The record at an aligned offset; nil when there is none that is whole.
  package func decode(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Found? {
    guard let length = checkedLength(bytes, at: offset) else { return nil }
    func load<T: FixedWidthInteger>(_ position: Int, _ type: T.Type) -> T {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + position, as: type))
    }
    let index = load(16, UInt64.self)
    let term = load(24, UInt64.self)
    let body = Array(bytes[(offset + Self.headLength)..<(offset + Self.headLength + length)])
    let record: LogRecord
    switch RecordType(rawValue: bytes[offset + 12]) {
    case .header:
      guard let header = SegmentHeader(encoded: body) else { return nil }
      record = .header(header)
    case .entry:
      guard let kind = Entry.Kind(rawValue: bytes[offset + 13]) else { return nil }
      record = .entry(Entry(index: index, term: term, kind: kind, payload: body))
    case .hardState: record = .hardState(HardState(term: term, vote: index == 0 ? nil : index))
    case .compaction, .reset:
      var reader = ByteReader(body[...])
      guard let base = LogBase(from: &reader), reader.isAtEnd else { return nil }
      record = bytes[offset + 12] == RecordType.reset.rawValue ? .reset(base) : .compaction(base)
    case .mark: record = .mark(LogPosition(index: index, term: term))
    case .promise:
      var reader = ByteReader(body[...])
      guard let keptIndex = reader.integer(UInt64.self), let keptTerm = reader.integer(UInt64.self), reader.isAtEnd
      else { return nil }
      record = .promise(
        LogPosition(index: index, term: term), keeping: LogPosition(index: keptIndex, term: keptTerm))
    case nil: return nil
    }
    return Found(
      record: record, batchOffset: Int(load(8, UInt32.self)),
      endOffset: offset + Self.encodedLength(bodyLength: length))
  }

  /// The last place of a whole record after an offset: where it ends, and the greatest start of a batch that any of
  /// them names. Nil when none follows.
  func lastRecord(_ bytes: UnsafeRawBufferPointer, after offset: Int) -> (endOffset: Int, batchOffset: Int)? {
    var result: (endOffset: Int, batchOffset: Int)?
    var position = (offset + Self.alignment - 1) / Self.alignment * Self.alignment
    while position + Self.headLength <= bytes.count {
      if bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) != 0,
        let length = checkedLength(bytes, at: position)
      {
        let batch = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position + 8, as: UInt32.self)))
        position += Self.encodedLength(bodyLength: length)
        result = (position, max(batch, result?.batchOffset ?? 0))
      } else {
        position += Self.alignment
      }
    }
    return result
  }

  /// Where the next whole record begins, from an aligned offset up to a bound; nil when there is none.
  func nextRecord(_ bytes: UnsafeRawBufferPointer, from offset: Int, before bound: Int) -> Int? {
    var position = (offset + Self.alignment - 1) / Self.alignment * Self.alignment
    while position + Self.headLength <= bound {
      if bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) != 0, checkedLength(bytes, at: position) != nil
      {
        return position
      }
      position += Self.alignment
    }
    return nil
  }

  /// The header of a segment, read from its file alone; nil when it is not whole.
  func header(of file: any LogFile) throws(LogStoreError) -> SegmentHeader? {
    var head = [UInt8](repeating: 0, count: Self.headLength)
    guard try file.read(&head, at: 0) == head.count else { return nil }
    let length = head.withUnsafeBytes {
      Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }
    guard length <= 1 << 24 else { return nil }
    var bytes = [UInt8](repeating: 0, count: Self.headLength + length)
    guard try file.read(&bytes, at: 0) == bytes.count else { return nil }
    guard case .header(let header)? = bytes.withUnsafeBytes({ decode($0, at: 0) })?.record else { return nil }
    return header
  }

  func checkedLength(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int? {
    guard offset + Self.headLength <= bytes.count else { return nil }
    let type = bytes[offset + 12]
    guard type >= 1, type <= RecordType.promise.rawValue else { return nil }
    let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)))
    guard length <= bytes.count - offset - Self.headLength else { return nil }
    let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    var sum = CRC32C(continuing: seed)
    sum.update(UnsafeRawBufferPointer(rebasing: bytes[(offset + 4)..<(offset + Self.headLength + length)]))
    return sum.value == checksum ? length : nil
  }
}
