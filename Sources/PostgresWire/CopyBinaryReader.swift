import SQLTypes

/// Reads COPY's binary format, as the bytes come (PostgreSQL 15 manual, COPY, Binary Format).
struct CopyBinaryReader: Sendable {
  private enum Stage: Sendable {
    case header
    case rows
    case trailer
  }

  /// The eleven bytes at the start.
  static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00]

  private let columns: [CopyColumn]
  private let context: ConversionContext
  private var stage = Stage.header
  private var buffer: [UInt8] = []
  private var offset = 0
  /// Bytes that the row being waited for needs at least: it is not looked at again before they are there.
  private var neededBytes = 0
  private var isFinished = false
  /// The row being read, from 1.
  private(set) var rowNumber = 0
  /// The column whose value is wrong.
  private(set) var failedColumn: Int?

  init(columns: [CopyColumn], context: ConversionContext) {
    self.columns = columns
    self.context = context
  }

  /// Adds data.
  mutating func append(_ bytes: some Collection<UInt8>) {
    if offset > 0, offset >= buffer.count - offset {
      buffer.removeSubrange(..<offset)
      offset = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// No more data comes.
  mutating func finish() { isFinished = true }

  /// The next row, nil where none is whole.
  mutating func next() throws(SQLError) -> [StoredValue]? {
    if stage == .header, try !readHeader() { return nil }
    if stage == .trailer {
      if buffer.count > offset { throw SQLError(.badCopyFileFormat, "received copy data after EOF marker") }
      return nil
    }
    guard buffer.count - offset >= max(2, neededBytes) else { return try incomplete() }
    let count = int16(at: offset)
    if count == -1 {
      offset += 2
      stage = .trailer
      return try next()
    }
    rowNumber += 1
    guard count == columns.count else {
      throw SQLError(.badCopyFileFormat, "row field count is \(count), expected \(columns.count)")
    }
    guard let ranges = try fieldRanges() else {
      rowNumber -= 1
      return try incomplete()
    }
    var row: [StoredValue] = []
    row.reserveCapacity(columns.count)
    for (index, range) in ranges.enumerated() {
      guard let range else {
        row.append(.null)
        continue
      }
      failedColumn = index
      row.append(try WireValue.decode(buffer[range], as: columns[index].type, format: .binary, context))
    }
    failedColumn = nil
    return row
  }

  /// Where the row's values lie, its bytes then used; nil where it is not whole.
  private mutating func fieldRanges() throws(SQLError) -> [Range<Int>?]? {
    var place = offset + 2
    var ranges: [Range<Int>?] = []
    ranges.reserveCapacity(columns.count)
    for _ in columns {
      guard buffer.count - place >= 4 else {
        neededBytes = place + 4 - offset
        return nil
      }
      let length = int32(at: place)
      place += 4
      if length == -1 {
        ranges.append(nil)
        continue
      }
      guard length >= 0, length <= CopyLineReader.maximumLineBytes else {
        throw SQLError(.badCopyFileFormat, "invalid field size")
      }
      guard buffer.count - place >= length else {
        neededBytes = place + length - offset
        return nil
      }
      ranges.append(place..<place + length)
      place += length
    }
    offset = place
    neededBytes = 0
    return ranges
  }

  private mutating func readHeader() throws(SQLError) -> Bool {
    let fixedBytes = Self.signature.count + 8
    let known = min(buffer.count, Self.signature.count)
    guard buffer[..<known].elementsEqual(Self.signature[..<known]) else {
      throw SQLError(.badCopyFileFormat, "COPY file signature not recognized")
    }
    guard buffer.count >= fixedBytes else {
      if isFinished { throw SQLError(.badCopyFileFormat, "COPY file signature not recognized") }
      return false
    }
    let flags = UInt32(bitPattern: Int32(int32(at: Self.signature.count)))
    guard flags & 1 << 16 == 0 else {
      throw SQLError(.badCopyFileFormat, "invalid COPY file header (WITH OIDS)")
    }
    guard flags >> 16 == 0 else {
      throw SQLError(.badCopyFileFormat, "unrecognized critical flags in COPY file header")
    }
    let extensionBytes = int32(at: Self.signature.count + 4)
    guard extensionBytes >= 0, extensionBytes <= 1 << 20 else {
      throw SQLError(.badCopyFileFormat, "invalid COPY file header (wrong length)")
    }
    guard buffer.count >= fixedBytes + extensionBytes else {
      if isFinished { throw SQLError(.badCopyFileFormat, "invalid COPY file header (wrong length)") }
      return false
    }
    offset = fixedBytes + extensionBytes
    stage = .rows
    return true
  }

  private func incomplete() throws(SQLError) -> [StoredValue]? {
    // The trailer may be missing, a row may not be cut.
    if isFinished, buffer.count > offset {
      throw SQLError(.badCopyFileFormat, "unexpected EOF in COPY data")
    }
    return nil
  }

  private func int16(at place: Int) -> Int {
    Int(Int16(bitPattern: UInt16(buffer[place]) << 8 | UInt16(buffer[place + 1])))
  }

  private func int32(at place: Int) -> Int {
    let value = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Int32.self) }
    return Int(Int32(bigEndian: value))
  }
}
