import CSQLite
import SQLTypes
import StorageEngine

/// A fragment that runs on a connection, row after row of its parameters, batch after batch of its result. A write that fails
/// or is abandoned is undone alone, the transaction around it goes on.
///
/// Unchecked: confined as its connection is.
final class FragmentCursor: @unchecked Sendable {
  private let connection: TabletConnection
  private let fragment: EngineFragment
  private var statement: OpaquePointer?
  /// Where the parameters of the next run begin.
  private var offset = 0
  private var runsLeft: Int
  private var isBound = false
  private var hasSavepoint = false
  private let mark: Int
  /// Rows inserted, updated or deleted.
  private(set) var affected: UInt64 = 0
  private(set) var isDone = false

  init(_ fragment: EngineFragment, on connection: TabletConnection) {
    self.fragment = fragment
    self.connection = connection
    runsLeft = max(1, fragment.parameterRows)
    mark = connection.recorder?.mark ?? 0
  }

  private var presentRow: Int { max(1, fragment.parameterRows) - runsLeft }

  /// The next rows, up to about so many bytes. After the last, `isDone` is set. A failure ends the cursor and undoes its
  /// writes.
  func next(limitBytes: Int) throws(EngineFailure) -> EncodedRows {
    do throws(EngineFailure) {
      var rows = EncodedRows(count: 0, bytes: [])
      let statement = try prepared()
      while true {
        if !isBound {
          try bind(statement)
          isBound = true
        }
        switch sqlite3_step(statement) {
        case SQLITE_ROW:
          guard fragment.resultColumns > 0 else { continue }
          for column in 0..<Int32(fragment.resultColumns) {
            ValueBytes.append(column: column, of: statement, to: &rows.bytes)
          }
          rows.count += 1
          if rows.bytes.count >= limitBytes { return rows }
        case SQLITE_DONE:
          try checkSpace()
          if fragment.isWrite { affected += UInt64(max(0, sqlite3_changes64(connection.handle))) }
          connection.reset(statement)
          isBound = false
          runsLeft -= 1
          guard runsLeft == 0 else { continue }
          if hasSavepoint { try connection.run("RELEASE fragment") }
          isDone = true
          return rows
        default:
          throw stepFailure(statement)
        }
      }
    } catch {
      var failure = error
      failure.parameterRow = presentRow
      abandon()
      throw failure
    }
  }

  /// Undoes what it wrote and ends it, where it has not ended.
  func abandon() {
    guard !isDone else { return }
    isDone = true
    if let statement { connection.reset(statement) }
    guard fragment.isWrite, connection.isInTransaction else { return }
    // A single statement that failed has undone itself; one that was abandoned amid its rows, or that ran for several
    // parameter rows, has not.
    if hasSavepoint {
      try? connection.run("ROLLBACK TO fragment")
      try? connection.run("RELEASE fragment")
    }
    connection.recorder?.truncate(to: mark)
  }

  /// A short statement ends before SQLite looks whether it was interrupted for its changes, which are incomplete then.
  private func checkSpace() throws(EngineFailure) {
    guard connection.recorder?.isFull == true else { return }
    try? connection.run("ROLLBACK")
    throw connection.failure()
  }

  private func prepared() throws(EngineFailure) -> OpaquePointer {
    if let statement { return statement }
    let prepared = try connection.prepare(fragment.sql)
    guard sqlite3_stmt_busy(prepared) == 0 else {
      throw EngineFailure(error: SQLError(.internalError, "the statement is already running"))
    }
    statement = prepared
    guard Int(sqlite3_column_count(prepared)) == fragment.resultColumns || fragment.resultColumns == 0 else {
      throw EngineFailure(
        error: SQLError(
          .protocolViolation,
          "the fragment returns \(sqlite3_column_count(prepared)) columns, not \(fragment.resultColumns)"))
    }
    guard Int(sqlite3_bind_parameter_count(prepared)) <= fragment.parameterColumns else {
      throw EngineFailure(
        error: SQLError(
          .protocolViolation,
          "the fragment has \(sqlite3_bind_parameter_count(prepared)) parameters, not \(fragment.parameterColumns)"))
    }
    let isReadOnly = sqlite3_stmt_readonly(prepared) != 0
    guard fragment.isWrite ? connection.recorder != nil : isReadOnly else {
      throw EngineFailure(
        error: SQLError(.protocolViolation, "the fragment writes, but is announced as one that reads"))
    }
    if fragment.isWrite, fragment.parameterRows > 1 || fragment.resultColumns > 0 {
      try connection.run("SAVEPOINT fragment")
      hasSavepoint = true
    }
    return prepared
  }

  private func bind(_ statement: OpaquePointer) throws(EngineFailure) {
    guard fragment.parameterColumns > 0 else { return }
    let used = Int(sqlite3_bind_parameter_count(statement))
    let isWhole = fragment.parameters.withUnsafeBytes { bytes in
      for column in 0..<fragment.parameterColumns {
        if column < used {
          guard let length = ValueBytes.bind(bytes, at: offset, to: Int32(column + 1), of: statement) else {
            return false
          }
          offset += length
        } else {
          guard let length = EncodedValue.length(at: offset, in: bytes) else { return false }
          offset += length
        }
      }
      return true
    }
    guard isWhole else {
      throw EngineFailure(error: SQLError(.protocolViolation, "the fragment's parameters are damaged"))
    }
  }

  private func stepFailure(_ statement: OpaquePointer) -> EngineFailure {
    var failure = connection.failure()
    guard fragment.isWrite, failure.constraint != nil, connection.isInTransaction else { return failure }
    sqlite3_reset(statement)
    failure.failingRow = RowDiagnosis.failingRow(of: statement, on: connection)
    return failure
  }
}
