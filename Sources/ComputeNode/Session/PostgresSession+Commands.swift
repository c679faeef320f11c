import EventLoop
import PostgresWire
import SQLParser
import SQLTypes

/// The open session: interprets `SessionMachine`.
extension PostgresSession {
  /// Serves the client until either side ends the session.
  func serve() async {
    while let message = await nextMessage() {
      if case .bind = message, let backend { machine.conversionContext = backend.conversionContext }
      var step = machine.receive(message)
      var isDone = false
      while !isDone {
        for id in step.dropped { drop(id) }
        for reply in step.replies { output.append(reply) }
        switch step.effect {
        case .awaitMessage: isDone = true
        case .flush:
          flush()
          guard await drain() else { return }
          isDone = true
        case .close: return
        default:
          guard let backend else { return }
          let next = await perform(step.effect, backend)
          guard let next, !isGone else { return }
          step = next
        }
      }
    }
  }

  /// The next message; nil where the session ends.
  private func nextMessage() async -> FrontendMessage? {
    while !isGone {
      do {
        if let message = try decoder.nextMessage() { return message }
      } catch {
        for reply in machine.fatal(error).replies { output.append(reply) }
        return nil
      }
      guard await waitForInput() else { return nil }
    }
    return nil
  }

  private func drop(_ id: Int) {
    statements[id] = nil
    cursors.removeValue(forKey: id)?.close()
  }

  /// Does what the machine says and tells it the outcome; nil where the client has gone.
  private func perform(
    _ effect: SessionMachine.Effect, _ backend: any SessionBackend
  ) async -> SessionMachine.Step? {
    do throws(SQLError) {
      switch effect {
      case .split(let sql):
        simpleStatements = try await backend.splitStatements(sql)
        return machine.querySplit(count: simpleStatements.count)
      case .runSimple(let index, let endsTransaction):
        return try await runSimple(simpleStatements[index], endsTransaction, backend)
      case .parse(let id, let sql, let parameterTypes):
        let statement = try await backend.parse(sql, parameterTypes: parameterTypes)
        statements[id] = statement
        return machine.parsed(parameterTypes: statement.parameterTypes, columns: statement.columns)
      case .execute(let request): return try await execute(request, backend)
      case .resume(let portal, let rowLimit):
        guard let cursor = cursors.removeValue(forKey: portal) else {
          throw SQLError(.invalidCursorName, "portal has no rows left to fetch")
        }
        return try await sendRows(cursor, rowLimit: rowLimit, portal: portal)
      case .copyData(let bytes): return try await takeCopyData(bytes)
      case .copyDone: return try await finishCopy(backend)
      case .copyAbort(let error): throw error
      case .commit:
        try await backend.commitImplicitTransaction()
        return machine.transactionEnded(status: backend.transactionStatus)
      case .abort:
        await backend.transactionFailed()
        return machine.transactionEnded(status: backend.transactionStatus)
      case .awaitMessage, .flush, .close: preconditionFailure("serve does \(effect)")
      }
    } catch {
      copy?.sink.fail()
      copy = nil
      if isGone { return nil }
      return error.endsSession ? machine.fatal(error) : machine.failed(error)
    }
  }

  private func runSimple(
    _ text: StatementText, _ endsTransaction: Bool, _ backend: any SessionBackend
  ) async throws(SQLError) -> SessionMachine.Step? {
    var kind = StatementKind.unknown
    let startedAt = Loop.now
    do throws(SQLError) {
      let statement = try await backend.parse(text.text, parameterTypes: [])
      kind = statement.kind
      // Nobody gives a simple query's parameters their values.
      guard statement.parameterTypes.isEmpty else { throw Self.noParameter(in: text.text) }
      let result = try await backend.execute(statement, parameters: [], endsTransaction: endsTransaction)
      let step = try await deliver(result, formats: [], rowLimit: 0, portal: nil, backend)
      listener.statistics.ended(kind, nil, startedAt: startedAt)
      return step
    } catch {
      listener.statistics.ended(kind, error, startedAt: startedAt)
      // Positions count from the start of the whole query.
      var error = error
      if let position = error.position { error.position = position + text.characterOffset }
      throw error
    }
  }

