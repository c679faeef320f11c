import SQLTypes

/// Cuts one line of COPY's data into fields, escapes resolved.
struct CopyFieldSplitter: Sendable {
  /// One field; its bytes lie in the splitter's buffer until the next line.
  struct Field: Sendable {
    let range: Range<Int>
    let isNull: Bool
  }

  private let options: CopyOptions
  private let forceNotNull: [Bool]
  private let forceNull: [Bool]
  private(set) var bytes: [UInt8] = []
  private(set) var fields: [Field] = []

  init(_ options: CopyOptions, columns: [CopyColumn]) {
    self.options = options
    forceNotNull = columns.map { options.forceNotNull.contains($0.name) }
    forceNull = columns.map { options.forceNull.contains($0.name) }
  }

  /// Splits a line.
  mutating func split(_ line: ArraySlice<UInt8>) throws(SQLError) {
    bytes.removeAll(keepingCapacity: true)
    fields.removeAll(keepingCapacity: true)
    if options.format == .csv { try splitCSV(line) } else { splitText(line) }
  }

  private mutating func splitText(_ line: ArraySlice<UInt8>) {
    var index = line.startIndex
    while true {
      let start = index
      let place = bytes.count
      while index < line.endIndex, line[index] != options.delimiter {
        if line[index] == UInt8(ascii: "\\"), index + 1 < line.endIndex {
          index = appendEscape(line, at: index + 1)
        } else {
          bytes.append(line[index])
          index += 1
        }
      }
      // The null string is compared before escapes are resolved.
      let isNull = line[start..<index].elementsEqual(options.null)
      fields.append(Field(range: place..<bytes.count, isNull: isNull))
      guard index < line.endIndex else { return }
      index += 1
    }
  }

  /// Resolves the escape whose backslash stands before `index`; returns where the text goes on.
  private mutating func appendEscape(_ line: ArraySlice<UInt8>, at index: Int) -> Int {
    let byte = line[index]
    switch byte {
    case UInt8(ascii: "b"): bytes.append(8)
    case UInt8(ascii: "f"): bytes.append(12)
    case UInt8(ascii: "n"): bytes.append(10)
    case UInt8(ascii: "r"): bytes.append(13)
    case UInt8(ascii: "t"): bytes.append(9)
    case UInt8(ascii: "v"): bytes.append(11)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      return appendNumber(line, from: index, digits: 3, radix: 8)
    case UInt8(ascii: "x"):
      guard index + 1 < line.endIndex, Self.digit(line[index + 1]) < 16 else {
        bytes.append(byte)
        return index + 1
      }
      return appendNumber(line, from: index + 1, digits: 2, radix: 16)
    default: bytes.append(byte)
    }
    return index + 1
  }

  private mutating func appendNumber(_ line: ArraySlice<UInt8>, from start: Int, digits: Int, radix: Int) -> Int {
    var index = start
    var value = 0
    while index < line.endIndex, index < start + digits, Self.digit(line[index]) < radix {
      value = value * radix + Self.digit(line[index])
      index += 1
    }
    bytes.append(UInt8(truncatingIfNeeded: value))
    return index
  }

  private static func digit(_ byte: UInt8) -> Int {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
    default: Int.max
    }
  }

  private mutating func splitCSV(_ line: ArraySlice<UInt8>) throws(SQLError) {
    var index = line.startIndex
    while true {
      let place = bytes.count
      var wasQuoted = false
      var isInQuotes = false
      while index < line.endIndex {
        let byte = line[index]
        if isInQuotes {
          if byte == options.escape, index + 1 < line.endIndex,
            line[index + 1] == options.quote || line[index + 1] == options.escape
          {
            bytes.append(line[index + 1])
            index += 2
            continue
          }
          if byte == options.quote { isInQuotes = false } else { bytes.append(byte) }
        } else if byte == options.delimiter {
          break
        } else if byte == options.quote {
          isInQuotes = true
          wasQuoted = true
        } else {
          bytes.append(byte)
        }
        index += 1
      }
      if isInQuotes { throw SQLError(.badCopyFileFormat, "unterminated CSV quoted field") }
      appendCSVField(place..<bytes.count, wasQuoted: wasQuoted)
      guard index < line.endIndex else { return }
      index += 1
    }
  }

  private mutating func appendCSVField(_ range: Range<Int>, wasQuoted: Bool) {
    let column = fields.count
    let isNullString = bytes[range].elementsEqual(options.null)
    let mayBeNull =
      wasQuoted
      ? column < forceNull.count && forceNull[column]
      : !(column < forceNotNull.count && forceNotNull[column])
        || (column < forceNull.count && forceNull[column])
    fields.append(Field(range: range, isNull: isNullString && mayBeNull))
  }
}
