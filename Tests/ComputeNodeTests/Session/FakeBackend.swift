import EventLoop
import PostgresWire
import SQLTypes

@testable import ComputeNode

/// A backend with a language of its own, small enough to know what every statement must lead to:
/// `rows 3`, `wide 100` (rows of 1000 bytes), `echo $1`, `insert x` and `show` (transactional), `fail`, `sleep` (until
/// cancelled), `begin`, `commit`, `rollback`, `copy … from stdin`, `copy … to stdout`, `notice x`, `deallocate x`.
@LoopActor
final class FakeBackend: SessionBackend {
  struct Statement: ParsedStatement {
    let words: [String]
    let parameterTypes: [SQLType]
    let columns: [ResultColumn]?
  }

  let factory: FakeBackendFactory
  let user: String
  weak var client: (any SessionClient)?
  var transactionStatus = TransactionStatus.idle
  let conversionContext = ConversionContext.standard
  private var pending: [String] = []
  private var isCancelled = false
  private var sleeper: UnsafeContinuation<Void, Never>?

  init(factory: FakeBackendFactory, user: String, client: any SessionClient) {
    self.factory = factory
    self.user = user
    self.client = client
  }

  func splitStatements(_ sql: String) throws(SQLError) -> [StatementText] {
    if sql.contains("syntax error") { throw SQLError(.syntaxError, "syntax error", position: 1) }
    var statements: [StatementText] = []
    var offset = 0
    for part in sql.split(separator: ";", omittingEmptySubsequences: false) {
      if part.contains(where: { !$0.isWhitespace }) {
        statements.append(StatementText(text: String(part), characterOffset: offset))
      }
      offset += part.count + 1
    }
    return statements
  }

  func parse(_ sql: String, parameterTypes: [UInt32]) async throws(SQLError) -> any ParsedStatement {
    let words = sql.split(whereSeparator: \.isWhitespace).map(String.init)
    if words.first == "unknown" { throw SQLError(.undefinedTable, "relation \"unknown\" does not exist", position: 1) }
    var types: [SQLType] = []
    var columns: [ResultColumn]?
    switch words.first?.lowercased() {
    case "rows": columns = [ResultColumn(name: "id", type: .int4), ResultColumn(name: "name", type: .text)]
    case "wide": columns = [ResultColumn(name: "filler", type: .text)]
    case "show": columns = [ResultColumn(name: "value", type: .text)]
    case "echo":
      types = words.dropFirst().indices.map { index in
        let declared = index - 1 < parameterTypes.count ? parameterTypes[index - 1] : 0
        return declared == 0 ? .text : SQLType(oid: declared)
      }
      columns = types.map { ResultColumn(name: "echo", type: $0) }
    default: break
    }
    return Statement(words: words, parameterTypes: types, columns: columns)
  }

