import Raft
import Testing

@testable import SegmentedLog

@Suite("Crashes and damage")
struct DamageTests {
  /// Three batches of one entry; the offsets at which they begin and the last one ends, in the first segment.
  private func threeBatches() throws -> (fixture: LogFixture, starts: [Int], end: Int) {
    let fixture = LogFixture(segmentBytes: 4096)
    let writer = try fixture.writer()
    _ = try writer.write([.entries([entry(1, 1, "the first value")])])
    _ = try writer.write([.entries([entry(2, 1, "the second value")])])
    _ = try writer.write([.entries([entry(3, 1, "the third value")])])
    let run = try fixture.recover().positions.runs[0]
    return (fixture, run.offsets.map(Int.init), run.endOffset)
  }

  @Test("A write that was cut off at any byte leaves all before it, and the log goes on")
  func tornAtEveryByte() throws {
    let (fixture, starts, end) = try threeBatches()
    // The padding after the body is not part of what must be there.
    let lastByte = starts[2] + 32 + "the third value".utf8.count
    for cut in starts[2]..<end {
      let torn = fixture.copy()
      let file = try #require(torn.disk.files["0000000001.log"])
      for position in cut..<file.bytes.count { file.bytes[position] = 0 }
      let expected: [UInt64] = cut < lastByte ? [1, 2] : [1, 2, 3]
      #expect(try torn.entries().map(\.index) == expected)
      let next = UInt64(expected.count + 1)
      _ = try torn.writer().write([.entries([entry(next, 2, "again")])])
      #expect(try torn.entries().map(\.index) == expected + [next])
    }
  }

  @Test("A flipped bit anywhere in what was durable is noticed: the log keeps what is before, and its promise")
  func flippedBit() throws {
    let (fixture, starts, _) = try threeBatches()
    let bodyEnd = starts[1] + 32 + "the second value".utf8.count
    for position in starts[1]..<bodyEnd {
      let damaged = fixture.copy()
      let file = try #require(damaged.disk.files["0000000001.log"])
      file.bytes[position] ^= 0x10
      let before = file.bytes
      let log = try damaged.recover()
      #expect(log.damages == [LogDamage(path: "memory/0000000001.log", offset: starts[1], lengthBytes: 48)])
      #expect(log.loss == LogLoss(firstIndex: 2, promised: LogPosition(index: 3, term: 1)))
      #expect(log.promised == LogPosition(index: 3, term: 1))
      #expect(try damaged.entries(of: log) == [entry(1, 1, "the first value")])
      #expect(file.bytes == before)
    }
  }

  @Test("The promise outlasts restarts and segments, and is forgotten when the log reaches it")
  func promiseLasts() throws {
    let (fixture, starts, _) = try threeBatches()
    try #require(fixture.disk.files["0000000001.log"]).bytes[starts[1] + 40] ^= 1
    let opened = try fixture.open()
    #expect(opened.recovered.loss?.firstIndex == 2)
    let again = try fixture.recover()
    #expect(again.loss == nil)
    #expect(again.promised == LogPosition(index: 3, term: 1))
    #expect(again.forRaft.promised == LogPosition(index: 3, term: 1))
    #expect(try fixture.entries(of: again) == [entry(1, 1, "the first value")])
    _ = try opened.writer.write([.entries([entry(2, 1, String(repeating: "x", count: 4000))])])
    #expect(try fixture.recover().promised == LogPosition(index: 3, term: 1))
    _ = try opened.writer.write([.entries([entry(3, 2, "the third value again")])])
    #expect(try fixture.recover().promised == nil)
    #expect(try fixture.entries().map(\.term) == [1, 1, 2])
    // An entry of a later term that takes a place before the promise surpasses it as well: it follows what was promised.
    #expect(LogPosition(index: 2, term: 2) > LogPosition(index: 3, term: 1))
  }

  @Test("Damage to a segment's header costs nothing: what it says stands in another place too")
  func flippedHeader() throws {
    let (fixture, _, _) = try threeBatches()
    let writer = try fixture.writer()
    _ = try writer.write([.hardState(HardState(term: 4, vote: 2))])
    try #require(fixture.disk.files["0000000001.log"]).bytes[40] ^= 1
    let log = try fixture.recover()
    #expect(log.loss == nil)
    #expect(log.damages.map(\.offset) == [0])
    #expect(log.hardState == HardState(term: 4, vote: 2))
    #expect(log.base == LogBase(snapshot: metadata(0, 0), base: metadata(0, 0)))
    // Nothing more is written behind a header that is not whole.
    _ = try fixture.writer().write([.entries([entry(4, 4, "fourth")])])
    #expect(fixture.disk.list().contains("0000000002.log"))
    #expect(try fixture.entries().map(\.index) == [1, 2, 3, 4])
  }

  /// Entries 1 to `count` of term 1, three or four to a segment.
  private func manySegments(_ count: UInt64) throws -> LogFixture {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    _ = try writer.write([.hardState(HardState(term: 1))])
    for index in 1...count { _ = try writer.write([.entries([entry(index, 1, "value of entry \(index)")])]) }
    return fixture
  }

