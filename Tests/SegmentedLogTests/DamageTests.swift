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
      var torn = fixture
      torn.disk = fixture.disk.copy()
      let file = try #require(torn.disk.files["0000000001.log"])
      for position in cut..<file.bytes.count { file.bytes[position] = 0 }
      let expected: [UInt64] = cut < lastByte ? [1, 2] : [1, 2, 3]
      #expect(try torn.entries().map(\.index) == expected)
      let next = UInt64(expected.count + 1)
      _ = try torn.writer().write([.entries([entry(next, 2, "again")])])
      #expect(try torn.entries().map(\.index) == expected + [next])
    }
  }

  @Test("A flipped bit anywhere in what was durable is refused, with file and offset, and nothing is changed")
  func flippedBit() throws {
    let (fixture, starts, _) = try threeBatches()
    let bodyEnd = starts[0] + 32 + "the first value".utf8.count
    for position in starts[0]..<bodyEnd {
      var damaged = fixture
      damaged.disk = fixture.disk.copy()
      let file = try #require(damaged.disk.files["0000000001.log"])
      file.bytes[position] ^= 0x10
      let before = file.bytes
      #expect {
        try damaged.recover()
      } throws: { error in
        guard case .corrupt(let path, let offset, _)? = error as? LogStoreError else { return false }
        return path == "memory/0000000001.log" && offset == starts[0]
      }
      #expect(file.bytes == before)
    }
  }

  @Test("Damage to a segment's header is refused")
  func flippedHeader() throws {
    let (fixture, _, _) = try threeBatches()
    try #require(fixture.disk.files["0000000001.log"]).bytes[40] ^= 1
    #expect {
      try fixture.recover()
    } throws: { error in
      guard case .corrupt("memory/0000000001.log", 0, _)? = error as? LogStoreError else { return false }
      return true
    }
  }

  @Test("Damage to the end of a segment that is not the last is refused")
  func damagedSealedSegment() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    for index in 1...12 { _ = try writer.write([.entries([entry(UInt64(index), 1, "value of entry \(index)")])]) }
    let run = try fixture.recover().positions.runs[0]
    let offset = Int(try #require(run.offsets.last))
    try #require(fixture.disk.files["0000000001.log"]).bytes[offset + 33] ^= 1
    #expect {
      try fixture.recover()
    } throws: { error in
      guard case .corrupt("memory/0000000001.log", offset, _)? = error as? LogStoreError else { return false }
      return true
    }
  }

  @Test("A missing segment is noticed")
  func missingSegment() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    for index in 1...20 { _ = try writer.write([.entries([entry(UInt64(index), 1, "value of entry \(index)")])]) }
    fixture.disk.files["0000000002.log"] = nil
    #expect(throws: LogStoreError.missing(path: "memory", what: "the segments between 1 and 3 are missing")) {
      try fixture.recover()
    }
    fixture.disk.files["0000000001.log"] = nil
    #expect(throws: LogStoreError.self) { try fixture.recover() }
  }

  @Test("After a clean end, damage to the last batch is noticed as well")
  func mark() throws {
    let (fixture, starts, _) = try threeBatches()
    try fixture.writer().close()
    #expect(try fixture.entries().map(\.index) == [1, 2, 3])
    try #require(fixture.disk.files["0000000001.log"]).bytes[starts[2] + 34] ^= 1
    #expect(throws: LogStoreError.self) { try fixture.recover() }
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
      let found = try fixture.entries()
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
