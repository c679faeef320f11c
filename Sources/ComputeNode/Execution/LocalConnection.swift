import Glibc
import PostgresWire
import SQLPlan
import SQLTypes
import SQLite
import Synchronization

/// Says to a function that waits (pg_sleep) that its statement is to end.
final class InterruptFlag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isRaised: Bool { flag.load(ordering: .relaxed) }
  func raise() { flag.store(true, ordering: .relaxed) }
  func lower() { flag.store(false, ordering: .relaxed) }
}

/// A connection to an empty in-memory database with PostgreSQL's functions. Confined to one worker's thread.
final class LocalConnection {
  let database: SQLiteDatabase
  private let session: SessionContext
  /// What functions of the catalog and the session look at: that of the statement under way.
  private let current = CurrentContext()
  private var tables: [String] = []
  private var cursor: SQLiteStatement?
  private var cursorColumns = 0

  private let flag: InterruptFlag

  init(interruptFlag: InterruptFlag) throws(SQLError) {
    flag = interruptFlag
    do {
      database = try SQLiteDatabase(.memory)
      session = SessionContext()
      session.version = "PostgreSQL \(ReportedSettings.serverVersion) (Kunlog)"
      try PostgresFunctions.register(on: database, context: session)
      for function in Self.catalogFunctions(current) + Self.sessionFunctions(current) + [Self.sleep(interruptFlag)] {
        try database.register(function, context: session)
      }
    } catch {
      throw error.sqlError
    }
  }

  /// The interrupt of the connection, for other threads.
  var interrupt: SQLiteInterrupt { database.interrupt }

  /// Says in whose name statements run from now on.
  func enter(_ context: LocalContext) {
    flag.lower()
    current.context = context
    session.conversion = CatalogNames(image: context.image, session: context.session)
      .conversion(transactionTimeMicroseconds: context.transactionTimeMicroseconds)
    session.statementTimestamp = context.statementTimeMicroseconds
    session.transactionID = context.transactionNumber
    session.user = context.session.user
    session.sessionUser = context.sessionUser
    session.database = context.session.database
    session.searchPath = context.currentSchemas
    session.backendProcessID = context.session.processID
    session.settings = context.session.settings
    let functions = context.functions
    session.onSetConfig = { [weak session] name, value, isLocal in
      guard let functions else { throw Self.noSession }
      // What the rest of the statement reads is the new value, as the session has normalized it.
      session?.settings[name.lowercased()] = try functions.setSetting(name, to: value, isLocal: isLocal)
    }
  }

  /// Forgets the statement: its tables, its cursor and whose it was.
  func leave() {
    cursor?.reset()
    cursor = nil
    for table in tables { try? database.execute("DROP TABLE IF EXISTS temp.\(quoted(table))") }
    tables = []
    current.context = nil
    session.onSetConfig = nil
  }

  func evaluate(_ scalar: LocalScalar) throws(SQLError) -> StoredValue {
    do {
      let rows = try database.query("SELECT " + scalar.sql, scalar.values)
      guard let value = rows.first?.first else { throw SQLError(.internalError, "a scalar without a value") }
      return value
    } catch let error as SQLiteError {
      throw error.sqlError
    } catch {
      throw error as? SQLError ?? SQLError(.internalError, "\(error)")
    }
  }

  /// Runs all but the last of the statements and prepares the last, then undoes them.
  func attempt(_ statements: [String]) throws(SQLError) {
    do throws(SQLiteError) {
      try database.execute("BEGIN")
      defer { try? database.execute("ROLLBACK") }
      for statement in statements.dropLast() { try database.execute(statement) }
      if let last = statements.last { _ = try database.prepare(last) }
    } catch {
      throw error.sqlError
    }
  }

  func create(_ sql: String, table: String) throws(SQLError) {
    tables.append(table)
    do { try database.execute(sql) } catch { throw error.sqlError }
  }

  func load(_ table: String, columnCount: Int, rowCount: Int, values: [UInt8]) throws(SQLError) {
    do {
      let places = (1...max(1, columnCount)).map { "?\($0)" }.joined(separator: ",")
      let sql =
        columnCount == 0
        ? "INSERT INTO temp.\(quoted(table)) DEFAULT VALUES" : "INSERT INTO temp.\(quoted(table)) VALUES (\(places))"
      let statement = try database.prepare(sql)
      var reader = RowReader(values)
      for _ in 0..<rowCount {
        statement.reset()
        for column in 0..<columnCount { try statement.bind(try reader.next(), at: column + 1) }
        while try statement.step() {}
      }
      statement.reset()
    } catch let error as SQLiteError {
      throw error.sqlError
    } catch {
      throw SQLError(.dataCorrupted, "rows of a shard cannot be read: \(error)")
    }
  }

