import EventLoop
import Metadata
import PostgresWire
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

extension ComputeSession {
  func runCopy(
    _ statement: CopyStatement, _ command: PreparedCommand, _ scope: StatementScope, endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    switch statement.endpoint {
    case .client: break
    case .file, .program:
      throw SQLError(
        .featureNotSupported, "COPY with a file or program of the server is not supported",
        hint: "Use COPY … FROM STDIN or TO STDOUT; psql's \\copy does.")
    }
    let options = try CopyOptions(copyOptions(statement.options, text: command.text), isFrom: statement.isFrom)
    return statement.isFrom
      ? try copyIn(statement, options, text: command.text, scope, endsTransaction: endsTransaction)
      : try await copyOut(statement, options, command, scope)
  }

  /// The options in the wire's terms.
  private func copyOptions(_ options: [DefinitionOption], text: String) -> [CopyOptions.Option] {
    options.map { option in
      let argument: CopyOptions.Argument
      switch option.value {
      case .none: argument = .absent
      case .string(let text), .decimal(let text): argument = .text(text)
      case .integer(let number): argument = .text(String(number))
      case .boolean(let flag): argument = .text(flag ? "true" : "false")
      case .name(let names): argument = .text(names.joined(separator: "."))
      case .names(let names): argument = .list(names)
      case .star: argument = .star
      }
      return CopyOptions.Option(
        name: option.name, argument: argument,
        position: SQLParser.characterPosition(ofByte: option.location, in: text))
    }
  }

  // MARK: TO STDOUT

  private func copyOut(
    _ statement: CopyStatement, _ options: CopyOptions, _ command: PreparedCommand, _ scope: StatementScope
  ) async throws(SQLError) -> StatementResult {
    let query: Statement
    switch statement.source {
    case .query(let inner): query = inner
    case .table(let name, let columns):
      let targets =
        columns.isEmpty
        ? [SelectTarget(expression: .column([], isStar: true, location: -1))]
        : columns.map { SelectTarget(expression: .column([$0], isStar: false, location: -1)) }
      if case .table(let table) = try relation(name), table.partitioning != nil {
        throw SQLError(
          .wrongObjectType, "cannot copy from partitioned table \"\(table.name)\"",
          hint: "Try the COPY (SELECT ...) TO variant.")
      }
      var core = SelectCore(targets: targets)
      core.from = [.table(name, alias: nil)]
      query = .select(SelectStatement(body: .select(core)))
    }
    let analyzed = try await plan(query, text: command.text, declaredTypes: [])
    try checkAccess(analyzed.dependencies)
    let columns = analyzed.columns.map(\.resultColumn)
    let source: any BatchSource
    switch analyzed.plan {
    case .query(let plan):
      source = try await withReplanning(scope) { () throws(AttemptFailure) in try await self.open(plan, [], scope) }
    case .write(let plan):
      guard !columns.isEmpty else {
        throw SQLError(.featureNotSupported, "COPY query must have a RETURNING clause")
      }
      let outcome = try await withReplanning(scope) { () throws(AttemptFailure) in
        try await self.write(analyzed, plan, [], scope, mayCommit: false)
      }
      source = StaticSource(outcome.rows ?? RowBatch(columnCount: columns.count))
    }
    return .copyOut(rows(columns, source, scope) { "COPY \($0)" }, options)
  }

  // MARK: FROM STDIN

  private func copyIn(
    _ statement: CopyStatement, _ options: CopyOptions, text: String, _ scope: StatementScope, endsTransaction: Bool
  ) throws(SQLError) -> StatementResult {
    guard statement.condition == nil else { throw SQLError(.featureNotSupported, "COPY FROM … WHERE is not supported") }
    guard case .table(let name, let names) = statement.source else {
      throw SQLError(.syntaxError, "COPY FROM needs a table")
    }
    try checkWritable("COPY FROM")
    switch try relation(name, text: text) {
    case .table: break
    case .view(let view): throw SQLError(.wrongObjectType, "cannot copy to view \"\(view.name)\"")
    case .sequence(let sequence): throw SQLError(.wrongObjectType, "cannot copy to sequence \"\(sequence.name)\"")
    case .index(let index): throw SQLError(.wrongObjectType, "cannot copy to index \"\(index.name)\"")
    }
    let (plan, columns, dependencies) = try planner().planCopyFrom(name, columns: names, text: text)
    try checkAccess(dependencies)
    guard case .rows(let slots) = plan.source else {
      throw SQLError(.internalError, "a plan of COPY without slots")
    }
    return .copyIn(
      TableCopySink(
        session: self, scope: scope, plan: plan, slots: slots, options: options, tableName: name.name,
        columns: columns.map { CopyColumn(name: $0.name, type: $0.type) }, endsTransaction: endsTransaction))
  }
}

/// Rows of COPY FROM on their way to a shard: gathered, completed, routed and sent within the transaction, which ends as
/// any other does. Where rows would go to a second shard, it fails before anything is sent there.
@LoopActor
final class TableCopySink: CopySink {
  /// Rows, and about how many bytes of them, that travel together.
  private static let batchRows = 2000
  private static let batchBytes = 512 << 10

  let options: CopyOptions
  let tableName: String
  let columns: [CopyColumn]
  private let session: ComputeSession
  private let scope: StatementScope
  private let plan: InsertPlan
  /// Where the values of a complete row come from.
  private let slots: [InsertSlot]
  private let endsTransaction: Bool
  private var pending: [[StoredValue]] = []
  private var pendingBytes = 0
  private var count = 0

  init(
    session: ComputeSession, scope: StatementScope, plan: InsertPlan, slots: [InsertSlot], options: CopyOptions,
    tableName: String, columns: [CopyColumn], endsTransaction: Bool
  ) {
    self.session = session
    self.scope = scope
    self.plan = plan
    self.slots = slots
    self.options = options
    self.tableName = tableName
    self.columns = columns
    self.endsTransaction = endsTransaction
  }

  func write(_ rows: RowBatch) async throws(SQLError) {
    for index in 0..<rows.rowCount {
      let values = Array(rows[index])
      pendingBytes += values.reduce(0) { $0 + $1.memoryBytes }
      pending.append(values)
      if pending.count >= Self.batchRows || pendingBytes >= Self.batchBytes { try await flush() }
    }
  }

  func finish() async throws(SQLError) -> String {
    try await flush()
    // The client must not hear that the rows are there before they are.
    if endsTransaction { try await session.commitImplicitTransaction() }
    session.finish(scope)
    return "COPY \(count)"
  }

  func fail() {
    pending = []
    session.finish(scope)
  }

  private func flush() async throws(SQLError) {
    do {
      try scope.check()
    }
    guard !pending.isEmpty else { return }
    let batch = pending
    pending = []
    pendingBytes = 0
    do {
      let rows = try await session.completed(batch.map { values in slots.map { $0.parameter(values[...], []) } })
      try await session.lockMirror(plan, scope)
      let fragments = try await session.routed(plan, rows, [])
      _ = try await session.send(fragments, columnCount: 0, scope, mayCommit: false)
      count += batch.count
    } catch let failure as AttemptFailure {
      switch failure {
      case .failed(let error): throw scope.failure ?? error
      case .replan, .snapshotLost:
        throw SQLError(
          .serializationFailure, "table \"\(tableName)\" moved while rows were copied", hint: "Repeat the COPY.")
      }
    } catch {
      throw scope.failure ?? (error as? SQLError) ?? SQLError(.internalError, "\(error)")
    }
  }
}
