import Logging
import Synchronization
import Testing

@testable import Monitoring

/// Lines that were logged.
private final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: [UInt8]) { lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
}

@Suite("The log of a node")
struct NodeLogTests {
  // 2026-11-26 23:15:01.000123 UTC
  private static let time: Int64 = 1_795_734_901_000_123

  private func logger(
    _ format: LogFormat, _ level: Logger.Level = .info, clock: @escaping @Sendable () -> Int64 = { NodeLogTests.time }
  ) -> (Logger, Lines) {
    let lines = Lines()
    let log = NodeLog(
      format: format, level: level, node: [("node", "meta-1"), ("node_id", "1"), ("role", "meta")], clock: clock
    ) { lines.add($0) }
    return (Logger(label: "replica") { log.handler($0) }, lines)
  }

  @Test("For people: time, level, label, message, and the fields in the order of their names")
  func text() {
    let (made, lines) = logger(.text)
    var logger = made
    logger[metadataKey: "group"] = "metadata"
    logger.info("leader in term 3", metadata: ["term": .stringConvertible(3)])
    logger.debug("not written")
    logger.error("two\nlines \u{1b}[1m")
    #expect(
      lines.all == [
        "2026-11-26T23:15:01.000123Z info replica: leader in term 3 group=metadata term=3\n",
        "2026-11-26T23:15:01.000123Z error replica: two\\nlines \\x1b[1m group=metadata\n",
      ])
  }

  @Test("For programs: one JSON object per line, with the node, the fields and their types")
  func json() {
    let (made, lines) = logger(.json, .debug)
    var logger = made
    logger[metadataKey: "group"] = "metadata"
    logger.debug(
      "said \"so\"\n",
      metadata: ["term": .stringConvertible(3), "role": "leader", "list": ["a", .stringConvertible(1)]])
    #expect(
      lines.all == [
        #"{"time":"2026-11-26T23:15:01.000123Z","level":"debug","label":"replica","message":"said \"so\"\n","#
          + #""node":"meta-1","node_id":"1","role":"meta","group":"metadata","list":["a",1],"_role":"leader","term":3}"#
          + "\n"
      ])
  }

  @Test("One place in the program writes thirty lines in ten seconds, and the next one tells how many were left out")
  func limited() {
    let now = Mutex<Int64>(Self.time)
    let (logger, lines) = logger(.text) { now.withLock { $0 } }
    func repeated() { logger.warning("again") }
    for _ in 0..<100 { repeated() }
    #expect(lines.all.count == 30)
    // Another place is not meant, and what is critical is always written.
    logger.warning("other")
    for _ in 0..<50 { logger.critical("grave") }
    #expect(lines.all.count == 81)
    now.withLock { $0 += 10_000_000 }
    repeated()
    #expect(lines.all.last == "2026-11-26T23:15:11.000123Z warning replica: again suppressed=70\n")
  }

  @Test("Times are right across leap days and before 1970")
  func times() {
    #expect(LogTime.text(microseconds: 0) == "1970-01-01T00:00:00.000000Z")
    #expect(LogTime.text(microseconds: 1_709_208_000_500_000) == "2024-02-29T12:00:00.500000Z")
    #expect(LogTime.text(microseconds: -1) == "1969-12-31T23:59:59.999999Z")
  }
}
