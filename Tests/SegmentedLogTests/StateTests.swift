import Raft
import Testing

@testable import SegmentedLog

@Suite("What a log must not lose")
struct StateTests {
  /// A log with a vote; where the vote's record lies.
  private func voted() throws -> (fixture: LogFixture, offset: Int) {
    let fixture = LogFixture(segmentBytes: 4096)
    let writer = try fixture.writer()
    _ = try writer.write([.entries([entry(1, 1, "a")])])
    let offset = try #require(fixture.recover().endOffset)
    _ = try writer.write([.hardState(HardState(term: 5, vote: 3))])
    _ = try writer.write([.entries([entry(2, 5, "b")])])
    return (fixture, offset)
  }

  @Test("A vote survives damage to its record")
  func damagedRecord() throws {
    let (fixture, offset) = try voted()
    try #require(fixture.disk.files["0000000001.log"]).bytes[offset + 20] ^= 1
    #expect(try fixture.recover().hardState == HardState(term: 5, vote: 3))
  }

  @Test("A vote survives damage to the state file, and its loss")
  func damagedState() throws {
    let (fixture, _) = try voted()
    let damaged = fixture.copy()
    let state = try #require(damaged.disk.files["state"])
    for position in state.bytes.indices { state.bytes[position] ^= 0x55 }
    #expect(try damaged.recover().hardState == HardState(term: 5, vote: 3))
    fixture.disk.files["state"] = nil
    #expect(try fixture.writer().write([.entries([entry(3, 5, "c")])]).isComplete)
    #expect(try fixture.recover().hardState == HardState(term: 5, vote: 3))
  }

  @Test("A member that may have forgotten its vote does not start")
  func bothDamaged() throws {
    let (fixture, offset) = try voted()
    try #require(fixture.disk.files["0000000001.log"]).bytes[offset + 20] ^= 1
    let state = try #require(fixture.disk.files["state"])
    for position in state.bytes.indices { state.bytes[position] ^= 0x55 }
    #expect(
      throws: LogStoreError.missing(
        path: "memory", what: "term and vote are not known, both records of them are damaged")
    ) { try fixture.recover() }
  }

  @Test("A torn write of the state leaves the one before")
  func torn() throws {
    let (fixture, _) = try voted()
    let writer = try fixture.writer()
    let before = try #require(fixture.disk.files["state"]).bytes
    _ = try writer.write([.hardState(HardState(term: 6, vote: 1))])
    let state = try #require(fixture.disk.files["state"])
    let changed = try #require(state.bytes.indices.last { state.bytes[$0] != before[$0] })
    state.bytes[changed] = before[changed]
    #expect(try fixture.recover().hardState == HardState(term: 6, vote: 1))
    let found = StateFile(file: state).read(path: "memory/state")
    #expect(found.isDamaged)
    #expect(found.state?.hardState == HardState(term: 5, vote: 3))
  }

  @Test("A lost identity is brought back from its copy")
  func identity() throws {
    let (fixture, _) = try voted()
    fixture.disk.files["identity"] = nil
    #expect(try fixture.recover().identity.disk == 77)
    #expect(fixture.disk.files["identity"] != nil)
    try #require(fixture.disk.files["identity"]).bytes[20] ^= 1
    #expect(try fixture.entries().map(\.index) == [1, 2])
  }

  @Test("A directory has a number that stays its own")
  func disk() throws {
    var fixture = LogFixture()
    #expect(try fixture.open().recovered.identity.disk == 77)
    fixture.configuration.newDisk = 78
    #expect(try fixture.open().recovered.identity.disk == 77)
    fixture.disk = MemoryDisk()
    #expect(try fixture.open().recovered.identity.disk == 78)
  }

  @Test("An empty directory is refused where it is not the member's first start")
  func mayBegin() throws {
    var fixture = LogFixture()
    fixture.configuration.mayBegin = false
    #expect(throws: LogStoreError.noLog(path: "memory")) { try fixture.open() }
    #expect(fixture.disk.list() == [])
    fixture.configuration.mayBegin = true
    _ = try fixture.open()
    fixture.configuration.mayBegin = false
    _ = try fixture.open()
  }

  @Test("A first start that was cut off at any operation is taken up again")
  func interruptedBeginning() throws {
    for operations in 0..<12 {
      let fixture = LogFixture()
      fixture.disk.operationsLeft = operations
      _ = try? fixture.open()
      fixture.disk.crash { false }
      #expect(try fixture.open().recovered.terms.lastIndex == 0)
      _ = try fixture.writer().write([.entries([entry(1, 1, "a")])])
      #expect(try fixture.entries() == [entry(1, 1, "a")])
    }
  }
}
