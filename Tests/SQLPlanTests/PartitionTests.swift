import Metadata
import SQLPlan
import SQLTypes
import Testing

/// The hash, routing and pruning of partitions.
@Suite struct PartitionTests {
  private let catalog = SampleCatalog.standard

  private func tree(_ name: String) throws -> PartitionTree {
    let table = try #require(catalog.image.tables.values.first { $0.name == name })
    return PartitionTree(table.id, image: catalog.image)
  }

  @Test func theHashIsFixedForEver() {
    func hash(_ value: StoredValue, _ type: SQLType) -> UInt64 { PartitionHash.hash([value], types: [type]) }
    #expect(hash(.integer(1), .int4) == 11_938_735_640_564_426_300)
    #expect(hash(.integer(-1), .int8) == 12_954_126_171_653_978_762)
    #expect(hash(.text("kunlog"), .text) == 11_785_431_455_873_522_338)
    #expect(hash(.null, .text) == 9_248_179_162_272_254_404)
    #expect(
      PartitionHash.hash([.integer(1), .text("a")], types: [.int4, .text]) == 5_245_723_179_754_864_737)
  }

  @Test func equalValuesHashAlikeInEveryForm() {
    func hash(_ value: StoredValue, _ type: SQLType) -> UInt64 { PartitionHash.hash([value], types: [type]) }
    #expect(hash(.text("1.0"), .numeric) == hash(.text("1.000"), .numeric))
    #expect(hash(.text("100"), .numeric) != hash(.text("1"), .numeric))
    #expect(hash(.real(0), .float8) == hash(.real(-0.0), .float8))
    let month: [UInt8] = [0x80, 0, 0, 1, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]
    let days: [UInt8] = [0x80, 0, 0, 0, 0x80, 0, 0, 30, 0x80, 0, 0, 0, 0, 0, 0, 0]
    #expect(hash(.blob(month), .interval) == hash(.blob(days), .interval))
  }

  @Test func hashPartitionsTakeEvenShares() throws {
    let router = PartitionRouter(tree: try tree("orders"))
    var counts = [0, 0, 0, 0]
    for id in 0..<10_000 { counts[try router.leaf(for: [.integer(Int64(id)), .null, .null, .null])] += 1 }
    #expect(counts.allSatisfy { (2300...2700).contains($0) })
  }

  @Test func rowsGoToTheirRangeOrList() throws {
    let events = PartitionRouter(tree: try tree("events"))
    #expect(try events.leaf(for: [.integer(8766), .null]) == 0)
    #expect(try events.leaf(for: [.integer(9131), .null]) == 0)
    #expect(try events.leaf(for: [.integer(9132), .null]) == 1)
    let kinds = PartitionRouter(tree: try tree("kinds"))
    #expect(try kinds.leaf(for: [.text("b"), .null]) == 0)
    #expect(try kinds.leaf(for: [.null, .null]) == 1)
    #expect(try kinds.leaf(for: [.text("zz"), .null]) == 2)
  }

  @Test func aRowThatNoPartitionTakesIsRefused() throws {
    let events = PartitionRouter(tree: try tree("events"))
    #expect(
      throws: SQLError(
        .checkViolation, "no partition of relation \"events\" found for row",
        detail: "Partition key of the failing row contains (day) = (2023-12-31).", table: "events")
    ) { try events.leaf(for: [.integer(8765), .null]) }
  }

  @Test func aRowMustBelongToThePartitionThatTheStatementNames() throws {
    guard case .write(.insert(let plan)) = try catalog.analyze("INSERT INTO kinds_ab VALUES ('q', 1)").plan else {
      Issue.record("no insert")
      return
    }
    #expect(
      throws: SQLError(
        .checkViolation, "new row for relation \"kinds_ab\" violates partition constraint", table: "kinds_ab")
    ) { try plan.route([[.text("q"), .integer(1)]], parameters: []) }
    #expect(try plan.route([[.text("a"), .integer(1)]], parameters: [])[0].fragment.tablets[0].tabletID.rawValue == 10)
  }

  @Test(arguments: [
    ("day = '2024-05-05'", [0]), ("day < '2024-01-01'", []), ("day <= '2024-01-01'", [0]), ("day >= '2025-01-01'", [1]),
    ("day > '2024-12-31'", [0, 1]), ("day BETWEEN '2024-02-02' AND '2024-03-03'", [0]),
    ("day = '2024-02-02' OR day = '2026-02-02'", [0, 1]), ("note = 'x'", [0, 1]), ("day IN ('2027-01-01')", [1]),
    ("day = '2024-02-02' AND day = '2026-02-02'", []),
  ])
  func conditionsPruneRanges(_ condition: String, _ expected: [Int]) throws {
    #expect(try remaining("SELECT 1 FROM events WHERE \(condition)") == expected)
  }

  @Test(arguments: [
    ("kind = 'a'", [0]), ("kind IS NULL", [1]), ("kind = 'q'", [2]), ("kind IN ('b', 'q')", [0, 2]),
    ("kind = NULL", []), ("kind < 'b'", [0, 2]), ("n = 1", [0, 1, 2]), ("kind = 'a' AND n = 1", [0]),
  ])
  func conditionsPruneLists(_ condition: String, _ expected: [Int]) throws {
    #expect(try remaining("SELECT 1 FROM kinds WHERE \(condition)") == expected)
  }

  private func remaining(_ sql: String) throws -> [Int] {
    guard case .query(let plan) = try catalog.analyze(sql).plan else { return [] }
    let access = plan.relations[0]
    return access.remaining([]).compactMap { access.tablets.firstIndex(of: $0) }
  }
}
