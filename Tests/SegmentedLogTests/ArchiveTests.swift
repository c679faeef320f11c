import Raft
import Testing

@testable import SegmentedLog

@Suite("Archive")
struct ArchiveTests {
  private func archived(_ retention: ArchiveRetention) throws -> LogFixture {
    var fixture = LogFixture(segmentBytes: 512)
    fixture.configuration.archive = retention
    let writer = try fixture.writer()
    _ = try writer.write([.entries((1...6).map { entry($0, 1, "stale \($0)") })])
    for index: UInt64 in 4...30 { _ = try writer.write([.entries([entry(index, 2, "value of entry \(index)")])]) }
    _ = try writer.write([.compaction(LogBase(snapshot: metadata(28, 2), base: metadata(24, 2)))])
    return fixture
  }

  private func entries(_ fixture: LogFixture) throws -> [Entry] {
    let log = try fixture.recover()
    var found: [Entry] = []
    for segment in log.archive.segments {
      let file = try fixture.disk.open(segment.name)
      let positions = try segment.positions(in: file, identity: log.identity, directory: "memory")
      var next = segment.firstIndex
      while let extent = positions.extent(from: next, through: segment.lastIndex, limitBytes: 100) {
        found += try extent.read(from: file, identity: log.identity, directory: "memory")
        next = extent.lastIndex + 1
      }
    }
    return found
  }

  @Test("Dropped segments are kept, without gap, and without entries that others replaced")
  func all() throws {
    let fixture = try archived(.all)
    let log = try fixture.recover()
    let last = try #require(log.archive.segments.last?.lastIndex)
    #expect(last >= 20 && last <= 24)
    let found = try entries(fixture)
    #expect(found.map(\.index) == Array(1...last))
    #expect(
      found.prefix(4) == [
        entry(1, 1, "stale 1"), entry(2, 1, "stale 2"), entry(3, 1, "stale 3"), entry(4, 2, "value of entry 4"),
      ])
    #expect(log.archive.segments[0].name.hasPrefix("archive/00000000000000000001-"))
    #expect(log.archive.segment(holding: 9)?.firstIndex ?? 99 <= 9)
    #expect(log.archive.segment(holding: last + 1) == nil)
  }

  @Test("The archive keeps to its bound, the oldest goes first")
  func bounded() throws {
    let fixture = try archived(.bytes(1100))
    let log = try fixture.recover()
    #expect(log.archive.segments.count == 2)
    #expect(fixture.disk.list().filter { $0.hasPrefix("archive/") }.count == 2)
    #expect(try #require(log.archive.segments.first).firstIndex > 1)
  }

  @Test("Without archive nothing is kept")
  func none() throws {
    let fixture = try archived(.none)
    #expect(try fixture.recover().archive.segments.isEmpty)
  }

  @Test("A damaged archived segment is named")
  func damaged() throws {
    let fixture = try archived(.all)
    let segment = try fixture.recover().archive.segments[1]
    try #require(fixture.disk.files[segment.name]).bytes[300] ^= 1
    #expect {
      try entries(fixture)
    } throws: { error in
      guard case .corrupt(let path, _, _)? = error as? LogStoreError else { return false }
      return path == "memory/" + segment.name
    }
  }
}
