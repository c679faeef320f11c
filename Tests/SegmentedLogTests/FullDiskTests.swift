import Raft
import Testing

@testable import SegmentedLog

@Suite("Full disk")
struct FullDiskTests {
  /// A log of segments of 1 KiB with 1 KiB in reserve, on a disk that has room for so many more.
  private func fixture(roomBytes: Int) throws -> (fixture: LogFixture, writer: LogWriter) {
    let fixture = LogFixture(segmentBytes: 1024, reserveBytes: 1024)
    let writer = try fixture.writer()
    fixture.disk.capacityBytes = fixture.disk.sizeBytes + roomBytes
    return (fixture, writer)
  }

  @Test("What is under way is written into the reserve, and the vote after it")
  func reserve() throws {
    let (fixture, writer) = try fixture(roomBytes: 0)
    #expect(fixture.disk.files["reserve"] != nil)
    for index in 1...16 {
      #expect(try writer.write([.entries([entry(UInt64(index), 1, "value \(index)")])]).isComplete)
    }
    #expect(!writer.isFull)
    #expect(try writer.write([.entries([entry(17, 1, String(repeating: "x", count: 200))])]).isComplete)
    #expect(writer.isFull)
    #expect(fixture.disk.files["reserve"] == nil)
    #expect(try writer.write([.hardState(HardState(term: 9, vote: 2))]).isComplete)
    let log = try fixture.recover()
    #expect(log.hardState == HardState(term: 9, vote: 2))
    #expect(log.terms.lastIndex == 17)
  }

  @Test("A batch that finds no space at all waits, and is written once when there is some again")
  func waits() throws {
    let (fixture, writer) = try fixture(roomBytes: 0)
    let batch = (1...60).map { entry(UInt64($0), 1, "value \($0)") }
    #expect(try !writer.write([.entries(batch), .hardState(HardState(term: 3, vote: 1))]).isComplete)
    #expect(try !writer.write([]).isComplete)
    #expect(try !writer.recoverSpace())
    fixture.disk.capacityBytes = nil
    #expect(try writer.recoverSpace())
    #expect(fixture.disk.files["reserve"] != nil)
    let result = try writer.write([.entries([entry(61, 3, "after")])])
    #expect(result.isComplete)
    var indexes: [UInt64] = []
    for case .run(let run) in result.changes { indexes += Array(run.firstIndex...run.lastIndex) }
    #expect(indexes == Array(1...61))
    #expect(try fixture.entries() == batch + [entry(61, 3, "after")])
    #expect(try fixture.recover().hardState == HardState(term: 3, vote: 1))
  }

  @Test("A crash while the disk is full loses nothing that was reported, and the next start waits for space")
  func crash() throws {
    let (fixture, writer) = try fixture(roomBytes: 0)
    _ = try writer.write([.entries([entry(1, 1, "kept")])])
    #expect(try !writer.write([.entries((2...60).map { entry($0, 1, "value \($0)") })]).isComplete)
    fixture.disk.crash { false }
    let opened = try fixture.open()
    #expect(opened.writer.isFull)
    #expect(opened.recovered.loss == nil)
    let last = opened.recovered.terms.lastIndex
    #expect(last >= 1)
    fixture.disk.capacityBytes = nil
    #expect(try opened.writer.recoverSpace())
    #expect(try opened.writer.write([.entries([entry(last + 1, 2, "next")])]).isComplete)
    #expect(try fixture.entries().map(\.index) == Array(1...last + 1))
  }

  @Test("A disk that gets full shows while there is still room")
  func early() throws {
    let (_, writer) = try fixture(roomBytes: 512)
    for index in 1...11 { _ = try writer.write([.entries([entry(UInt64(index), 1, "value \(index)")])]) }
    try writer.prepareSpare()
    #expect(writer.isFull)
    #expect(try writer.write([.entries([entry(12, 1, "still")])]).isComplete)
  }

  @Test("Other errors of the disk are not taken for a full one")
  func otherErrors() throws {
    let (fixture, writer) = try fixture(roomBytes: 4096)
    fixture.disk.operationsLeft = 0
    #expect(throws: LogStoreError.io(operation: "power", path: "memory", errno: 5)) {
      try writer.write([.entries([entry(1, 1, "a")])])
    }
    #expect(!writer.isFull)
  }
}

extension MemoryDisk {
  fileprivate var sizeBytes: Int { files.values.reduce(0) { $0 + $1.bytes.count } }
}
