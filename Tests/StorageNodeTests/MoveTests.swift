import EventLoop
import Metadata
import Replica
import SQLTypes
import SQLiteEngine
import StorageEngine
import Testing

@testable import StorageNode

/// What a move reads of the source's log, and how the target takes it.
@Suite struct MoveTests {
  private static let tablet = TabletID(rawValue: 1)
  private static let other = TabletID(rawValue: 2)
  private static let migration = MigrationID(rawValue: 5)

  private func entry(_ index: UInt64, _ kind: ShardEntry.Kind, term: UInt64 = 1) throws -> CommittedEntry {
    let entry = ShardEntry(origin: ShardEntry.Origin(nodeID: 1, life: 1, sequence: index), kind: kind)
    return CommittedEntry(index: index, term: term, payload: try entry.encoded())
  }

  private func body(_ tablet: TabletID, _ byte: UInt8, prepares sequence: UInt64? = nil) -> ShardEntry.Body {
    ShardEntry.Body(
      members: [ShardEntry.Member(id: TransactionID(bytes: [byte]), affected: [])],
      changesets: [TabletChangeset(tabletID: tablet, bytes: [byte])],
      preparation: sequence.map {
        ShardEntry.Preparation(id: gtid($0), participants: [ShardID(rawValue: 1)], timeMicroseconds: 0)
      })
  }

  private func gtid(_ sequence: UInt64) -> GlobalTransactionID {
    GlobalTransactionID(coordinator: NodeID(rawValue: 9), incarnation: 1, sequence: sequence)
  }

  private func transactions(_ body: ShardEntry.Body) -> ShardEntry.Kind {
    .transactions(body.members, body.changesets, body.preparation)
  }

