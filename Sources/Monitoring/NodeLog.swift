import Glibc
import Logging
import Synchronization

/// How a process writes its log, one line per event to standard error.
package enum LogFormat: String, Sendable, CaseIterable {
  /// For people: time, level, label, message, fields.
  case text
  /// For programs: one JSON object.
  case json
}

/// Where the log of a process goes: all of its loggers write here, from any thread.
package final class NodeLog: Sendable {
  private let format: LogFormat
  private let level: Logger.Level
  private let node: [(String, String)]
  private let limiter = Mutex(LogLimiter())
  private let write: @Sendable ([UInt8]) -> Void
  private let clock: @Sendable () -> Int64

  /// - Parameters:
  ///   - node: what each line says of the process: its name, number and role.
  ///   - clock: microseconds since 1970-01-01 UTC.
  ///   - write: takes a whole line.
  package init(
    format: LogFormat, level: Logger.Level, node: [(String, String)],
    clock: @escaping @Sendable () -> Int64 = NodeLog.wallClock,
    write: @escaping @Sendable ([UInt8]) -> Void = NodeLog.toStandardError
  ) {
    self.format = format
    self.level = level
    self.node = node
    self.clock = clock
    self.write = write
  }

  /// Makes this the log of all loggers of the process. Once, before the first logger is made.
  package func install() {
    LoggingSystem.bootstrap { label in self.handler(label) }
  }

  /// The handler of a logger.
  package func handler(_ label: String) -> any LogHandler { NodeLogHandler(log: self, label: label, logLevel: level) }

  fileprivate func log(_ event: LogEvent, label: String, metadata: Logger.Metadata) {
    let now = clock()
    var suppressed = 0
    if event.level != .critical {
      let verdict = limiter.withLock { $0.take(file: event.file, line: event.line, atMicroseconds: now) }
      guard case .write(let earlier) = verdict else { return }
      suppressed = earlier
    }
    var fields = metadata.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    if let error = event.error { fields.append(("error", .string("\(error)"))) }
    if suppressed > 0 { fields.append(("suppressed", .stringConvertible(suppressed))) }
    var line: [UInt8] = []
    let time = LogTime.text(microseconds: now)
    switch format {
    case .text:
      line += "\(time) \(event.level.rawValue) \(label): ".utf8
      LogText.append(event.message.description, into: &line)
      for (name, value) in fields {
        line += " \(name)=".utf8
        LogText.append(value.description, into: &line)
      }
    case .json:
      var object = JSONLine()
      object.add("time", time)
      object.add("level", event.level.rawValue)
      object.add("label", label)
      object.add("message", event.message.description)
      for (name, value) in node { object.add(name, value) }
      for (name, value) in fields { object.add(name, value) }
      line = object.bytes
    }
    line.append(UInt8(ascii: "\n"))
    write(line)
  }

  /// The system's clock.
  package static let wallClock: @Sendable () -> Int64 = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  /// In one write, so that lines of several threads do not mix.
  package static let toStandardError: @Sendable ([UInt8]) -> Void = { line in
    var rest = line[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}

private struct NodeLogHandler: LogHandler {
  let log: NodeLog
  let label: String
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
    if let own = event.metadata { all.merge(own) { _, new in new } }
    log.log(event, label: label, metadata: all)
  }
}

/// Keeps one place in the program from filling the disk: of what it says within 10 s, the first 30 lines are written, and the next
/// line after that says how many were not. What is critical does not come here.
struct LogLimiter {
  enum Verdict: Equatable {
    /// Write it; so many of the same place were left out before.
    case write(suppressed: Int)
    case leaveOut
  }
  private struct Place: Hashable {
    var file: String
    var line: UInt
  }
  private struct Window {
    var since: Int64
    var written = 0
    var suppressed = 0
  }

  static let linesPerWindow = 30
  static let windowMicroseconds: Int64 = 10_000_000

  /// A place in the program each: there are not many.
  private var windows: [Place: Window] = [:]

  mutating func take(file: String, line: UInt, atMicroseconds now: Int64) -> Verdict {
    let place = Place(file: file, line: line)
    var window = windows[place] ?? Window(since: now)
    defer { windows[place] = window }
    // A clock that was set back begins a window too.
    if now - window.since >= Self.windowMicroseconds || now < window.since {
      let suppressed = window.suppressed
      window = Window(since: now, written: 1)
      return .write(suppressed: suppressed)
    }
    guard window.written < Self.linesPerWindow else {
      window.suppressed += 1
      return .leaveOut
    }
    window.written += 1
    return .write(suppressed: 0)
  }
}

/// Times of the log.
package enum LogTime {
  /// RFC 3339, UTC, with microseconds.
  package static func text(microseconds: Int64) -> String {
    var seconds = time_t(microseconds / 1_000_000)
    var fraction = microseconds % 1_000_000
    if fraction < 0 {
      seconds -= 1
      fraction += 1_000_000
    }
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date =
      "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
    let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
    return "\(date)T\(clock).\(padded(Int(fraction), 6))Z"
  }
}

/// Text of the log for people.
enum LogText {
  /// One line: what would begin another, or move the cursor, is shown as an escape.
  static func append(_ text: String, into line: inout [UInt8]) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\n"): line += "\\n".utf8
      case 0..<32, 127: line += "\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: line.append(byte)
      }
    }
  }
}

/// A JSON object on one line, its members in the order in which they are added; a name that is taken is not taken twice.
struct JSONLine {
  private var text: [UInt8] = [UInt8(ascii: "{")]
  private var names: Set<String> = []

  var bytes: [UInt8] { text + [UInt8(ascii: "}")] }

  mutating func add(_ name: String, _ value: String) {
    begin(name)
    Self.append(value, into: &text)
  }

  mutating func add(_ name: String, _ value: Logger.Metadata.Value) {
    begin(name)
    Self.append(value, into: &text)
  }

  /// A field that is called like one that is there already gets an underscore in front.
  private mutating func begin(_ name: String) {
    var name = name
    while !names.insert(name).inserted { name = "_" + name }
    if text.count > 1 { text.append(UInt8(ascii: ",")) }
    Self.append(name, into: &text)
    text.append(UInt8(ascii: ":"))
  }

  private static func append(_ value: Logger.Metadata.Value, into text: inout [UInt8]) {
    switch value {
    case .string(let string): append(string, into: &text)
    case .stringConvertible(let value):
      if let number = value as? any BinaryInteger {
        text += "\(number)".utf8
      } else {
        append(value.description, into: &text)
      }
    case .array(let values):
      text.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        append(value, into: &text)
      }
      text.append(UInt8(ascii: "]"))
    case .dictionary(let members):
      var object = JSONLine()
      for (name, value) in members.sorted(by: { $0.key < $1.key }) { object.add(name, value) }
      text += object.bytes
    }
  }

  /// A string of JSON (RFC 8259, section 7).
  private static func append(_ string: String, into text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): text += "\\\"".utf8
      case UInt8(ascii: "\\"): text += "\\\\".utf8
      case UInt8(ascii: "\n"): text += "\\n".utf8
      case 0..<32: text += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: text.append(byte)
      }
    }
    text.append(UInt8(ascii: "\""))
  }
}