  @Test("Damage to the end of a segment that is not the last is noticed")
  func damagedSealedSegment() throws {
    let fixture = try manySegments(12)
    let run = try fixture.recover().positions.runs[0]
    let offset = Int(try #require(run.offsets.last))
    try #require(fixture.disk.files["0000000001.log"]).bytes[offset + 33] ^= 1
    let log = try fixture.recover()
    #expect(log.damages.map(\.offset) == [offset])
    #expect(log.loss == LogLoss(firstIndex: run.lastIndex, promised: LogPosition(index: 12, term: 1)))
    #expect(try fixture.entries(of: log).map(\.index) == Array(1..<run.lastIndex))
  }

  @Test("A missing segment is noticed, whichever it is", arguments: ["first", "middle", "last", "all"])
  func missingSegment(which: String) throws {
    let fixture = try manySegments(20)
    let runs = try fixture.recover().positions.runs
    let names = fixture.disk.list().filter { LogFileName.segmentNumber($0) != nil }
    let lost = ["first": [names[0]], "middle": [names[1]], "last": [names[names.count - 1]], "all": names][which] ?? []
    for name in lost { fixture.disk.files[name] = nil }
    let log = try fixture.recover()
    let kept: UInt64 = ["middle": runs[0].lastIndex, "last": runs[runs.count - 2].lastIndex][which] ?? 0
    #expect(log.loss?.firstIndex == kept + 1)
    // How many entries a whole segment may have held is only known as a bound.
    #expect(try #require(log.promised) >= LogPosition(index: 20, term: 1))
    #expect(try fixture.entries(of: log).map(\.index) == Array(1..<(kept + 1)))
    let writer = try fixture.writer()
    _ = try writer.write([.entries((kept + 1...kept + 9).map { entry($0, 1, "again \($0)") })])
    _ = try writer.write([.entries([entry(kept + 10, 2, "later")])])
    let healed = try fixture.recover()
    #expect(healed.promised == nil)
    #expect(healed.loss == nil)
    #expect(try fixture.entries(of: healed).map(\.index) == Array(1...kept + 10))
  }

  @Test("Damage to entries that the snapshot contains costs nothing but them")
  func damageBeforeSnapshot() throws {
    let fixture = try manySegments(20)
    let base = LogBase(snapshot: metadata(16, 1), base: metadata(2, 1))
    _ = try fixture.writer().write([.compaction(base)])
    let run = try #require(try fixture.recover().positions.runs.first { $0.firstIndex <= 9 && $0.lastIndex >= 9 })
    let offset = Int(run.offsets[Int(9 - run.firstIndex)])
    try #require(fixture.disk.files[LogFileName.segment(run.segment)]).bytes[offset + 8] ^= 4
    let opened = try fixture.open()
    #expect(opened.recovered.loss == nil)
    #expect(opened.recovered.promised == nil)
    #expect(opened.recovered.base.base == metadata(16, 1))
    #expect(try fixture.entries().map(\.index) == [17, 18, 19, 20])
    #expect(try fixture.recover().base.base == metadata(16, 1))
  }

  @Test("Where the log is cut before its snapshot, it goes on from there")
  func cutBeforeSnapshot() throws {
    let fixture = try manySegments(20)
    _ = try fixture.writer().write([.compaction(LogBase(snapshot: metadata(16, 1), base: metadata(2, 1)))])
    for index: UInt64 in [9, 18] {
      let run = try #require(
        try fixture.recover().positions.runs.first { $0.firstIndex <= index && $0.lastIndex >= index })
      let offset = Int(run.offsets[Int(index - run.firstIndex)])
      let file = try #require(fixture.disk.files[LogFileName.segment(run.segment)])
      // Only later: the second damage is looked for in a whole log.
      if index == 9 { file.unreadable = offset..<(offset + 1) } else { file.bytes[offset + 8] ^= 4 }
    }
    let log = try fixture.open().recovered
    #expect(log.loss == LogLoss(firstIndex: 17, promised: LogPosition(index: 20, term: 1)))
    #expect(log.base.base == metadata(16, 1))
    #expect(log.terms.lastPosition == LogPosition(index: 16, term: 1))
    _ = try fixture.writer().write([.entries((17...21).map { entry($0, 1, "again") })])
    #expect(try fixture.recover().promised == nil)
    #expect(try fixture.entries().map(\.index) == [17, 18, 19, 20, 21])
  }

  @Test("After a clean end, damage to the last batch is noticed as well")
  func mark() throws {
    let (fixture, starts, _) = try threeBatches()
    try fixture.writer().close()
    #expect(try fixture.entries().map(\.index) == [1, 2, 3])
    try #require(fixture.disk.files["0000000001.log"]).bytes[starts[2] + 34] ^= 1
    let log = try fixture.recover()
    #expect(log.loss == LogLoss(firstIndex: 3, promised: LogPosition(index: 3, term: 1)))
  }

