import EventLoop
import Metadata
import PostgresWire
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

/// A client's session: understands its statements and runs them on shards, log and local SQLite. Its methods are spread
/// over extensions by the kind of statement.
///
/// Confined to the loop; the wire's session calls one method at a time (`cancel` and `close` aside), so that state
/// between two calls is simply stored.
@LoopActor
final class ComputeSession: SessionBackend {
  let services: ExecutionServices
  /// The authenticated role.
  let user: String
  let roleID: ObjectID
  let isSuperuser: Bool
  let database: String
  weak var client: (any SessionClient)?
  var settings = SessionSettings() { didSet { cachedInfo = nil } }
  private var cachedInfo: SessionInfo?

  /// The transaction under way, implicit or a block; nil between.
  var transaction: SessionTransaction?
  /// A block that has failed: `transaction` is its remains.
  var isBlockFailed = false

  /// PREPARE.
  var prepared: [String: PreparedCommand] = [:]
  /// What nextval last answered here, by sequence.
  var lastValues: [ObjectID: Int64] = [:]
  var lastSequence: ObjectID?
  /// The statement under way.
  var scope: StatementScope?
  var isClosed = false
  var onClose: (@LoopActor () -> Void)?
  /// The single statement that `splitStatements` has just read: `parse` need not read it again.
  private var lastParsed: (text: String, tree: Statement)?
  /// The last text that was looked at for literals.
  var lastLiterals: (sql: String, found: LiteralText?)?
  /// What SQL functions that reach the session call, from the threads of the local SQLite.
  private lazy var functions = SessionFunctions(self)
  /// When the statement under way began: microseconds since 2000-01-01 UTC.
  var statementMicroseconds: Int64 = 0

  init(services: ExecutionServices, role: RoleDefinition, database: String, client: any SessionClient) {
    self.services = services
    user = role.name
    roleID = role.id
    isSuperuser = role.isSuperuser
    self.database = database
    self.client = client
  }

  var image: Image { services.metadata.image }

  var transactionStatus: TransactionStatus {
    if isBlockFailed { return .failed }
    return transaction?.isBlock == true ? .inTransaction : .idle
  }

  var conversionContext: ConversionContext {
    CatalogNames(image: image, session: info)
      .conversion(transactionTimeMicroseconds: transaction?.startMicroseconds ?? statementMicroseconds)
  }

  /// What planning needs to know of the session.
  var info: SessionInfo {
    if let cachedInfo { return cachedInfo }
    let info = SessionInfo(
      user: user, database: database, searchPath: settings.searchPath, processID: client?.processID ?? 0,
      timeZone: settings.known("TimeZone"), settings: settings.all)
    cachedInfo = info
    return info
  }

  /// The planner for the present image.
  func planner() -> any StatementPlanning { services.planning(image, info) }

  // MARK: Understanding

  func splitStatements(_ sql: String) async throws(SQLError) -> [StatementText] {
    lastParsed = nil
    // A text that has a plan is one statement.
    if !isLarge(sql), services.plans.plan(planKey(sql, []), image: image) != nil || hasSharedPlan(sql) {
      return [StatementText(text: sql, characterOffset: 0)]
    }
    let script = try await apart(sql) { () throws(SQLError) in try Script(sql) }
    lastParsed = script.single.map { (sql, $0) }
    return script.texts
  }

  func parse(_ sql: String, parameterTypes: [UInt32]) async throws(SQLError) -> any ParsedStatement {
    if !isLarge(sql) {
      if let entry = services.plans.plan(planKey(sql, parameterTypes), image: image) {
        try refuseWhereFailed(entry.tree)
        return command(sql, entry.tree, parameterTypes, entry.analyzed)
      }
      if parameterTypes.isEmpty, let command = sharedCommand(sql) {
        if let tree = command.tree { try refuseWhereFailed(tree) }
        return command
      }
    }
    guard let tree = try await singleStatement(sql) else { return PreparedCommand(text: sql, tree: nil) }
    try refuseWhereFailed(tree)
    return try await understand(tree, text: sql, declaredTypes: parameterTypes)
  }