  func execute(
    _ statement: any ParsedStatement, parameters: [StoredValue], endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    guard let statement = statement as? Statement else { preconditionFailure("the statement is this backend's") }
    let words = statement.words
    guard let verb = words.first?.lowercased() else { return .empty }
    isCancelled = false
    if transactionStatus == .failed, verb != "rollback", verb != "commit" {
      throw SQLError(
        .inFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
    }
    switch verb {
    case "rows", "wide", "show", "echo": return .rows(rows(statement, parameters))
    case "copy": return copy(words, statement)
    case "insert":
      pending.append(words[1])
      factory.endsTransactionSeen.append(endsTransaction)
      return .command(tag: "INSERT 0 1")
    case "fail": throw SQLError(.divisionByZero, "division by zero", position: 1)
    case "shutdown": throw SQLError(.adminShutdown, "terminating connection due to administrator command")
    case "sleep":
      factory.sleepersStarted += 1
      if !isCancelled { await withUnsafeContinuation { sleeper = $0 } }
      throw SQLError(.queryCanceled, "canceling statement due to user request")
    case "notice":
      client?.report(.notice(words[1]))
      return .command(tag: "NOTICE")
    case "deallocate":
      let name = words[1].lowercased() == "all" ? nil : words[1]
      guard client?.deallocatePreparedStatement(named: name) == true else {
        throw SQLError(.invalidSQLStatementName, "prepared statement \"\(words[1])\" does not exist")
      }
      return .command(tag: "DEALLOCATE")
    default: return try transaction(verb)
    }
  }

  private func transaction(_ verb: String) throws(SQLError) -> StatementResult {
    switch verb {
    case "begin": transactionStatus = .inTransaction
    case "commit":
      let failed = transactionStatus == .failed
      transactionStatus = .idle
      if failed {
        pending = []
        return .command(tag: "ROLLBACK")
      }
      commit()
    case "rollback":
      transactionStatus = .idle
      pending = []
    default: return .command(tag: verb.uppercased())
    }
    return .command(tag: verb.uppercased())
  }

  private func rows(_ statement: Statement, _ parameters: [StoredValue]) -> FakeRows {
    let words = statement.words
    let columns = statement.columns ?? []
    switch words[0].lowercased() {
    case "rows":
      return FakeRows(columns, count: Int(words[1]) ?? 0) { [.integer(Int64($0)), .text("row \($0)")] }
    case "wide":
      let filler = String(repeating: "x", count: 1000)
      let rows = FakeRows(columns, count: Int(words[1]) ?? 0) { _ in [.text(filler)] }
      factory.lastWide = rows
      return rows
    case "show":
      let values = factory.committed
      return FakeRows(columns, count: values.count) { [.text(values[$0 - 1])] }
    default: return FakeRows(columns, count: 1) { _ in parameters }
    }
  }

  private func copy(_ words: [String], _ statement: Statement) -> StatementResult {
    let options = words.contains("csv") ? [CopyOptions.Option(name: "format", argument: .text("csv"))] : []
    let isFrom = words.contains { $0.lowercased() == "from" }
    guard let copyOptions = try? CopyOptions(options, isFrom: isFrom) else { preconditionFailure("options are right") }
    if isFrom { return .copyIn(FakeSink(backend: self, options: copyOptions)) }
    let columns = [ResultColumn(name: "id", type: .int4), ResultColumn(name: "name", type: .text)]
    let rows = FakeRows(columns, count: 3, verb: "COPY") { [.integer(Int64($0)), .text("row\t\($0)")] }
    return .copyOut(rows, copyOptions)
  }

  fileprivate func insert(_ value: String) { pending.append(value) }

  private func commit() {
    factory.committed += pending
    pending = []
  }

  func commitImplicitTransaction() async throws(SQLError) {
    guard transactionStatus == .idle else { return }
    commit()
  }

  func transactionFailed() async {
    if transactionStatus == .idle { pending = [] } else { transactionStatus = .failed }
  }

  func cancel() {
    isCancelled = true
    factory.cancels += 1
    if let sleeper {
      self.sleeper = nil
      sleeper.resume()
    }
  }

  func close() {
    pending = []
    factory.closes += 1
  }
}

/// Rows by number, from 1.
@LoopActor
final class FakeRows: RowSource {
  let columns: [ResultColumn]
  private let count: Int
  private let verb: String
  private let row: @LoopActor (Int) -> [StoredValue]
  private(set) var produced = 0
  private(set) var isClosed = false

  init(_ columns: [ResultColumn], count: Int, verb: String = "SELECT", row: @escaping @LoopActor (Int) -> [StoredValue])
  {
    self.columns = columns
    self.count = count
    self.verb = verb
    self.row = row
  }

  func nextBatch(maximumRows: Int) async throws(SQLError) -> RowBatch? {
    guard produced < count else { return nil }
    var batch = RowBatch(columnCount: columns.count)
    while produced < count, batch.rowCount < maximumRows {
      produced += 1
      batch.append(row(produced))
    }
    return batch
  }

  func commandTag(rowCount: Int) -> String { "\(verb) \(rowCount)" }

  func close() { isClosed = true }
}

/// Takes rows of two text columns as `a|b`.
@LoopActor
private final class FakeSink: CopySink {
  let backend: FakeBackend
  let options: CopyOptions
  let tableName = "t"
  let columns = [CopyColumn(name: "a", type: .text), CopyColumn(name: "b", type: .text)]
  private var count = 0

  init(backend: FakeBackend, options: CopyOptions) {
    self.backend = backend
    self.options = options
  }

  func write(_ rows: RowBatch) async throws(SQLError) {
    for row in 0..<rows.rowCount {
      count += 1
      backend.insert(rows[row].map { $0.textValue ?? "NULL" }.joined(separator: "|"))
    }
  }

  func finish() async throws(SQLError) -> String { "COPY \(count)" }

  func fail() { backend.factory.copiesFailed += 1 }
}

/// Makes fake backends for the role `abc` with the password `abc`, and counts what they see.
@LoopActor
final class FakeBackendFactory: SessionBackendFactory {
  var committed: [String] = []
  var endsTransactionSeen: [Bool] = []
  var sleepersStarted = 0
  var cancels = 0
  var closes = 0
  var copiesFailed = 0
  var lastWide: FakeRows?
  private let verifier = SCRAMVerifier(
    password: "abc", salt: Array("0123456789abcdef".utf8), iterations: 4096, cryptography: .openSSL)

  nonisolated init() {}

  func authenticationVerifier(user: String) async throws(SQLError) -> String? {
    user == "abc" ? verifier.text : nil
  }

  func makeSession(
    user: String, database: String, parameters: [(name: String, value: String)], client: any SessionClient
  ) async throws(SQLError) -> any SessionBackend {
    guard database == "postgres" else {
      throw SQLError(.invalidCatalogName, "database \"\(database)\" does not exist")
    }
    let application = parameters.last { $0.name == "application_name" }?.value ?? ""
    for (name, value) in ReportedSettings.initial(user: user, isSuperuser: true, applicationName: application) {
      client.reportSetting(name: name, value: value)
    }
    return FakeBackend(factory: self, user: user, client: client)
  }
}
