import Raft
import Testing

@testable import SegmentedLog

@Suite("Format of the log")
struct FormatTests {
  @Test("The checksum is CRC-32C")
  func checksum() {
    let digits = Array("123456789".utf8)
    #expect(digits.withUnsafeBytes { CRC32C.checksum($0) } == 0xE306_9283)
    let zeros = [UInt8](repeating: 0, count: 32)
    #expect(zeros.withUnsafeBytes { CRC32C.checksum($0) } == 0x8A91_36AA)
  }

  @Test("What was written is read back, with term, vote and members")
  func roundTrip() throws {
    let fixture = LogFixture()
    let writer = try fixture.writer()
    let configurationEntry = Entry(index: 3, term: 2, kind: .configuration, payload: threeMembers.encoded())
    _ = try writer.write([.hardState(HardState(term: 2, vote: 3)), .entries([entry(1, 1, "a"), entry(2, 2, "bc")])])
    _ = try writer.write([.entries([configurationEntry])])
    let log = try fixture.recover()
    #expect(log.hardState == HardState(term: 2, vote: 3))
    #expect(log.terms.lastIndex == 3)
    #expect(log.terms.term(at: 1) == 1)
    #expect(log.terms.term(at: 2) == 2)
    #expect(log.configurations.map(\.index) == [3])
    #expect(log.base.snapshot == metadata(0, 0))
    #expect(try fixture.entries() == [entry(1, 1, "a"), entry(2, 2, "bc"), configurationEntry])
  }

  @Test("Entries that replace others take their place, also after a restart")
  func replacedSuffix() throws {
    let fixture = LogFixture()
    let writer = try fixture.writer()
    _ = try writer.write([.entries([entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")])])
    _ = try writer.write([.entries([entry(2, 2, "x")])])
    #expect(try fixture.entries() == [entry(1, 1, "a"), entry(2, 2, "x")])
    let reopened = try fixture.writer()
    _ = try reopened.write([.entries([entry(3, 2, "y")])])
    #expect(try fixture.entries() == [entry(1, 1, "a"), entry(2, 2, "x"), entry(3, 2, "y")])
  }

  @Test("A batch is one synchronization")
  func groupCommit() throws {
    let fixture = LogFixture(segmentBytes: 64 * 1024)
    let writer = try fixture.writer()
    _ = try writer.write([])
    let file = try #require(fixture.disk.files["0000000001.log"])
    let before = file.synchronizations
    _ = try writer.write([
      .hardState(HardState(term: 1, vote: 1)), .entries((1...50).map { entry($0, 1, "value \($0)") }),
      .entries([entry(51, 1, "last")]),
    ])
    #expect(file.synchronizations == before + 1)
  }

  @Test("Segments follow each other, go with compaction and are used again")
  func segments() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    for index in 1...30 { _ = try writer.write([.entries([entry(UInt64(index), 1, "value of entry \(index)")])]) }
    let names = fixture.disk.list().filter { $0.hasSuffix(".log") }
    #expect(names.count > 4)
    #expect(try fixture.entries().map(\.index) == Array(1...30))
    let base = LogBase(snapshot: metadata(20, 1), base: metadata(18, 1))
    let result = try writer.write([.compaction(base)])
    #expect(result.dropped.first == 1)
    #expect(fixture.disk.list().contains { $0.hasPrefix("spare-") })
    let log = try fixture.recover()
    #expect(log.base == base)
    #expect(log.terms.baseIndex == 18)
    #expect(try fixture.entries().map(\.index) == Array(19...30))
    // A recycled file still holds old records; they are not read.
    let reopened = try fixture.writer()
    for index in 31...60 { _ = try reopened.write([.entries([entry(UInt64(index), 2, "value of entry \(index)")])]) }
    #expect(try fixture.entries().map(\.index) == Array(19...60))
    #expect(!fixture.disk.list().contains { $0.hasPrefix("spare-") })
  }

  @Test("Term and vote survive the loss of the segments that held them")
  func hardStateMovesOn() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    _ = try writer.write([.hardState(HardState(term: 7, vote: 2))])
    for index in 1...30 { _ = try writer.write([.entries([entry(UInt64(index), 7, "value of entry \(index)")])]) }
    _ = try writer.write([.compaction(LogBase(snapshot: metadata(30, 7), base: metadata(30, 7)))])
    #expect(!fixture.disk.list().contains("0000000001.log"))
    let log = try fixture.recover()
    #expect(log.hardState == HardState(term: 7, vote: 2))
    #expect(log.terms.lastIndex == 30)
  }

  @Test("A snapshot from a leader leaves no entry, and the log goes on after it")
  func reset() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    for index in 1...20 { _ = try writer.write([.entries([entry(UInt64(index), 1, "value of entry \(index)")])]) }
    let base = LogBase(snapshot: metadata(100, 4), base: metadata(100, 4))
    _ = try writer.write([.reset(base), .entries([entry(101, 5, "next")])])
    let log = try fixture.recover()
    #expect(log.base == base)
    #expect(try fixture.entries() == [entry(101, 5, "next")])
    #expect(fixture.disk.list().filter { $0.hasSuffix(".log") }.count <= 2)
  }

  @Test("An entry larger than a segment gets a segment of its own")
  func largeEntry() throws {
    let fixture = LogFixture(segmentBytes: 512)
    let writer = try fixture.writer()
    let large = Entry(index: 2, term: 1, payload: [UInt8](repeating: 7, count: 5000))
    _ = try writer.write([.entries([entry(1, 1, "a"), large, entry(3, 1, "c")])])
    #expect(try fixture.entries() == [entry(1, 1, "a"), large, entry(3, 1, "c")])
  }

  @Test("The directory of another cluster, group or member is refused")
  func foreign() throws {
    var fixture = LogFixture()
    _ = try fixture.writer().write([.entries([entry(1, 1, "a")])])
    fixture.configuration.identity.clusterID = [UInt8](repeating: 9, count: 16)
    #expect(
      throws: LogStoreError.foreign(
        path: "memory", what: "cluster", expected: "09090909090909090909090909090909",
        found: "0102030405060708090a0b0c0d0e0f10")
    ) { try fixture.recover() }
    fixture.configuration.identity = LogIdentity(clusterID: Array(1...16), groupID: "test", nodeID: 2)
    #expect(throws: LogStoreError.foreign(path: "memory", what: "member", expected: "2", found: "1")) {
      try fixture.recover()
    }
  }

  @Test("The directory of another version is refused")
  func version() throws {
    let fixture = LogFixture()
    _ = try fixture.writer().write([])
    let identity = try #require(fixture.disk.files["identity"])
    identity.bytes[11] = 9
    let body = identity.bytes.dropLast(4)
    let checksum = body.withUnsafeBytes { CRC32C.checksum($0) }
    identity.bytes = body + withUnsafeBytes(of: checksum.littleEndian) { Array($0) }
    #expect(throws: LogStoreError.unsupportedVersion(path: "memory/identity", found: 9, supported: 2)) {
      try fixture.recover()
    }
  }
}