  func singleStatement(_ sql: String) async throws(SQLError) -> Statement? {
    if let lastParsed, lastParsed.text == sql {
      self.lastParsed = nil
      return lastParsed.tree
    }
    let statements = try await apart(sql) { () throws(SQLError) in try SQLParser.parse(sql) }
    guard statements.count <= 1 else {
      throw SQLError(.syntaxError, "cannot insert multiple commands into a prepared statement")
    }
    return statements.first?.statement
  }

  /// The statement with the types of its parameters and columns.
  func understand(
    _ tree: Statement, text: String, declaredTypes: [UInt32]
  ) async throws(SQLError) -> PreparedCommand {
    switch tree {
    case .select, .insert, .update, .delete:
      let analyzed = try await analyze(tree, text: text, declaredTypes: declaredTypes)
      return command(text, tree, declaredTypes, analyzed)
    case .show(let name):
      return PreparedCommand(text: text, tree: tree, columns: try showColumns(name))
    case .explain(let inner, let options):
      let types = try await explainedParameterTypes(inner, text: text, declaredTypes: declaredTypes)
      return PreparedCommand(
        text: text, tree: tree, declaredTypes: declaredTypes, parameterTypes: types,
        columns: [
          Self.explanationColumn(isJSON: options.contains { $0.name == "format" && $0.value == .string("json") })
        ])
    case .execute(let name, _):
      return PreparedCommand(text: text, tree: tree, columns: try preparedCommand(name).columns)
    default:
      return PreparedCommand(text: text, tree: tree)
    }
  }

  private func command(
    _ text: String, _ tree: Statement, _ declaredTypes: [UInt32], _ analyzed: AnalyzedStatement
  ) -> PreparedCommand {
    PreparedCommand(
      text: text, tree: tree, declaredTypes: declaredTypes, parameterTypes: analyzed.parameterTypes,
      columns: analyzed.resultColumns, analyzed: analyzed, searchPath: info.searchPath)
  }

  func planKey(_ text: String, _ declaredTypes: [UInt32]) -> PlanCache.Key {
    PlanCache.Key(text: text, declaredTypes: declaredTypes, user: user, searchPath: info.searchPath)
  }

  /// Plans a statement against the present image, and keeps the plan.
  func analyze(_ tree: Statement, text: String, declaredTypes: [UInt32]) async throws(SQLError) -> AnalyzedStatement {
    let analyzed = try await plan(tree, text: text, declaredTypes: declaredTypes)
    if !isLarge(text) {
      services.plans.insert(planKey(text, declaredTypes), PlanCache.Entry(tree: tree, analyzed: analyzed))
    }
    return analyzed
  }

  /// The command's plan, made anew where the catalog or the search path has changed since.
  func currentPlan(_ command: PreparedCommand, _ tree: Statement) async throws(SQLError) -> AnalyzedStatement {
    if let analyzed = command.analyzed, command.searchPath == info.searchPath, analyzed.isCurrent(in: image) {
      return analyzed
    }
    if !isLarge(command.text),
      let entry = services.plans.plan(planKey(command.text, command.declaredTypes), image: image), entry.tree == tree
    {
      return try checked(entry.analyzed, command)
    }
    return try checked(await analyze(tree, text: command.text, declaredTypes: command.declaredTypes), command)
  }

  private func checked(
    _ analyzed: AnalyzedStatement, _ command: PreparedCommand
  ) throws(SQLError) -> AnalyzedStatement {
    let types = analyzed.resultColumns?.map(\.type)
    guard command.analyzed == nil || types == command.columns?.map(\.type) else {
      throw SQLError.cachedPlanChanged
    }
    return analyzed
  }

  // MARK: Running

  func execute(
    _ statement: any ParsedStatement, parameters: [StoredValue], endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    guard let command = statement as? PreparedCommand else {
      throw SQLError(.internalError, "a statement of another session")
    }
    guard let tree = command.tree else { return .empty }
    try refuseWhereFailed(tree)
    statementMicroseconds = services.now
    let scope = StatementScope(timeoutMilliseconds: settings.milliseconds("statement_timeout"))
    self.scope = scope
    do {
      let result = try await run(command, tree, parameters, scope, endsTransaction: endsTransaction)
      // The client must not hear that changes are done before they are: what they gave is in memory by now.
      if endsTransaction, let transaction, !transaction.isBlock, !transaction.written.isEmpty, !result.isCopyIn {
        try await commitImplicitTransaction()
      }
      if case .rows = result { return result }
      if case .copyOut = result { return result }
      if case .copyIn = result { return result }
      finish(scope)
      return result
    } catch {
      finish(scope)
      throw scope.failure ?? error
    }
  }

