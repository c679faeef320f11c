import SQLParser
import SQLTree
import SQLTypes
import Testing

@Suite struct StatementTests {
  private func one(_ text: String) throws -> Statement {
    let statements = try SQLParser.parse(text)
    try #require(statements.count == 1)
    return statements[0].statement
  }

  @Test func `Several statements know their places`() throws {
    let text = "select 1; /* x */ ; -- y\n begin ;"
    let statements = try SQLParser.parse(text)
    #expect(statements.map(\.startByte) == [0, 26])
    #expect(statements.map(\.lengthBytes) == [8, 6])
    #expect(try SQLParser.parse(" ; -- nothing").isEmpty)
    #expect(try SQLParser.parse("").isEmpty)
  }

  @Test func `A partitioned table, and a partition on a shard`() throws {
    guard
      case .createTable(let parent) = try one(
        "create table if not exists s.p (id bigint not null) partition by hash (id)")
    else { throw SQLError(.internalError, "not a table") }
    #expect(parent.name == RelationName(schema: "s", name: "p", location: 27))
    #expect(parent.ifNotExists)
    #expect(parent.partitionBy == PartitionClause(strategy: .hash, keys: [.column("id")], location: 52))
    #expect(parent.columns[0].constraints == [ConstraintDeclaration(kind: .notNull, location: 42)])

    guard
      case .createTable(let partition) = try one(
        "create table p1 partition of p for values with (modulus 4, remainder 0) with (shard = 2)")
    else { throw SQLError(.internalError, "not a table") }
    #expect(partition.partitionOf?.name == "p")
    #expect(partition.bound == .hash(modulus: 4, remainder: 0, location: 42))
    #expect(partition.options == [DefinitionOption(name: "shard", value: .integer(2), location: 78)])
  }

