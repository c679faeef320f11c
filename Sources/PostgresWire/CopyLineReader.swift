import SQLTypes

/// Cuts COPY's text or CSV data into lines, as the bytes come.
///
/// Invariants: every byte is looked at once, however the data is cut into messages; what is kept is one unfinished line
/// plus what one `append` adds.
struct CopyLineReader: Sendable {
  /// How lines end; the first line decides for all.
  enum LineEnd: Sendable, Equatable {
    case unknown
    case newline
    case carriageReturn
    case both
  }

  /// Longest line.
  static let maximumLineBytes = 64 << 20

  private let isCSV: Bool
  private let quote: UInt8
  /// nil where it is the quote itself, doubled: then quotes toggle and need no memory.
  private let escape: UInt8?
  private(set) var buffer: [UInt8] = []
  private var lineStart = 0
  private var scanned = 0
  private var isInQuotes = false
  private var lastWasEscape = false
  private var lineEnd = LineEnd.unknown
  private var isFinished = false
  /// Lines given out, the one being scanned included; from 1.
  private(set) var lineNumber = 0

  init(_ options: CopyOptions) {
    isCSV = options.format == .csv
    quote = options.quote
    escape = options.escape == options.quote ? nil : options.escape
  }

  /// Adds data.
  mutating func append(_ bytes: some Collection<UInt8>) {
    if lineStart > 0, lineStart >= buffer.count - lineStart {
      buffer.removeSubrange(..<lineStart)
      scanned -= lineStart
      lineStart = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// No more data comes.
  mutating func finish() { isFinished = true }

  /// The next line without its end, as a range of `buffer` that holds until the next `append`; nil where none is whole.
  mutating func next() throws(SQLError) -> Range<Int>? {
    while scanned < buffer.count {
      let byte = buffer[scanned]
      if isCSV, isInQuotes || byte == quote {
        advanceQuoted(byte)
        continue
      }
      switch byte {
      case UInt8(ascii: "\\") where !isCSV:
        // The next byte is data, even a line end.
        guard scanned + 1 < buffer.count || isFinished else { return nil }
        scanned = min(scanned + 2, buffer.count)
      case UInt8(ascii: "\n"):
        guard lineEnd == .unknown || lineEnd == .newline else { throw misplaced("newline", "\\n") }
        lineEnd = .newline
        return takeLine(endBytes: 1)
      case UInt8(ascii: "\r"):
        guard let range = try carriageReturn() else { return nil }
        return range
      default: scanned += 1
      }
    }
    guard buffer.count - lineStart <= Self.maximumLineBytes else {
      throw SQLError(.programLimitExceeded, "COPY line is longer than \(Self.maximumLineBytes) bytes")
    }
    guard isFinished, lineStart < buffer.count else { return nil }
    if isInQuotes {
      lineNumber += 1
      throw SQLError(.badCopyFileFormat, "unterminated CSV quoted field")
    }
    // The last line may lack its end.
    return takeLine(endBytes: 0)
  }

  private mutating func advanceQuoted(_ byte: UInt8) {
    if let escape, isInQuotes, byte == escape {
      lastWasEscape.toggle()
    } else {
      if byte == quote, !lastWasEscape { isInQuotes.toggle() }
      lastWasEscape = false
    }
    scanned += 1
  }

  private mutating func carriageReturn() throws(SQLError) -> Range<Int>? {
    switch lineEnd {
    case .newline: throw misplaced("carriage return", "\\r")
    case .carriageReturn: return takeLine(endBytes: 1)
    case .unknown, .both:
      guard scanned + 1 < buffer.count || isFinished else { return nil }
      let isBoth = scanned + 1 < buffer.count && buffer[scanned + 1] == UInt8(ascii: "\n")
      if lineEnd == .both, !isBoth { throw misplaced("carriage return", "\\r") }
      lineEnd = isBoth ? .both : .carriageReturn
      return takeLine(endBytes: isBoth ? 2 : 1)
    }
  }

  private mutating func takeLine(endBytes: Int) -> Range<Int> {
    let range = lineStart..<scanned
    scanned += endBytes
    lineStart = scanned
    lineNumber += 1
    return range
  }

  private mutating func misplaced(_ what: String, _ escape: String) -> SQLError {
    lineNumber += 1
    return isCSV
      ? SQLError(
        .badCopyFileFormat, "unquoted \(what) found in data",
        hint: "Use quoted CSV field to represent \(what).")
      : SQLError(
        .badCopyFileFormat, "literal \(what) found in data", hint: "Use \"\(escape)\" to represent \(what).")
  }
}