  func finish(_ scope: StatementScope) {
    scope.finish()
    if self.scope === scope { self.scope = nil }
  }

  private func run(
    _ command: PreparedCommand, _ tree: Statement, _ parameters: [StoredValue], _ scope: StatementScope,
    endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    switch tree {
    case .select, .insert, .update, .delete:
      beginImplicitly()
      transaction?.hasRun = true
      transaction?.statements += 1
      transaction?.mayBeginAnew = transaction?.isBlock == false && transaction?.statements == 1
      return try await runPlanned(command, tree, parameters, scope, endsTransaction: endsTransaction)
    case .transaction(let statement): return .command(tag: try await runTransaction(statement))
    case .copy(let statement):
      beginImplicitly()
      transaction?.hasRun = true
      transaction?.statements += 1
      transaction?.mayBeginAnew = false
      return try await runCopy(statement, command, scope, endsTransaction: endsTransaction)
    case .explain(let inner, let options):
      return try await explain(inner, options, command, parameters, scope)
    case .prepare, .execute, .deallocate:
      return try await runPreparedStatement(tree, command, scope, endsTransaction: endsTransaction)
    case .set, .reset, .setTransaction, .resetAll, .show, .discard:
      return try await runSetting(tree, scope)
    case .maintenance(let name):
      if transaction?.isBlock == true, name == "VACUUM" {
        throw SQLError(.activeSQLTransaction, "VACUUM cannot run inside a transaction block")
      }
      return .command(tag: name)
    case .unsupported(let name, let location):
      throw SQLError(
        .featureNotSupported, "\(name) is not supported",
        position: SQLParser.characterPosition(ofByte: location, in: command.text))
    default:
      beginImplicitly()
      return .command(tag: try await runDefinition(tree, command, scope))
    }
  }

  /// 25P02 for all but the end of a failed block.
  private func refuseWhereFailed(_ tree: Statement) throws(SQLError) {
    guard isBlockFailed else { return }
    if case .transaction(let statement) = tree {
      switch statement.kind {
      case .commit, .rollback, .rollbackTo: return
      default: break
      }
    }
    throw SQLError(
      .inFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
  }

  func cancel() { scope?.cancel() }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    onClose?()
    scope?.stop(SQLError(.adminShutdown, "the client has gone"))
    scope = nil
    abandonTransaction()
    transaction = nil
    prepared = [:]
  }

  // MARK: For all kinds of statements

  /// What the shards answer to functions such as now().
  var shardSession: ShardSession {
    ShardSession(
      transactionTimeMicroseconds: transaction?.startMicroseconds ?? statementMicroseconds,
      statementTimeMicroseconds: statementMicroseconds, timeZone: settings.known("TimeZone"), user: user,
      database: database)
  }

  var localContext: LocalContext {
    let image = self.image
    let schemas = info.searchPath.map { $0 == "$user" ? user : $0 }.filter { image.schema(named: $0) != nil }
    return LocalContext(
      image: image, session: info, functions: functions, sessionUser: user, currentSchemas: schemas,
      transactionTimeMicroseconds: transaction?.startMicroseconds ?? statementMicroseconds,
      statementTimeMicroseconds: statementMicroseconds, transactionNumber: transaction?.number ?? 0)
  }

  /// Sends a NOTICE or WARNING unless `client_min_messages` keeps it back.
  func report(_ notice: SQLNotice) {
    let levels = ["DEBUG": 0, "LOG": 1, "INFO": 9, "NOTICE": 2, "WARNING": 3]
    let threshold: Int
    switch settings.known("client_min_messages") {
    case "error": threshold = 4
    case "warning": threshold = 3
    case "notice": threshold = 2
    case "log": threshold = 1
    default: threshold = 0
    }
    if (levels[notice.severity.rawValue] ?? 9) >= threshold { client?.report(notice) }
  }
}

extension StatementResult {
  /// Its rows are still to come.
  fileprivate var isCopyIn: Bool {
    if case .copyIn = self { return true }
    return false
  }
}