  @Test func `Options of a table are set and reset`() throws {
    guard
      case .alterTable(let statement) = try one(
        "alter table if exists t set (shard_class = cold, cold_after = '90 days'), reset (fillfactor)")
    else { throw SQLError(.internalError, "no ALTER TABLE of options") }
    #expect(statement.name == RelationName(name: "t", location: 22))
    #expect(statement.ifExists)
    #expect(
      statement.set == [
        DefinitionOption(name: "shard_class", value: .name(["cold"]), location: 29),
        DefinitionOption(name: "cold_after", value: .string("90 days"), location: 49),
      ])
    #expect(statement.reset == [DefinitionOption(name: "fillfactor", value: .none, location: 81)])
    #expect(
      try one("alter table t set (fillfactor = 70), drop column a")
        == .unsupported("ALTER TABLE", location: 0))
  }

  @Test func `Range bounds`() throws {
    guard
      case .createTable(let table) = try one(
        "create table p2 partition of p for values from (-1, minvalue) to (maxvalue, 2)")
    else { throw SQLError(.internalError, "not a table") }
    #expect(
      table.bound
        == .range(
          from: [.value(.constant(.integer(-1), location: 48)), .minimum],
          to: [.maximum, .value(.constant(.integer(2), location: 76))], location: 42))
  }

  @Test func `Sequence options keep their sign`() throws {
    #expect(
      try one("create sequence s increment by -2 minvalue -30 no maxvalue start with 0 owned by t.a")
        == .createSequence(
          CreateSequenceStatement(
            name: RelationName(name: "s", location: 16), ifNotExists: false,
            options: [
              DefinitionOption(name: "increment", value: .integer(-2), location: 18),
              DefinitionOption(name: "minvalue", value: .integer(-30), location: 34),
              DefinitionOption(name: "maxvalue", value: .none, location: 47),
              DefinitionOption(name: "start", value: .integer(0), location: 59),
              DefinitionOption(name: "owned_by", value: .names(["t", "a"]), location: 72),
            ])))
  }

  @Test func `A view keeps the text of its query`() throws {
    guard
      case .createView(let view) = try one(
        " create or replace view v (a, \"as\") with (security_barrier) as -- c\n select 1 as x, 'as' ; ")
    else { throw SQLError(.internalError, "not a view") }
    #expect(view.queryText == "select 1 as x, 'as'")
    #expect(view.columnNames == ["a", "as"])
    #expect(view.orReplace)
  }

  @Test func `Insert with conflict clause and returning`() throws {
    guard
      case .insert(let insert) = try one(
        "insert into t (a, b) values (1, default) on conflict (a) do update set a = excluded.a, (b, c) = (1, 2) returning *"
      )
    else { throw SQLError(.internalError, "not an insert") }
    #expect(insert.columns.map(\.column) == ["a", "b"])
    guard case .update(let assignments, condition: nil)? = insert.onConflict?.action else {
      throw SQLError(.internalError, "no action")
    }
    #expect(assignments.map { $0.targets.map(\.column) } == [["a"], ["b", "c"]])
    #expect(insert.returning.count == 1)
  }

  @Test func `Transaction statements`() throws {
    #expect(
      try one("begin isolation level repeatable read read only")
        == .transaction(
          TransactionStatement(
            kind: .begin,
            options: [
              DefinitionOption(name: "transaction_isolation", value: .string("repeatable read"), location: 6),
              DefinitionOption(name: "transaction_read_only", value: .integer(1), location: 38),
            ])))
    #expect(try one("end") == .transaction(TransactionStatement(kind: .commit)))
    #expect(try one("abort and chain") == .transaction(TransactionStatement(kind: .rollback, isChained: true)))
    #expect(
      try one("set session characteristics as transaction read write")
        == .setTransaction(
          [DefinitionOption(name: "transaction_read_only", value: .integer(0), location: 43)], isSession: true))
  }

  @Test func `Session statements`() throws {
    #expect(
      try one("set local search_path to a, 'B'")
        == .set(
          name: "search_path",
          values: [.constant(.string("a"), location: 25), .constant(.string("B"), location: 28)], isLocal: true))
    #expect(try one("reset work_mem") == .reset(name: "work_mem"))
    #expect(try one("show all") == .show(name: "all"))
    #expect(try one("discard all") == .discard("all"))
    #expect(try one("deallocate all") == .deallocate(name: nil))
    #expect(try one("vacuum t") == .maintenance("VACUUM"))
  }

  @Test func `Copy with options`() throws {
    #expect(
      try one("copy t (a) from stdin with (format csv, header true)")
        == .copy(
          CopyStatement(
            source: .table(RelationName(name: "t", location: 5), columns: ["a"]), isFrom: true, endpoint: .client,
            options: [
              DefinitionOption(name: "format", value: .string("csv"), location: 28),
              DefinitionOption(name: "header", value: .string("true"), location: 40),
            ])))
  }

  @Test func `Roles`() throws {
    #expect(
      try one("create user u password 'x' nosuperuser")
        == .createRole(
          name: "u", isUser: true,
          options: [
            DefinitionOption(name: "password", value: .string("x"), location: 14),
            DefinitionOption(name: "superuser", value: .boolean(false), location: 27),
          ]))
    #expect(try one("drop role if exists a, b") == .dropRole(names: ["a", "b"], ifExists: true))
  }

  @Test(arguments: [
    ("alter table t add column x int", "ALTER TABLE"), ("comment on table t is 'x'", "COMMENT ON TABLE"),
    ("create table t as select 1", "CREATE TABLE AS"), ("listen x", "LISTEN"), ("lock table t", "LOCK TABLE"),
    ("declare c cursor for select 1", "DECLARE CURSOR"), ("grant select on t to u", "GRANT"),
    ("create materialized view m as select 1", "CREATE MATERIALIZED VIEW"), ("do 'x'", "DO"),
  ])
  func `A statement that is not known has its name`(text: String, name: String) throws {
    #expect(try one("  " + text) == .unsupported(name, location: 2))
  }

  @Test func `Drop names what it drops`() throws {
    #expect(
      try one("drop table if exists a.b, c cascade")
        == .drop(DropStatement(kind: .table, names: [["a", "b"], ["c"]], ifExists: true, isCascade: true)))
    #expect(
      try one("drop function f(int)")
        == .drop(DropStatement(kind: .other("FUNCTION"), names: [["f"]], ifExists: false, isCascade: false)))
    #expect(
      try one("drop database d")
        == .drop(DropStatement(kind: .database, names: [["d"]], ifExists: false, isCascade: false)))
  }

  @Test("The first parameter of a text, not one in a string, a name or a comment")
  func firstParameter() {
    let found = SQLParser.firstParameter(in: "select '$1', \"a$2\", a$3, $tag$ $4 $tag$ /* $5 */ + $12 + $1 -- $6")
    #expect(found?.number == 12)
    #expect(found?.location == 51)
    #expect(SQLParser.firstParameter(in: "select '$1'") == nil)
  }
}