  @Test("An entry that a hole may have replaced does not come back among later ones")
  func replacedInHole() throws {
    let fixture = LogFixture(segmentBytes: 4096)
    let writer = try fixture.writer()
    _ = try writer.write([.entries((1...5).map { entry($0, 1, "old \($0)") })])
    _ = try writer.write([.entries([entry(4, 2, "new 4")])])
    _ = try writer.write([.entries([entry(5, 2, "new 5")])])
    _ = try writer.write([.entries([entry(6, 2, "new 6")])])
    let runs = try fixture.recover().positions.runs
    let place = try #require(runs.first { $0.firstIndex <= 4 && $0.lastIndex >= 4 })
    try #require(fixture.disk.files["0000000001.log"]).bytes[Int(place.offsets[Int(4 - place.firstIndex)]) + 32] ^= 1
    let log = try fixture.recover()
    #expect(log.promised == LogPosition(index: 6, term: 2))
    // 4 and 5 of term 1 may be there, behind the promise; never 5 and 6 of term 2 after 4 of term 1.
    #expect(try fixture.entries(of: log).map(\.term).allSatisfy { $0 == 1 })
    #expect(log.forRaft.commitIndex == 0)
  }

  @Test("Bytes that cannot be read are damage, not the end")
  func unreadable() throws {
    let (fixture, starts, _) = try threeBatches()
    // Beyond the first block of 4 KiB nothing is lost.
    try #require(fixture.disk.files["0000000001.log"]).unreadable = starts[1]..<(starts[1] + 1)
    let log = try fixture.recover()
    #expect(log.loss?.firstIndex == 1)
  }

  @Test("A batch of which a later part reached the disk and an earlier did not is dropped as a whole from there")
  func holeInBatch() throws {
    let fixture = LogFixture(segmentBytes: 8192)
    let writer = try fixture.writer()
    _ = try writer.write([.entries([entry(1, 1, "kept")])])
    _ = try writer.write([.entries((2...6).map { entry($0, 1, "value \($0)") })])
    let run = try fixture.recover().positions.runs[0]
    let file = try #require(fixture.disk.files["0000000001.log"])
    for position in Int(run.offsets[2])..<Int(run.offsets[3]) { file.bytes[position] = 0 }
    #expect(try fixture.entries().map(\.index) == [1, 2])
    // A record of the same length in the hole must not bring the rest of the old batch back.
    _ = try fixture.writer().write([.entries([entry(3, 2, "value 3")])])
    #expect(try fixture.entries() == [entry(1, 1, "kept"), entry(2, 1, "value 2"), entry(3, 2, "value 3")])
  }

  @Test("Power cuts at any moment lose nothing that was durable", arguments: 0..<60)
  func powerCuts(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let fixture = LogFixture(segmentBytes: 1024)
    var durable: [Entry] = []
    var hardState = HardState()
    var base: UInt64 = 0
    for _ in 0..<12 {
      let writer = try fixture.writer()
      for _ in 0..<(1 + random.next(below: 6)) {
        var writes: [LogWrite] = []
        let last = durable.last?.index ?? base
        let first = max(base + 1, last + 1 - min(last, random.next(below: 3)))
        hardState.term += random.next(below: 2)
        let term = hardState.term
        let entries = (0..<(1 + random.next(below: 5))).map { offset in
          entry(first + offset, term, String(repeating: "x", count: Int(random.next(below: 200))))
        }
        writes.append(.hardState(hardState))
        writes.append(.entries(entries))
        durable.removeAll { $0.index >= first }
        durable += entries
        if random.next(below: 8) == 0, let snapshot = durable.randomMiddle(&random) {
          let description = metadata(snapshot.index, snapshot.term)
          writes.append(.compaction(LogBase(snapshot: description, base: description)))
          base = snapshot.index
          durable.removeAll { $0.index <= base }
        }
        _ = try writer.write(writes)
      }
      // One more batch is under way when the power goes; its sectors reach the disk or not, in any combination.
      let next = (durable.last?.index ?? base) + 1
      let lost = (next..<(next + 3)).map { entry($0, hardState.term, String(repeating: "y", count: 300)) }
      fixture.disk.operationsLeft = Int(random.next(below: 8))
      _ = try? writer.write([.entries(lost)])
      fixture.disk.crash { random.next(below: 2) == 0 }
      let log = try fixture.recover()
      #expect(log.loss == nil && log.damages.isEmpty)
      let found = try fixture.entries(of: log)
      #expect(Array(found.prefix(durable.count)) == durable)
      #expect(Array(found.dropFirst(durable.count)) == Array(lost.prefix(found.count - durable.count)))
      durable = found
      #expect(try fixture.recover().hardState == hardState)
    }
  }
}

extension [Entry] {
  fileprivate func randomMiddle(_ random: inout SplitMix64) -> Entry? {
    isEmpty ? nil : self[Int(random.next(below: UInt64(count)))]
  }
}
