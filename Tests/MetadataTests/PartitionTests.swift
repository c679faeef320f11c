import Metadata
import SQLTypes
import Testing

@Suite struct PartitionTests {
  private func partitioned(
    _ strategy: PartitionStrategy, type: SQLType = .int4, keys: [KeyDraft] = []
  ) throws -> Fixture {
    var fixture = try Fixture.cluster()
    try fixture.append(
      .createTable(
        draft(
          "t", [ColumnDraft(name: "k", type: type), ColumnDraft(name: "v", type: .text)], keys: keys,
          partitioning: PartitioningDraft(strategy: strategy, columns: ["k"]))))
    return fixture
  }

  private func partition(_ fixture: Fixture, _ name: String, _ bound: PartitionBound) throws -> Command {
    .createTable(draft(name, [], partition: PartitionMembership(parentID: try fixture.id("t"), bound: bound)))
  }

  @Test func fourHashPartitionsLieOnBothShards() throws {
    var fixture = try partitioned(.hash)
    for remainder in 0..<4 {
      try fixture.append(try partition(fixture, "t\(remainder)", .hash(modulus: 4, remainder: remainder)))
    }
    let leaves = fixture.image.leaves(of: try fixture.id("t"))
    #expect(leaves.map(\.name) == ["t0", "t1", "t2", "t3"])
    #expect(leaves.map { fixture.image.tablet(of: $0.id)?.shardID.rawValue } == [1, 2, 1, 2])
    #expect(fixture.image.tablet(of: try fixture.id("t")) == nil)
  }