  private static func noParameter(in text: String) -> SQLError {
    let first = SQLParser.firstParameter(in: text)
    return SQLError(
      .undefinedParameter, "there is no parameter $\(first?.number ?? 1)",
      position: first.flatMap { SQLParser.characterPosition(ofByte: $0.location, in: text) })
  }

  private func execute(
    _ request: SessionMachine.ExecuteRequest, _ backend: any SessionBackend
  ) async throws(SQLError) -> SessionMachine.Step? {
    guard let statement = statements[request.statement] else {
      preconditionFailure("the machine drops a statement after its last portal")
    }
    // Drivers send Sync in the same packet: the backend may commit together with the statement.
    let endsTransaction = request.rowLimit == 0 && decoder.nextIsSync
    let startedAt = Loop.now
    do throws(SQLError) {
      let result = try await backend.execute(
        statement, parameters: request.parameters, endsTransaction: endsTransaction)
      let step = try await deliver(
        result, formats: request.resultFormats, rowLimit: request.rowLimit, portal: request.portal, backend)
      listener.statistics.ended(statement.kind, nil, startedAt: startedAt)
      return step
    } catch {
      listener.statistics.ended(statement.kind, error, startedAt: startedAt)
      throw error
    }
  }

  private func deliver(
    _ result: StatementResult, formats: [FormatCode], rowLimit: Int, portal: Int?, _ backend: any SessionBackend
  ) async throws(SQLError) -> SessionMachine.Step? {
    switch result {
    case .empty: return machine.completedEmpty(status: backend.transactionStatus)
    case .command(let tag): return machine.completed(tag: tag, status: backend.transactionStatus)
    case .rows(let source):
      let cursor = RowCursor(source, formats: formats, context: backend.conversionContext)
      do {
        for message in try machine.rowsBegin(source.columns) { output.append(message) }
      } catch {
        cursor.close()
        throw error
      }
      return try await sendRows(cursor, rowLimit: rowLimit, portal: portal)
    case .copyOut(let source, let options): return try await sendCopy(source, options, backend)
    case .copyIn(let sink):
      copy = CopyInProgress(sink, context: backend.conversionContext)
      return machine.copyInBegins(format: sink.options.formatCode, columnCount: sink.columns.count)
    }
  }

  /// Sends rows up to the limit (0 = all); nil where the client has gone.
  private func sendRows(
    _ cursor: RowCursor, rowLimit: Int, portal: Int?
  ) async throws(SQLError) -> SessionMachine.Step? {
    var sent = 0
    do {
      while rowLimit == 0 || sent < rowLimit {
        let wanted = rowLimit == 0 ? RowCursor.batchRows : min(RowCursor.batchRows, rowLimit - sent)
        guard let batch = try await cursor.source.nextBatch(maximumRows: wanted) else {
          return machine.rowsEnded(tag: cursor.source.commandTag(rowCount: sent), status: status)
        }
        for row in 0..<batch.rowCount {
          try cursor.encoder.append(batch[row], to: &output)
          if isOutputFull, await !flushAndDrain() {
            cursor.close()
            return nil
          }
        }
        sent += batch.rowCount
      }
    } catch {
      cursor.close()
      throw error
    }
    if let portal { cursors[portal] = cursor }
    return machine.rowsSuspended(status: status)
  }

  /// The backend's transaction status now.
  private var status: TransactionStatus { backend?.transactionStatus ?? .idle }
}

/// The rows of one execution.
@LoopActor
final class RowCursor {
  /// Rows asked for at a time.
  static let batchRows = 512

  let source: any RowSource
  let encoder: DataRowEncoder
  private var isClosed = false

  init(_ source: any RowSource, formats: [FormatCode], context: ConversionContext) {
    self.source = source
    encoder = DataRowEncoder(columns: source.columns, formats: formats, context: context)
  }

  /// The rest is not wanted.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    source.close()
  }
}

extension SQLError {
  /// Errors that a backend raises to end the whole session (PostgreSQL 15 manual, appendix A: class 57's P0x, 25P03).
  fileprivate var endsSession: Bool {
    ["57P01", "57P02", "57P03", "57P04", "57P05", "25P03"].contains(sqlState.rawValue)
  }
}
