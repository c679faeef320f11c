import Metadata
import MetadataAudit
import SQLTypes
import Testing

/// What differs between two images.
@Suite
struct ImageDiffTests {
  @Test("Two equal images do not differ")
  func equal() throws {
    let log = try AuditFixture()
    let diff = ImageDiff(from: log.image, to: log.image)
    #expect(diff.isEmpty)
    #expect(diff.text == "from index 6 to index 6\nnothing differs")
  }

  @Test("A new table shows with its key, sequence and tablet, field by field")
  func added() throws {
    var log = try AuditFixture()
    let before = log.image
    try log.append(AuditFixture.table("t", shard: 1))
    let diff = ImageDiff(from: before, to: log.image)
    #expect(
      diff.text == """
        from index 6 to index 8
        + table public.t (16384)
              schema: public
              owner: abc
              column 1: id integer not null default nextval('t_id_seq'::regclass)
              column 2: name text
        + index public.t_pkey (16386)
              table: public.t
              kind: primary key
              columns: id
        + sequence public.t_id_seq (16385)
              owner: abc
              type: integer
              start: 1
              increment: 1
              minimum: 1
              maximum: 2147483647
              cache: 1
              cycle: false
              last reserved: none, begins with 1
              owned by: public.t column 1
        + tablet 1 (1)
              table: public.t
              shard: 1
              epoch: 1
              generation: 1
        """)
    // And back again.
    let back = ImageDiff(from: log.image, to: before)
    #expect(back.removed.map(\.name) == ["public.t", "public.t_pkey", "public.t_id_seq", "1"])
    #expect(back.added.isEmpty && back.changed.isEmpty)
  }

  @Test("What has changed shows what it was and what it is; a password only that it is another one")
  func changed() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t", shard: 1))
    let before = log.image
    try log.append(.truncateTables([try log.id("t")], restartsSequences: false))
    try log.append(
      .alterRole(WellKnown.firstRole, RoleChange(canLogin: false, password: .verifier(AuditFixture.verifier("B")))))
    try log.append(.setSetting(name: "x", value: "1"))
    try log.append(.updateNodeAddress(NodeID(rawValue: 1), host: "10.0.0.9", port: 7001, postgresPort: nil))
    try log.append(.recordNote(topic: "why", content: []))
    let diff = ImageDiff(from: before, to: log.image)
    #expect(diff.added.map { "\($0.kind) \($0.name)" } == ["setting x", "topic why"])
    #expect(diff.removed.isEmpty)
    #expect(diff.changed.map { "\($0.kind) \($0.name)" } == ["node storage1", "role abc", "tablet 1"])
    #expect(
      diff.changed[0].fields == [.init("address", before: "127.0.0.1:7001", after: "10.0.0.9:7001")])
    #expect(diff.changed[1].fields.map(\.name) == ["login", "password"])
    #expect(!diff.text.contains("SCRAM"))
    #expect(diff.changed[2].fields == [.init("generation", before: "1", after: "2")])
  }

  @Test("Between any two moments, the difference there and the difference back mirror each other")
  func mirrored() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("a"))
    try log.append(AuditFixture.table("b"))
    try log.append(.reserveSequence(try log.id("a_id_seq"), count: 5))
    try log.append(.dropTables([try log.id("a")], isCascade: false))
    for one in log.images {
      for other in log.images {
        let (there, back) = (ImageDiff(from: one, to: other), ImageDiff(from: other, to: one))
        #expect(there.added == back.removed)
        #expect(there.removed == back.added)
        #expect(there.changed.map(\.id) == back.changed.map(\.id))
        #expect(there.isEmpty == (one.index == other.index))
      }
    }
  }
}