  func query(_ sql: String, _ values: [StoredValue], columnCount: Int) throws(SQLError) {
    do {
      let statement = try database.prepare(sql)
      // A function whose result does not depend on an argument leaves its value over.
      try statement.bind(Array(values.prefix(statement.parameterCount)))
      cursor = statement
      cursorColumns = columnCount
    } catch {
      throw error.sqlError
    }
  }

  func next(maximumRows: Int) throws(SQLError) -> (rowCount: Int, values: [StoredValue])? {
    guard let cursor else { return nil }
    var values: [StoredValue] = []
    var rowCount = 0
    do {
      while rowCount < maximumRows {
        guard try cursor.step() else {
          self.cursor = nil
          break
        }
        for column in 0..<cursorColumns { values.append(cursor.value(column)) }
        rowCount += 1
      }
    } catch {
      self.cursor = nil
      throw error.sqlError
    }
    return rowCount > 0 ? (rowCount, values) : nil
  }

  private func quoted(_ name: String) -> String { "\"\(name)\"" }

  // MARK: Functions

  private static let noSession = SQLError(.featureNotSupported, "this function needs a session")

  /// Whose statement runs.
  ///
  /// Unchecked: confined, as its connection is, to one worker's thread; only functions that SQLite calls there see it.
  private final class CurrentContext: @unchecked Sendable {
    var context: LocalContext?
  }

  private static func catalogFunctions(_ current: CurrentContext) -> [ScalarFunction] {
    CatalogFunctions.sqliteNames.map { name in
      ScalarFunction(name, -1, isStrict: false, isDeterministic: false) { (arguments, _) throws(SQLError) in
        guard let context = current.context else { throw noSession }
        return try CatalogFunctions.evaluate(name, arguments.all, image: context.image, session: context.session)
      }
    }
  }

  private static func sessionFunctions(_ current: CurrentContext) -> [ScalarFunction] {
    [
      function("pg_nextval", 1, current) { (arguments, functions) throws(SQLError) in
        .integer(try functions.nextValue(oid(arguments[0])))
      },
      function("pg_currval", 1, current) { (arguments, functions) throws(SQLError) in
        .integer(try functions.currentValue(oid(arguments[0])))
      },
      function("pg_lastval", 0, current) { (_, functions) throws(SQLError) in .integer(try functions.lastValue()) },
      function("pg_setval", -1, current) { (arguments, functions) throws(SQLError) in
        guard arguments.count > 1, let value = arguments[1].integerValue else { return .null }
        let isCalled = arguments.count < 3 || arguments[2] != .integer(0)
        return .integer(try functions.setValue(oid(arguments[0]), to: value, isCalled: isCalled))
      },
    ]
  }

  private static func function(
    _ name: String, _ count: Int, _ current: CurrentContext,
    _ body: @escaping @Sendable ([StoredValue], any LocalSessionFunctions) throws(SQLError) -> StoredValue
  ) -> ScalarFunction {
    ScalarFunction(name, count, isStrict: true, isDeterministic: false) { (arguments, _) throws(SQLError) in
      guard let functions = current.context?.functions else { throw noSession }
      return try body(arguments.all, functions)
    }
  }

  /// pg_sleep, in steps, so that it can be interrupted. It holds its statement's own thread only.
  private static func sleep(_ flag: InterruptFlag) -> ScalarFunction {
    ScalarFunction("pg_sleep", 1, isStrict: true, isDeterministic: false) { (arguments, _) throws(SQLError) in
      let seconds = arguments.double(0)
      guard seconds > 0 else { return .text("") }
      var remaining = min(seconds, 1e9)
      while remaining > 0 {
        if flag.isRaised { throw SQLError(.queryCanceled, "canceling statement due to user request") }
        let step = min(remaining, 0.02)
        usleep(UInt32(step * 1_000_000))
        remaining -= step
      }
      return .text("")
    }
  }

  private static func oid(_ value: StoredValue) -> UInt32 { UInt32(truncatingIfNeeded: value.integerValue ?? 0) }
}
