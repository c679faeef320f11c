import EventLoop
import PostgresWire
import SQLTypes

/// A COPY FROM STDIN under way.
@LoopActor
final class CopyInProgress {
  let sink: any CopySink
  var decoder: CopyDecoder

  init(_ sink: any CopySink, context: ConversionContext) {
    self.sink = sink
    decoder = CopyDecoder(options: sink.options, columns: sink.columns, tableName: sink.tableName, context: context)
  }

  /// Hands over all whole rows that are there.
  func writeRows() async throws(SQLError) {
    var batch = RowBatch(columnCount: sink.columns.count)
    while true {
      let mayHaveMore = try decoder.decode(into: &batch, maximumRows: RowCursor.batchRows)
      if batch.rowCount > 0 { try await sink.write(batch) }
      guard mayHaveMore else { return }
      batch.removeAll()
    }
  }
}

/// COPY in both directions.
extension PostgresSession {
  /// Takes a message of data.
  func takeCopyData(_ bytes: [UInt8]) async throws(SQLError) -> SessionMachine.Step? {
    guard let copy else { preconditionFailure("data comes while COPY is under way") }
    copy.decoder.append(bytes)
    // Small messages (psql sends one per line) are gathered while more of them are there already.
    if bytes.count >= 8 << 10 || !decoder.nextIsCopyData { try await copy.writeRows() }
    return isGone ? nil : machine.copyContinues()
  }

  /// The data is complete.
  func finishCopy(_ backend: any SessionBackend) async throws(SQLError) -> SessionMachine.Step? {
    guard let copy else { preconditionFailure("data ends while COPY is under way") }
    copy.decoder.finish()
    try await copy.writeRows()
    let tag = try await copy.sink.finish()
    self.copy = nil
    return machine.completed(tag: tag, status: backend.transactionStatus)
  }

  /// Sends all rows in COPY's form; nil where the client has gone.
  func sendCopy(
    _ source: any RowSource, _ options: CopyOptions, _ backend: any SessionBackend
  ) async throws(SQLError) -> SessionMachine.Step? {
    var encoder = CopyEncoder(options: options, columns: source.columns, context: backend.conversionContext)
    output.append(.copyOutResponse(format: options.formatCode, columnCount: source.columns.count))
    encoder.appendStart(to: &output)
    var sent = 0
    do {
      while let batch = try await source.nextBatch(maximumRows: RowCursor.batchRows) {
        for row in 0..<batch.rowCount {
          try encoder.append(batch[row], to: &output)
          if isOutputFull, await !flushAndDrain() {
            source.close()
            return nil
          }
        }
        sent += batch.rowCount
      }
    } catch {
      source.close()
      throw error
    }
    encoder.appendEnd(to: &output)
    return machine.copyOutEnded(tag: source.commandTag(rowCount: sent), status: backend.transactionStatus)
  }
}
