import EventLoop
import Metadata
import SQLPlan
import SQLTypes

/// The compute node's own SQLite: evaluates scalars, and runs the statements of tier 3 over inputs that were loaded.
@LoopActor
package protocol LocalEngine: AnyObject {
  /// The values of scalar texts (`SELECT sql`), in order.
  ///
  /// - Parameter interruption: stops it, where the statement is to end.
  func evaluate(
    _ scalars: [LocalScalar], context: LocalContext, interruption: LocalInterruption
  ) async throws(SQLError) -> [StoredValue]

  /// Runs statements in an empty database, the last of which is only prepared, and undoes them.
  ///
  /// - Throws: what the first of them is refused with.
  func attempt(_ statements: [String], context: LocalContext) async throws(SQLError)

  /// An empty database of its own for one statement.
  ///
  /// - Parameter limitBytes: what its tables may take; more is SQLSTATE 53200.
  func open(context: LocalContext, limitBytes: Int) -> any LocalRun
}

/// Hands the wish to stop to whoever evaluates.
@LoopActor
package final class LocalInterruption {
  /// Set by the engine for as long as it evaluates.
  package var handler: (@LoopActor () -> Void)?
  package private(set) var isRaised = false
  package init() {}

  package func raise() {
    isRaised = true
    handler?()
  }
}

/// A scalar text with the values of ?1, ?2 …
package struct LocalScalar: Sendable, Hashable {
  package var sql: String
  package var values: [StoredValue]
  package init(sql: String, values: [StoredValue]) {
    self.sql = sql
    self.values = values
  }
}

/// What functions that look at the session answer.
package struct LocalContext: Sendable {
  /// The image that functions of the catalog look at.
  package var image: Image
  package var session: SessionInfo
  /// nil: functions that change the session fail.
  package var functions: (any LocalSessionFunctions)?
  package var sessionUser: String
  /// Schemas of the search path that exist.
  package var currentSchemas: [String]
  /// Microseconds since 2000-01-01 UTC.
  package var transactionTimeMicroseconds: Int64
  /// Microseconds since 2000-01-01 UTC.
  package var statementTimeMicroseconds: Int64
  /// What txid_current() answers.
  package var transactionNumber: Int64
  package init(
    image: Image, session: SessionInfo, functions: (any LocalSessionFunctions)? = nil, sessionUser: String,
    currentSchemas: [String], transactionTimeMicroseconds: Int64,
    statementTimeMicroseconds: Int64, transactionNumber: Int64 = 0
  ) {
    self.image = image
    self.session = session
    self.functions = functions
    self.sessionUser = sessionUser
    self.currentSchemas = currentSchemas
    self.transactionTimeMicroseconds = transactionTimeMicroseconds
    self.statementTimeMicroseconds = statementTimeMicroseconds
    self.transactionNumber = transactionNumber
  }
}

/// One statement in the compute node's SQLite: inputs are loaded, then a query runs and its rows are fetched. Calls come
/// one after another; `interrupt` and `close` at any time.
@LoopActor
package protocol LocalRun: AnyObject {
  /// Makes an input's table with `CREATE TEMP TABLE …`.
  func create(_ sql: String, table: String) async throws(SQLError)
  /// Appends rows (as `RowCodec` encodes them) to a table.
  func load(_ table: String, columnCount: Int, rowCount: Int, values: [UInt8]) async throws(SQLError)
  /// Work beside the loop, on the statement's own thread.
  func compute<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async throws(SQLError) -> Result
  /// Starts the query.
  func query(_ sql: String, values: [StoredValue], columnCount: Int) async throws(SQLError)
  /// The next rows of the query, as values row by row; nil after the last.
  func next(maximumRows: Int) async throws(SQLError) -> (rowCount: Int, values: [StoredValue])?
  /// What runs ends with 57014 soon.
  func interrupt()
  /// Frees everything.
  func close()
}

/// Functions of SQL that reach into the session. They are called on the threads of the local SQLite and block until the
/// session, on the loop, has answered.
package protocol LocalSessionFunctions: Sendable {
  func nextValue(_ sequence: UInt32) throws(SQLError) -> Int64
  func currentValue(_ sequence: UInt32) throws(SQLError) -> Int64
  func lastValue() throws(SQLError) -> Int64
  func setValue(_ sequence: UInt32, to value: Int64, isCalled: Bool) throws(SQLError) -> Int64
  func setSetting(_ name: String, to value: String?, isLocal: Bool) throws(SQLError) -> String
}
