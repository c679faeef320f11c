import Metadata
import MetadataAudit
import Testing

/// What `log show` leaves out.
@Suite
struct RecordSelectionTests {
  private func selected(_ log: AuditFixture, _ change: (inout RecordSelection) throws -> Void) rethrows -> [String] {
    var selection = RecordSelection()
    try change(&selection)
    return log.records.compactMap { record in
      selection.take(record).map { "\($0.index): " + $0.events.map(\.kind).joined(separator: " ") }
    }
  }

  @Test("Kinds, families, principals, times and objects each leave out what is not wanted, and all of them together")
  func selections() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t"), principal: "compute-1")
    try log.append(.setSetting(name: "a", value: "1"), principal: "erika")
    #expect(selected(log) { _ in }.count == 5)
    #expect(
      selected(log) { $0.kinds = ["tabletcreated", "cluster"] } == [
        "2: ClusterCreated", "8: TabletCreated", "10: SettingChanged",
      ])
    #expect(selected(log) { $0.families = [.nodes] } == ["4: NodeRegistered", "6: NodeRegistered"])
    #expect(selected(log) { $0.principal = "erika" } == ["10: SettingChanged"])
    #expect(selected(log) { $0.principal = "compute*" }.count == 1)
    #expect(selected(log) { $0.principal = "eri" }.isEmpty)
    // Records are a minute apart.
    #expect(selected(log) { $0.since = AuditFixture.start + 240_000_000 } == ["10: SettingChanged"])
    #expect(selected(log) { $0.until = AuditFixture.start + 59_000_000 }.count == 1)
    let object = try ObjectReference(words: ["shard 1"])
    #expect(
      selected(log) { $0.object = ObjectMatcher(object, image: log.image) } == [
        "4: ShardCreated", "8: TabletCreated",
      ])
    #expect(
      selected(log) {
        $0.object = ObjectMatcher(object, image: log.image)
        $0.families = [.placement]
      } == ["8: TabletCreated"])
  }
}
