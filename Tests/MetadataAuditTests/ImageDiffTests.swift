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

  @Test("Privileges, memberships, materialized views, functions, transactions and what has ended show too")
  func everythingElse() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t", shard: 1))
    let t = try log.id("t")
    try log.append(.createRole(RoleDraft(name: "erika")), .createRole(RoleDraft(name: "staff")))
    let erika = try #require(log.image.role(named: "erika")).id
    let staff = try #require(log.image.role(named: "staff")).id
    let before = log.image
    let function = FunctionDefinition(
      id: WellKnown.publicSchema, schemaID: WellKnown.publicSchema, name: "f", ownerID: WellKnown.firstRole,
      arguments: [], result: nil, body: "SELECT 1")
    let view = TableDraft(
      schemaID: WellKnown.publicSchema, name: "m", ownerID: WellKnown.firstRole,
      columns: [ColumnDraft(name: "id", type: .int4)])
    let transaction = GlobalTransactionID(coordinator: NodeID(rawValue: 1), incarnation: 1, sequence: 7)
    try log.append(.privilege(.grant(.select, on: [t], to: [erika, nil], withGrantOption: false)))
    try log.append(.privilege(.grantRoles([staff], to: [erika], withAdminOption: true)))
    try log.append(.materializedView(.create(view, query: "SELECT id FROM t", dependencies: [t])))
    try log.append(.function(.create(function, orReplace: false)))
    try log.append(.transaction(.decide(transaction, .commit, participants: [ShardID(rawValue: 1)])))
    try log.append(.schemaChange(.plan(t, text: "ALTER TABLE t", steps: ["one", "two"])))
    let tablet = try #require(log.image.tablet(of: t)).id
    try log.append(
      .migration(.plan(tablet, target: ShardID(rawValue: 2), epoch: nil, maximumRetries: nil, reason: "test")))
    let diff = ImageDiff(from: before, to: log.image)
    #expect(
      diff.changed.first { $0.name == "public.t" }?.fields == [
        .init("privileges of PUBLIC", before: nil, after: "SELECT"),
        .init("privileges of erika", before: nil, after: "SELECT"),
      ])
    #expect(
      diff.changed.first { $0.name == "erika" }?.fields == [
        .init("member of staff", before: nil, after: "with admin option")
      ])
    let made = diff.added.first { $0.name == "public.m" }
    #expect(made?.fields.contains(.init("materialized view of", "SELECT id FROM t")) == true)
    #expect(made?.fields.contains(.init("populated", "no")) == true)
    #expect(diff.added.contains { $0.kind == "migration" })
    func place(_ path: String) -> String? { diff.places.first { $0.path == path }?.after }
    #expect(place("/functions/public/f()/body") == "SELECT 1")
    #expect(place("/transactions/open/\(transaction)/outcome") == "commit")
    #expect(place("/schema_changes/open/1/text") == "ALTER TABLE t")
    #expect(diff.places.allSatisfy { $0.before == nil })
    #expect(diff.text.contains("+ /functions/public/f()/body: SELECT 1"))

    let migration = try #require(log.image.migrations.open.keys.first)
    let middle = log.image
    try log.append(.migration(.fail(migration, reason: "no room")))
    try log.append(.migration(.advance(migration, attempt: 0, .rolledBack)))
    try log.append(.transaction(.resolve(transaction)))
    let later = ImageDiff(from: middle, to: log.image)
    #expect(later.removed.map(\.kind) == ["migration"])
    #expect(later.places.contains(.init("/migrations/ended/\(migration)/outcome", before: nil, after: "rolled back")))
    #expect(later.places.contains(.init("/transactions/open/\(transaction)/outcome", before: "commit", after: nil)))
    #expect(later.text.contains("- /transactions/open/\(transaction)/outcome: commit"))
    let counts = ImagePlaces.counts(log.image).filter { $0.count > 0 }.map { "\($0.count) \($0.name)" }
    #expect(counts == ["1 function", "1 ended migration", "1 open schema change"])
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