  @Test(
    "Changes are read at the entry with which they take effect: prepared ones with their decision, parts with the last")
  func filter() throws {
    var filter = TabletLogFilter(Self.tablet, after: 10)
    var read: [UInt64: [TabletLogFilter.Item]] = [:]
    let parts = try ShardEntry.encoded(body(Self.tablet, 4))
    let half = parts.count / 2
    let entries: [CommittedEntry] = [
      try entry(11, transactions(body(Self.tablet, 1))), try entry(12, transactions(body(Self.other, 2))),
      try entry(13, transactions(body(Self.tablet, 3, prepares: 1))),
      try entry(14, transactions(body(Self.tablet, 5, prepares: 2))),
      try entry(15, .part(transaction: 7, number: 0, piece: Array(parts[..<half]), isLast: false)),
      try entry(16, .finish(gtid(1), .commit, decisionIndex: 3)),
      try entry(17, .finish(gtid(2), .abort, decisionIndex: 4)),
      try entry(18, .part(transaction: 7, number: 1, piece: Array(parts[half...]), isLast: true)),
      try entry(19, .schema(metadataIndex: 8, [.clear(Self.tablet, generation: 2), .drop(Self.other)])),
      // The last of parts that a leader before this one had begun.
      try entry(20, .part(transaction: 8, number: 0, piece: parts, isLast: false)),
      try entry(21, .part(transaction: 8, number: 1, piece: [], isLast: true), term: 2),
    ]
    for entry in entries {
      let items = try filter.read(entry)
      if !items.isEmpty { read[entry.index] = items }
    }
    #expect(
      read == [
        11: [.rows([1])], 16: [.rows([3])], 18: [.rows([4])], 19: [.schema(.clear(Self.tablet, generation: 2))],
      ])
    #expect(filter.index == 21)
  }

  @Test("What does not follow what is there has no effect, so that entries may come twice")
  func arrival() {
    var state = ShardState()
    let create = TabletChange.drop(Self.tablet)
    func apply(_ step: ArrivalEntry.Step, of migration: MigrationID = Self.migration) -> ArrivalEffect? {
      state.apply(ArrivalEntry(migrationID: migration, step: step), of: Self.tablet)
    }
    #expect(apply(.rows(number: 0, changes: [1])) == nil)
    #expect(
      apply(.begin(create, sourceIndex: 20, logFrom: 18, checksum: [9], metadataIndex: 30)) == .schema(create))
    #expect(state.metadataIndex == 30)
    #expect(apply(.rows(number: 0, changes: [1])) == .rows([1]))
    #expect(apply(.rows(number: 0, changes: [1])) == nil)
    let first = ArrivedChanges(
      after: MovePosition(whole: 20), upTo: MovePosition(index: 22, pieces: 1), kind: .rows([7]))
    #expect(apply(.changes(first)) == nil, "the rows are not complete")
    #expect(apply(.loaded) == ArrivalEffect.none)
    #expect(apply(.rows(number: 1, changes: [2])) == nil)
    #expect(apply(.changes(first), of: MigrationID(rawValue: 6)) == nil)
    #expect(apply(.changes(first)) == .rows([7]))
    #expect(apply(.changes(first)) == nil)
    let rest = ArrivedChanges(
      after: MovePosition(index: 22, pieces: 1), upTo: MovePosition(whole: 23), kind: .nothing)
    #expect(apply(.changes(rest)) == ArrivalEffect.none)
    #expect(state.arrivals[Self.tablet]?.position == MovePosition(whole: 23))
    #expect(state.arrivals[Self.tablet]?.logFrom == 18)
    state.dropped(Self.tablet)
    #expect(state.arrivals.isEmpty)
  }

  @Test("What has come back does not follow again: not for a leader that knows only what was before")
  func following() throws {
    var state = ShardState()
    func apply(_ step: ArrivalEntry.Step) -> ArrivalEffect? {
      state.apply(ArrivalEntry(migrationID: Self.migration, step: step), of: Self.tablet)
    }
    func apply(_ fence: FenceEntry, at index: UInt64) -> Bool { state.apply(fence, to: Self.tablet, at: index) }
    #expect(apply(.follow(from: 140, metadataIndex: 30)) == ArrivalEffect.none)
    #expect(apply(.follow(from: 140, metadataIndex: 31)) == nil)
    #expect(apply(.ended(metadataIndex: 40)) == ArrivalEffect.none)
    #expect(state.metadataIndex == 40)
    #expect(apply(.follow(from: 140, metadataIndex: 39)) == nil)
    #expect(
      apply(.begin(.drop(Self.tablet), sourceIndex: 20, logFrom: 18, checksum: [9], metadataIndex: 39)) == nil)
    #expect(state.arrivals.isEmpty)
    #expect(apply(.follow(from: 150, metadataIndex: 41)) == ArrivalEffect.none)
    let entry = ArrivalEntry(migrationID: Self.migration, step: .ended(metadataIndex: 50))
    #expect(try ArrivalEntry(entry.message(Self.tablet)) == entry)
    // Nor where a fence was lifted by later metadata.
    #expect(apply(.ended(metadataIndex: 50)) == ArrivalEffect.none)
    let fence = FenceEntry(migrationID: Self.migration, attempt: 1, action: .writes, metadataIndex: 55)
    #expect(apply(fence, at: 60))
    var lift = fence
    (lift.action, lift.metadataIndex) = (.lift, 60)
    #expect(apply(lift, at: 61))
    #expect(apply(.follow(from: 150, metadataIndex: 59)) == nil)
    #expect(!apply(fence, at: 62))
    #expect(state.fences.isEmpty)
  }

  @Test("A fence belongs to its migration and attempt, and is in the shard's state")
  func fences() throws {
    var state = ShardState()
    func fence(_ action: FenceEntry.Action, attempt: UInt32 = 1) -> FenceEntry {
      FenceEntry(migrationID: Self.migration, attempt: attempt, action: action, metadataIndex: 40)
    }
    func apply(_ fence: FenceEntry, at index: UInt64) -> Bool { state.apply(fence, to: Self.tablet, at: index) }
    #expect(!apply(fence(.reads), at: 50))
    #expect(apply(fence(.writes), at: 51))
    #expect(!apply(fence(.writes), at: 52))
    #expect(state.fences[Self.tablet]?.index == 51)
    #expect(!apply(fence(.lift, attempt: 0), at: 53))
    #expect(apply(fence(.reads), at: 54))
    state.arrivals[Self.other] = TabletArrival(
      migrationID: Self.migration, checksum: [1], sourceIndex: 2, logFrom: 1, loaded: 3, isLoaded: true,
      position: MovePosition(whole: 4))
    #expect(try ShardState(encoded: state.encoded()) == state)
    #expect(apply(fence(.lift), at: 55))
    #expect(state.fences.isEmpty)
  }

  @Test(
    "Small changes are sent together, large ones in pieces; what was there is left out, in the middle of an entry too")
  @LoopActor func sending() throws {
    let engine = SQLiteEngine(SQLiteEngineConfiguration(directory: "/tmp/kunlog-none"))
    // Changes of one column: inserts of blobs.
    func changes(_ lengths: [Int]) -> [UInt8] {
      var bytes: [UInt8] = [1, 1, 0]
      for (number, length) in lengths.enumerated() {
        bytes.append(1)
        bytes.append(4)
        withUnsafeBytes(of: UInt32(length).littleEndian) { bytes.append(contentsOf: $0) }
        bytes += [UInt8](repeating: UInt8(number + 1), count: length)
      }
      return bytes
    }
    func sent(after: MovePosition) throws -> [ArrivedChanges] {
      var sender = TailSender(after: after, engine: engine)
      var all: [ArrivedChanges] = []
      for (index, lengths) in [(11, [10]), (12, [20]), (13, [200_000, 100_000, 50]), (14, [])] as [(UInt64, [Int])] {
        if !lengths.isEmpty { all += try sender.add(.rows(changes(lengths)), of: index) }
        sender.passed(index)
      }
      return all + sender.flush()
    }
    let all = try sent(after: MovePosition(whole: 10))
    #expect(all.map(\.after) == [MovePosition(whole: 10), MovePosition(index: 13, pieces: 1)])
    #expect(all.map(\.upTo) == [MovePosition(index: 13, pieces: 1), MovePosition(whole: 14)])
    guard case .rows(let first) = all[0].kind, case .rows(let second) = all[1].kind else {
      Issue.record("no rows")
      return
    }
    #expect(first.count == 3 + 16 + 26 + 200_006 + 100_006)
    #expect(second.count == 3 + 56)
    #expect(try sent(after: all[0].upTo) == [all[1]])
    #expect(try sent(after: MovePosition(whole: 14)) == [])
  }
}
