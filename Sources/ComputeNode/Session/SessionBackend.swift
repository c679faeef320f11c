import EventLoop
import PostgresWire
import SQLTypes

/// What a client's session needs from the rest of the compute node: one object per session, driven by `PostgresSession`.
///
/// The session calls one asynchronous method at a time and waits for its end; only `cancel()` and `close()` may come
/// while another call is under way.
@LoopActor
package protocol SessionBackend: AnyObject {
  /// Where the session stands between `BEGIN` and `COMMIT`; an implicit transaction counts as `idle`.
  var transactionStatus: TransactionStatus { get }

  /// What the text forms of values depend on now (TimeZone, DateStyle, names of objects).
  var conversionContext: ConversionContext { get }

  /// For how long the client may say nothing as things stand, and what it is told then; nil: for ever.
  var idleLimit: (milliseconds: Int, error: SQLError)? { get }

  /// The statements of a simple query's text, in order and without the empty ones between semicolons.
  ///
  /// - Throws: the syntax error of the whole text (position relative to it): nothing of it runs then.
  func splitStatements(_ sql: String) async throws(SQLError) -> [StatementText]

  /// Understands one statement: resolves its names and the types of its parameters and columns.
  ///
  /// - Parameters:
  ///   - sql: one statement; more than one is SQLSTATE 42601 `cannot insert multiple commands into a prepared statement`;
  ///     none (blank or only comments) is a statement whose execution gives `.empty`.
  ///   - parameterTypes: type object identifiers of `$1`, `$2` … as the client declares them; 0 or missing = to be inferred.
  /// - Throws: what is wrong with the statement, with its position in characters of `sql`.
  func parse(_ sql: String, parameterTypes: [UInt32]) async throws(SQLError) -> any ParsedStatement

  /// Starts the execution of a statement.
  ///
  /// Outside of a transaction block it opens an implicit transaction, which lasts until
  /// `commitImplicitTransaction` or `transactionFailed`.
  ///
  /// - Parameters:
  ///   - statement: what `parse` of this very backend returned; it may be old: the backend plans it anew where needed.
  ///   - parameters: one value for each of `statement.parameterTypes`.
  ///   - endsTransaction: no other statement follows in the same implicit transaction: the backend may (need not)
  ///     commit together with it and save a round trip.
  func execute(
    _ statement: any ParsedStatement, parameters: [StoredValue], endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult

  /// Commits the implicit transaction (end of a simple query, or Sync); does nothing where there is none.
  func commitImplicitTransaction() async throws(SQLError)

  /// An error has happened, in the backend or before it was reached: rolls an implicit transaction back, makes the
  /// transaction of a block `failed`; does nothing where there is none.
  func transactionFailed() async

  /// Asks the statement under way to end with SQLSTATE 57014; returns at once, does nothing where none runs.
  func cancel()

  /// The client has gone: rolls back and frees everything. Called once; no other call comes after it.
  func close()
}

extension SessionBackend {
  package var idleLimit: (milliseconds: Int, error: SQLError)? { nil }
}

/// Gives a connection its role's verifier and, once authenticated, its backend.
@LoopActor
package protocol SessionBackendFactory: AnyObject {
  /// The role's password verifier in PostgreSQL's form (`SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`).
  ///
  /// nil where the role does not exist or has no password: the client then goes through a mock exchange that ends
  /// with 28P01, so that it cannot tell the two apart.
  ///
  /// - Throws: where the catalog cannot be read yet (57P03).
  func authenticationVerifier(user: String) async throws(SQLError) -> String?

  /// Opens a session for an authenticated role.
  ///
  /// - Parameters:
  ///   - parameters: the startup packet's settings (`application_name`, `client_encoding`, `options` taken apart, …)
  ///     in the client's order, without `user` and `database`.
  ///   - client: told about notices and reported settings; the backend holds it weakly.
  /// - Throws: 3D000 for an unknown database, 28000 for a role that may not log in, 22023 or 42704 for a bad setting.
  func makeSession(
    user: String, database: String, parameters: [(name: String, value: String)], client: any SessionClient
  ) async throws(SQLError) -> any SessionBackend
}

/// The client's end of a session, as its backend sees it.
@LoopActor
package protocol SessionClient: AnyObject {
  /// The number that `pg_backend_pid()` answers and cancel requests carry.
  var processID: Int32 { get }

  /// The peer's address as `host:port`, for `pg_stat_activity` and messages.
  var peerAddress: String { get }

  /// Sends a NOTICE or WARNING.
  func report(_ notice: SQLNotice)

  /// Tells the client the value of a reported setting; the backend calls it for every setting of
  /// `ReportedSettings.names` while the session opens, and again whenever one changes.
  func reportSetting(name: String, value: String)

  /// `DEALLOCATE`: forgets a statement that the client prepared by message; nil forgets all of them.
  ///
  /// - Returns: whether there was one of that name (the error 26000 is the backend's, which may have its own).
  func deallocatePreparedStatement(named name: String?) -> Bool
}

/// One statement of a simple query.
package struct StatementText: Sendable, Equatable {
  /// The statement's text, without the semicolon.
  package let text: String
  /// Characters of the query before it: added to the positions of its errors.
  package let characterOffset: Int

  /// A statement at a place of a query.
  package init(text: String, characterOffset: Int) {
    self.text = text
    self.characterOffset = characterOffset
  }
}

/// A statement that a backend has understood; backends extend it by what they need.
package protocol ParsedStatement: Sendable {
  /// Resolved types of `$1`, `$2` …
  var parameterTypes: [SQLType] { get }
  /// The result's columns; nil for a statement that returns no rows.
  var columns: [ResultColumn]? { get }
  /// What it does, for those who count statements.
  var kind: StatementKind { get }
}

extension ParsedStatement {
  package var kind: StatementKind { .other }
}

/// What a statement does, as far as those who count them want to know.
package enum StatementKind: String, Sendable, CaseIterable {
  case select, insert, update, delete, copy
  /// CREATE, ALTER, DROP, TRUNCATE.
  case definition
  /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin.
  case transaction
  /// What could not be understood, so that nothing is known of it.
  case unknown
  case other
}

/// What the execution of a statement gives.
package enum StatementResult: Sendable {
  /// It had no text.
  case empty
  /// It is done; the command tag (`INSERT 0 1`, `CREATE TABLE`).
  case command(tag: String)
  /// It returns rows.
  case rows(any RowSource)
  /// It is `COPY … TO STDOUT`: the rows, and the form that the client wants them in.
  case copyOut(any RowSource, CopyOptions)
  /// It is `COPY … FROM STDIN`.
  case copyIn(any CopySink)
}

/// A result's rows, as they come.
@LoopActor
package protocol RowSource: AnyObject, Sendable {
  /// Names and types of the columns.
  var columns: [ResultColumn] { get }

  /// The next rows, at most `maximumRows` of them and at least one; nil after the last.
  func nextBatch(maximumRows: Int) async throws(SQLError) -> RowBatch?

  /// The command tag for a number of rows sent, e.g. `SELECT 3`, `INSERT 0 3`, `COPY 3`; asked for after the last row.
  func commandTag(rowCount: Int) -> String

  /// The rest is not wanted. Not called after the last row.
  func close()
}

/// Where the rows of `COPY … FROM STDIN` go. The session takes the client's bytes apart.
@LoopActor
package protocol CopySink: AnyObject, Sendable {
  /// Format, delimiter and so on.
  var options: CopyOptions { get }
  /// The table's name, for the context of errors.
  var tableName: String { get }
  /// The columns that the client sends, in its order.
  var columns: [CopyColumn] { get }

  /// Takes rows (a value per column); returns once it can take more.
  func write(_ rows: RowBatch) async throws(SQLError)

  /// All rows have come: the command tag, `COPY 42`. The session commits as after any statement.
  func finish() async throws(SQLError) -> String

  /// The client or its data failed: the rows so far must not stay. `transactionFailed` follows.
  func fail()
}
