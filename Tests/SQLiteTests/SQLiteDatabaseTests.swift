import SQLTypes
import Testing

@testable import SQLite

@Suite("A connection")
struct SQLiteDatabaseTests {
  @Test("values come back as they were bound")
  func roundTrip() throws {
    let database = try SQLiteDatabase(.memory)
    let row: [StoredValue] = [
      .null, .integer(.min), .real(0.1), .text(""), .text("a\u{0}b"), .text("żółć"), .blob([]), .blob([0, 255]),
    ]
    #expect(try database.query("SELECT ?, ?, ?, ?, ?, ?, ?, ?", row) == [row])
  }

  @Test("a violated constraint tells its kind")
  func constraint() throws {
    let database = try SQLiteDatabase(.memory)
    try database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE NOT NULL)")
    #expect(try database.run("INSERT INTO t VALUES (1, 'x')") == 1)
    let error = #expect(throws: SQLiteError.self) { try database.run("INSERT INTO t VALUES (2, 'x')") }
    #expect(error?.sqlError.sqlState == .uniqueViolation)
    #expect(error?.message == "UNIQUE constraint failed: t.b")
    let missing = #expect(throws: SQLiteError.self) { try database.run("INSERT INTO t VALUES (2, NULL)") }
    #expect(missing?.sqlError.sqlState == .notNullViolation)
  }

  @Test("a function's error arrives with its SQLSTATE")
  func functionError() throws {
    let database = try SQLiteDatabase(.memory)
    let function = ScalarFunction("boom", 0) { _, _ throws(SQLError) in
      throw SQLError(.divisionByZero, "division by zero", hint: "Do not.")
    }
    try database.register(function, context: SessionContext())
    let error = #expect(throws: SQLiteError.self) { try database.query("SELECT boom()") }
    #expect(error?.sqlError == SQLError(.divisionByZero, "division by zero", hint: "Do not."))
  }

  @Test("a progress handler ends a statement")
  func progressHandler() throws {
    let database = try SQLiteDatabase(.memory)
    database.setProgressHandler(everyInstructions: 1000) { true }
    let error = #expect(throws: SQLiteError.self) {
      try database.query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c")
    }
    #expect(error?.isInterrupted == true)
    #expect(error?.sqlError.sqlState == .queryCanceled)
  }

  @Test("a name in double quotes is never a string")
  func doubleQuotes() throws {
    let database = try SQLiteDatabase(.memory)
    #expect(throws: SQLiteError.self) { try database.query("SELECT \"nothing\"") }
  }

  @Test("a running statement's text can be run again")
  func nestedStatements() throws {
    let database = try SQLiteDatabase(.memory)
    let outer = try database.statement("VALUES (1), (2)")
    #expect(try outer.step())
    let inner = try database.statement("VALUES (1), (2)")
    #expect(try inner.all() == [[.integer(1)], [.integer(2)]])
    #expect(try outer.step())
    #expect(outer.row() == [.integer(2)])
  }
}

@Suite("Changesets")
struct ChangesetTests {
  private func database() throws -> SQLiteDatabase {
    let database = try SQLiteDatabase(.memory)
    try database.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    try database.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    return database
  }

  private func changes(_ database: SQLiteDatabase) throws -> [UInt8] {
    let session = try SQLiteSession(on: database)
    try session.attach(table: nil)
    try database.execute(
      "UPDATE t SET v = 'zwei' WHERE k = 2; DELETE FROM t WHERE k = 1; INSERT INTO t VALUES (3, 'drei')")
    return try session.changeset()
  }

  @Test("applied elsewhere they give the same rows, and inverted they undo them")
  func roundTrip() throws {
    let changeset = try changes(database())
    let other = try database()
    try Changeset.apply(changeset, to: other) { _, _ in .abort }
    #expect(
      try other.query("SELECT * FROM t ORDER BY k") == [[.integer(2), .text("zwei")], [.integer(3), .text("drei")]])
    try Changeset.apply(Changeset.invert(changeset), to: other) { _, _ in .abort }
    #expect(
      try other.query("SELECT * FROM t ORDER BY k") == [[.integer(1), .text("one")], [.integer(2), .text("two")]])
  }

  @Test("they can be read change by change")
  func iteration() throws {
    let list = try Changeset.changes(changes(database()))
    #expect(list.count == 3)
    let update = try #require(list.first { $0.operation == .update })
    #expect(update.table == "t")
    #expect(update.old == [.integer(2), .text("two")])
    #expect(update.new == [nil, .text("zwei")])
    #expect(update.isPrimaryKey == [true, false])
  }

  @Test("a conflict is told, and an abort leaves nothing behind")
  func conflict() throws {
    let changeset = try changes(database())
    let other = try database()
    try other.execute("UPDATE t SET v = 'deux' WHERE k = 2")
    var conflicts: [Changeset.Conflict] = []
    let error = #expect(throws: SQLiteError.self) {
      try Changeset.apply(changeset, to: other) { conflict, _ in
        conflicts.append(conflict)
        return .abort
      }
    }
    #expect(conflicts == [.dataDiffers])
    #expect(error?.code == 4)
    #expect(
      try other.query("SELECT * FROM t ORDER BY k") == [[.integer(1), .text("one")], [.integer(2), .text("deux")]])
  }

  @Test("bytes that are no changeset are an error")
  func garbage() throws {
    let whole = try changes(database())
    let garbage: [[UInt8]] = [
      [1, 2, 3], [0x54, 0xff, 0x01, 0x02], [0x54], Array(whole.dropLast()), whole + [0x54, 1],
    ]
    for bytes in garbage {
      #expect(throws: SQLiteError.self) { try Changeset.changes(bytes) }
      #expect(throws: SQLiteError.self) { try Changeset.apply(bytes, to: database()) { _, _ in .abort } }
      #expect(throws: SQLiteError.self) { try Changeset.invert(bytes) }
    }
    #expect(try Changeset.changes([]) == [])
  }
}
