import Raft
import Testing

@testable import SegmentedLog

/// Random histories, of which one place is damaged afterwards, or lost a write. Whatever recovery finds, the log must keep
/// its word: it holds all that was durable, or promises it; what it holds was in the log; its vote is the last one; and it
/// goes on from there.
@Suite("Random damage")
struct RandomDamageTests {
  private struct History {
    var fixture = LogFixture(segmentBytes: 1024)
    var random: SplitMix64
    var entries: [Entry] = []
    // Everything that was ever in the log, as (index, term).
    var written: Set<LogPosition> = []
    var hardState = HardState()
    var base = LogBase(snapshot: metadata(0, 0), base: metadata(0, 0))
    var committed: UInt64 = 0

    var last: LogPosition {
      entries.last.map { LogPosition(index: $0.index, term: $0.term) }
        ?? LogPosition(index: base.base.index, term: base.base.term)
    }

    mutating func run() throws {
      for _ in 0..<(1 + random.next(below: 3)) {
        let writer = try fixture.writer()
        for _ in 0..<(1 + random.next(below: 12)) { _ = try writer.write(try batch()) }
        if random.next(below: 2) == 0 { try writer.close() }
      }
    }

    private mutating func batch() throws -> [LogWrite] {
      var writes: [LogWrite] = []
      if random.next(below: 4) == 0 {
        hardState = HardState(term: hardState.term + 1, vote: 1 + random.next(below: 3))
        writes.append(.hardState(hardState))
      }
      let term = max(1, hardState.term)
      let first = max(committed + 1, last.index + 1 - min(last.index, random.next(below: 4)))
      // A leader replaces entries by such of a later term.
      let start = entries.last.map { $0.term < term } ?? true ? first : last.index + 1
      let added = (0..<(1 + random.next(below: 4))).map {
        entry(start + $0, term, String(repeating: "x", count: Int(random.next(below: 150))))
      }
      entries.removeAll { $0.index >= start }
      entries += added
      for entry in added { written.insert(LogPosition(index: entry.index, term: entry.term)) }
      writes.append(.entries(added))
      committed = max(committed, last.index - min(last.index, random.next(below: 6)))
      if random.next(below: 6) == 0, committed > base.snapshot.index {
        let snapshot = entries.first { $0.index == committed }
        let start = entries.first { $0.index + random.next(below: 8) >= committed }
        if let snapshot, let start, start.index <= snapshot.index {
          base = LogBase(
            snapshot: metadata(snapshot.index, snapshot.term), base: metadata(start.index, start.term))
          entries.removeAll { $0.index <= start.index }
          writes.append(.compaction(base))
        }
      }
      return writes
    }

    /// Damages one place. What was done, in words.
    mutating func damage() throws -> String {
      let names = fixture.disk.list().filter { !$0.hasPrefix("spare-") }
      let name = names[Int(random.next(below: UInt64(names.count)))]
      let file = try #require(fixture.disk.files[name])
      if random.next(below: 8) == 0 {
        fixture.disk.files[name] = nil
        return "\(name) is missing"
      }
      let position = Int(random.next(below: UInt64(file.bytes.count)))
      let sector = position / 512 * 512..<min(file.bytes.count, position / 512 * 512 + 512)
      switch random.next(below: 3) {
      case 0:
        file.bytes[position] ^= 1 << UInt8(random.next(below: 8))
        return "a bit of \(name) at \(position)"
      case 1:
        for offset in sector { file.bytes[offset] = 0 }
        return "the sector of \(name) at \(sector.lowerBound) is zero"
      default:
        for offset in sector { file.bytes[offset] = UInt8(truncatingIfNeeded: random.next()) }
        return "the sector of \(name) at \(sector.lowerBound) is overwritten"
      }
    }
  }

  @Test("A damaged log keeps its word", arguments: 0..<300)
  func keepsWord(seed: Int) throws {
    var history = History(random: SplitMix64(seed: UInt64(seed)))
    try history.run()
    // A clean end: of a crash, nobody could tell damage to the last batch from a torn one.
    try history.fixture.writer().close()
    let what = try history.damage()
    let opened: OpenedLog
    do { opened = try history.fixture.open() } catch {
      Issue.record("\(what): \(error)")
      return
    }
    let log = opened.recovered
    let reach = max(log.terms.lastPosition, log.promised ?? log.terms.lastPosition)
    #expect(reach >= history.last, "\(what)")
    #expect(log.hardState == history.hardState, "\(what)")
    #expect(log.base.snapshot == history.base.snapshot, "\(what)")
    #expect(log.terms.lastIndex >= log.base.snapshot.index, "\(what)")
    let found = try history.fixture.entries(of: log)
    #expect(found.map(\.index) == Array((log.base.base.index + 1)..<(log.terms.lastIndex + 1)), "\(what)")
    for entry in found {
      #expect(history.written.contains(LogPosition(index: entry.index, term: entry.term)), "\(what)")
    }
    if log.promised == nil, log.loss == nil {
      let isWhole = found == history.entries.filter { $0.index > log.base.base.index }
      #expect(isWhole, "\(what)")
    }
    // The next start finds the same, and nothing new.
    let again = try history.fixture.recover()
    #expect(again.loss == nil, "\(what)")
    #expect(again.promised == log.promised, "\(what)")
    #expect(again.hardState == log.hardState, "\(what)")
    let isSame = try history.fixture.entries(of: again) == found
    #expect(isSame, "\(what)")
    // And it goes on: a later leader's entry takes the promise away.
    let next = again.terms.lastIndex + 1
    let term = max(history.hardState.term, log.promised?.term ?? 0) + 1
    _ = try history.fixture.writer().write([.entries([entry(next, term, "next")])])
    let healed = try history.fixture.recover()
    #expect(healed.promised == nil && healed.loss == nil, "\(what)")
    let goesOn = try history.fixture.entries(of: healed) == found + [entry(next, term, "next")]
    #expect(goesOn, "\(what)")
  }
}