  @Test func aPartitionHasItsParentsColumnsChecksAndIndexes() throws {
    var fixture = try partitioned(.hash, keys: [KeyDraft(kind: .primaryKey, columns: ["k"])])
    try fixture.append(
      .createIndex(IndexDraft(tableID: try fixture.id("t"), parts: [.init(column: 2, isDescending: true)])))
    try fixture.append(try partition(fixture, "p", .hash(modulus: 2, remainder: 0)))
    #expect(try fixture.table("p").columns == fixture.table("t").columns)
    #expect(try fixture.table("p").columns[0].isNotNull)
    #expect(try fixture.index("p_pkey").parentID == fixture.id("t_pkey"))
    #expect(try fixture.index("p_v_idx").parentID == fixture.id("t_v_idx"))
    #expect(try fixture.index("p_v_idx").parts == [.init(column: 2, isDescending: true)])
    // An index made later reaches partitions that are there.
    try fixture.append(.createIndex(IndexDraft(name: "i", tableID: try fixture.id("t"), parts: [.init(column: 2)])))
    #expect(try fixture.index("p_v_idx1").parentID == fixture.id("i"))
    let rejection = fixture.rejection(.dropIndexes([try fixture.id("p_v_idx1")], isCascade: false))
    #expect(rejection?.message == "cannot drop index p_v_idx1 because index i requires it")
    #expect(
      try fixture.append(.dropIndexes([try fixture.id("i")], isCascade: false)).map(\.kind) == [
        "IndexDropped", "IndexDropped",
      ])
    #expect(
      fixture.rejection(.dropIndexes([try fixture.id("t_pkey")], isCascade: true))?.message
        == "cannot drop index t_pkey because constraint t_pkey on table t requires it")
    try fixture.append(.dropTables([try fixture.id("t")], isCascade: false))
    #expect(fixture.image.tables.isEmpty && fixture.image.indexes.isEmpty && fixture.image.tablets.isEmpty)
    #expect(fixture.image.partitionsOfTable.isEmpty && fixture.image.indexesOfTable.isEmpty)
  }

  @Test func uniqueKeysOfAPartitionedTableIncludeItsPartitionKey() throws {
    var fixture = try partitioned(.hash)
    let index = IndexDraft(tableID: try fixture.id("t"), parts: [.init(column: 2)], isUnique: true)
    let rejection = fixture.rejection(.createIndex(index))
    #expect(rejection?.sqlState.rawValue == "0A000")
    #expect(rejection?.message == "unique constraint on partitioned table must include all partitioning columns")
    #expect(
      rejection?.detail
        == "UNIQUE constraint on table \"t\" lacks column \"k\" which is part of the partition key.")
    let key = draft(
      "u", [ColumnDraft(name: "k", type: .int4), ColumnDraft(name: "v", type: .int4)],
      keys: [KeyDraft(kind: .primaryKey, columns: ["v"])],
      partitioning: PartitioningDraft(strategy: .range, columns: ["k"]))
    #expect(
      fixture.rejection(.createTable(key))?.detail
        == "PRIMARY KEY constraint on table \"u\" lacks column \"k\" which is part of the partition key.")
    try fixture.append(.createIndex(IndexDraft(tableID: index.tableID, parts: [.init(column: 1)], isUnique: true)))
  }

  @Test(
    "Hash partitions that overlap or whose modulus does not fit are refused",
    arguments: [
      (PartitionBound.hash(modulus: 4, remainder: 1), "partition \"p\" would overlap partition \"t0\"", nil),
      (.hash(modulus: 8, remainder: 5), "partition \"p\" would overlap partition \"t0\"", nil),
      (.hash(modulus: 2, remainder: 1), "partition \"p\" would overlap partition \"t0\"", nil),
      (
        .hash(modulus: 6, remainder: 0), "every hash partition modulus must be a factor of the next larger modulus",
        "The new modulus 6 is not divisible by 4, the modulus of existing partition \"t0\"."
      ),
      (
        .hash(modulus: 3, remainder: 0), "every hash partition modulus must be a factor of the next larger modulus",
        "The new modulus 3 is not a factor of 4, the modulus of existing partition \"t0\"."
      ),
      (.hash(modulus: 4, remainder: 4), "remainder for hash partition must be less than modulus", nil),
      (.hash(modulus: 0, remainder: 0), "modulus for hash partition must be an integer value greater than zero", nil),
      (.standard, "a hash-partitioned table may not have a default partition", nil),
      (.list([.integer(1)]), "invalid bound specification for a hash partition", nil),
    ] as [(PartitionBound, String, String?)])
  func hashBounds(bound: PartitionBound, message: String, detail: String?) throws {
    var fixture = try partitioned(.hash)
    try fixture.append(try partition(fixture, "t0", .hash(modulus: 4, remainder: 1)))
    let rejection = fixture.rejection(try partition(fixture, "p", bound))
    #expect(rejection?.message == message)
    #expect(rejection?.detail == detail)
  }

  @Test(
    "Range partitions may touch but not overlap",
    arguments: [
      (PartitionBound.range(from: [.value(.integer(20))], to: [.value(.integer(30))]), nil),
      (.range(from: [.minimum], to: [.value(.integer(10))]), nil),
      (.range(from: [.value(.integer(20))], to: [.maximum]), nil),
      (
        .range(from: [.value(.integer(19))], to: [.value(.integer(30))]),
        "partition \"p\" would overlap partition \"t0\""
      ),
      (.range(from: [.minimum], to: [.maximum]), "partition \"p\" would overlap partition \"t0\""),
      (
        .range(from: [.value(.integer(5))], to: [.value(.integer(5))]),
        "empty range bound specified for partition \"p\""
      ),
      (.range(from: [.value(.null)], to: [.maximum]), "cannot specify NULL in range bound"),
      (.range(from: [], to: [.maximum]), "FROM must specify exactly one value per partitioning column"),
    ] as [(PartitionBound, String?)])
  func rangeBounds(bound: PartitionBound, message: String?) throws {
    var fixture = try partitioned(.range)
    try fixture.append(
      try partition(fixture, "t0", .range(from: [.value(.integer(10))], to: [.value(.integer(20))])))
    #expect(fixture.rejection(try partition(fixture, "p", bound))?.message == message)
  }

  @Test func listPartitionsShareNoValueAndNumbersCompareByValue() throws {
    var fixture = try partitioned(.list, type: .numeric)
    try fixture.append(try partition(fixture, "t0", .list([.text("1.10"), .null, .text("1.1")])))
    #expect(try fixture.table("t0").partition?.bound == .list([.text("1.10"), .null]))
    #expect(
      fixture.rejection(try partition(fixture, "p", .list([.text("1.1")])))?.message
        == "partition \"p\" would overlap partition \"t0\"")
    #expect(
      fixture.rejection(try partition(fixture, "p", .list([.null])))?.sqlState.rawValue == "42P17")
    try fixture.append(try partition(fixture, "t1", .list([.text("-1.1"), .text("11")])))
    try fixture.append(try partition(fixture, "rest", .standard))
    #expect(
      fixture.rejection(try partition(fixture, "p", .standard))?.message
        == "partition \"p\" conflicts with existing default partition \"rest\"")
    #expect(fixture.rejection(try partition(fixture, "p", .list([.text("5")])))?.sqlState.rawValue == "0A000")
  }

  @Test func aPlainTableHasNoPartitions() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    #expect(
      fixture.rejection(try partition(fixture, "p", .hash(modulus: 1, remainder: 0)))?.message
        == "table \"t\" is not partitioned")
  }

  @Test func partitionsOfPartitionsGetIndexesAndAreDroppedTogether() throws {
    var fixture = try partitioned(.hash, keys: [KeyDraft(kind: .unique, columns: ["k", "v"])])
    try fixture.append(
      .createTable(
        draft(
          "m", [], partitioning: PartitioningDraft(strategy: .list, columns: ["v"]),
          partition: PartitionMembership(parentID: try fixture.id("t"), bound: .hash(modulus: 1, remainder: 0)))))
    try fixture.append(
      .createTable(
        draft("leaf", [], partition: PartitionMembership(parentID: try fixture.id("m"), bound: .list([.text("a")])))))
    #expect(try fixture.index("leaf_k_v_key").parentID == fixture.id("m_k_v_key"))
    #expect(fixture.image.leaves(of: try fixture.id("t")).map(\.name) == ["leaf"])
    let events = try fixture.append(.dropTables([try fixture.id("t")], isCascade: false))
    #expect(events.filter { $0.kind == "TableDropped" }.count == 3)
    #expect(fixture.image.tables.isEmpty)
  }
}
