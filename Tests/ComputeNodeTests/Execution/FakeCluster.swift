import ComputeNode
import Coordination
import EventLoop
import Metadata
import MetadataClient
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// A metadata log in memory: real decisions, a real fold.
@LoopActor
final class FakeMetadata: MetadataAccess {
  private(set) var image = Image()
  private(set) var appended: [[Command]] = []
  var schemaIndex: UInt64 { image.index }
  /// What the log has decided of each transaction before it is asked.
  var standingDecision: TransactionOutcome?
  var decisionFailure: MetadataError?
  var onDecision: (@LoopActor (GlobalTransactionID, TransactionOutcome) -> Void)?
  /// Called when a statement waits for an index that the image does not have.
  var whenWaiting: (@LoopActor (UInt64) -> Void)?

  func wait(for index: UInt64) async throws(SQLError) {
    if image.index < index { whenWaiting?(index) }
  }

  func append(_ request: AppendRequest) async throws(SQLError) -> (index: UInt64, events: [Event]) {
    appended.append(request.commands)
    switch Metadata.decide(request, image) {
    case .failure(let rejection): throw rejection.sqlError
    case .success(let events):
      let index = image.index + 1
      image.apply(
        Record(
          index: index, term: 1, previousIndex: image.index, timeMicroseconds: 0, principal: request.principal,
          events: events, previousHash: image.hash, hash: .zero))
      return (index, events)
    }
  }
}

extension FakeMetadata {
  func decide(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, participants: [ShardID]
  ) async throws(MetadataError) -> (outcome: TransactionOutcome, index: UInt64)? {
    if let decisionFailure { throw decisionFailure }
    if let other = standingDecision { try await record(.decide(id, other, participants: participants)) }
    try await record(.decide(id, outcome, participants: participants))
    guard let decision = image.transactions.open[id] else { return nil }
    onDecision?(id, decision.outcome)
    return (decision.outcome, decision.index)
  }

  func appendTransactions(_ commands: [Command]) async throws(MetadataError) {
    for command in commands { if case .transaction(let transaction) = command { try await record(transaction) } }
  }

  private func record(_ command: TransactionCommand) async throws(MetadataError) {
    do {
      _ = try await append(AppendRequest(principal: "compute", commands: [.transaction(command)]))
    } catch {
      throw .rejected(Rejection(error.sqlState, error.message))
    }
  }
}

/// Shards that answer from a script, and remember what they were asked.
@LoopActor
final class FakeShards: ShardAccess {
  struct Script {
    var answers: [ShardAnswer] = []
    var failure: ShardFailure?
  }
  private(set) var requests: [ShardRequest] = []
  var reports: [ShardID: ShardTransactions] = [:]
  private(set) var commits: [ShardID] = []
  private(set) var rollbacks: [ShardID] = []
  private(set) var prepares: [ShardID] = []
  private(set) var finishes: [ShardID: TransactionOutcome] = [:]
  /// One per request, in order; then `standard`.
  var scripts: [Script] = []
  var standard: @LoopActor (ShardRequest) -> Script = { request in
    var answers: [ShardAnswer] = request.fragments.indices.map {
      .done(fragment: $0, affected: max(1, request.fragments[$0].parameterRows))
    }
    if request.commits { answers.append(.committed) }
    return Script(answers: answers)
  }
  var commitFailure: ShardFailure?
  var prepareFailures: [ShardID: ShardFailure] = [:]

  func execute(_ request: ShardRequest) -> any ShardCall {
    requests.append(request)
    return FakeCall(scripts.isEmpty ? standard(request) : scripts.removeFirst())
  }

  func commit(_ transactionID: [UInt8], on shardID: ShardID) async throws(ShardFailure) {
    commits.append(shardID)
    if let commitFailure { throw commitFailure }
  }

  func prepare(
    _ transactionID: [UInt8], as id: GlobalTransactionID, participants: [ShardID], on shardID: ShardID
  ) async throws(ShardFailure) -> Bool {
    prepares.append(shardID)
    if let failure = prepareFailures[shardID] { throw failure }
    return true
  }

  func finish(
    _ transactionID: [UInt8], as id: GlobalTransactionID, _ outcome: TransactionOutcome, decisionIndex: UInt64,
    on shardID: ShardID
  ) async throws(ShardFailure) { finishes[shardID] = outcome }

  func hold(_ name: [UInt8], on shardID: ShardID) async throws(ShardFailure) -> UInt64 { 0 }

  func transactions(onlyBlocking: Bool) async -> [ShardID: ShardTransactions] { reports }

  func rollback(_ transactionID: [UInt8], on shardID: ShardID) { rollbacks.append(shardID) }
}

@LoopActor
private final class FakeCall: ShardCall {
  private var script: FakeShards.Script

  init(_ script: FakeShards.Script) { self.script = script }

  func next() async throws(ShardFailure) -> ShardAnswer? {
    if !script.answers.isEmpty { return script.answers.removeFirst() }
    if let failure = script.failure { throw failure }
    return nil
  }

  func cancel() { script = FakeShards.Script(failure: .cancelled) }
}

/// Plans by text, made by the test; types by name.
final class FakePlanning: StatementPlanning {
  typealias Plans = [String: @Sendable (Image) -> AnalyzedStatement]
  private let image: Image
  private let plans: Plans

  init(image: Image, plans: Plans) {
    self.image = image
    self.plans = plans
  }

  func analyze(_ statement: Statement, text: String, parameterTypes: [SQLType]) throws(SQLError) -> AnalyzedStatement {
    guard let plan = plans[text] else { throw SQLError(.featureNotSupported, "no plan for \(text)") }
    return plan(image)
  }

  func planCopyFrom(
    _ table: RelationName, columns: [String], text: String
  ) throws(SQLError) -> (plan: InsertPlan, columns: [OutputColumn], dependencies: PlanDependencies) {
    throw SQLError(.featureNotSupported, "no plan for COPY")
  }

  func resolve(_ type: TypeName, text: String) throws(SQLError) -> SQLType {
    guard let found = SQLType.named(type.name.last ?? "") else {
      throw SQLError(.undefinedObject, "type \"\(type.name.last ?? "")\" does not exist")
    }
    return found
  }

  func normalizedDefault(
    _ expression: Expression, column: String, type: SQLType, text: String
  ) throws(SQLError) -> String { "0" }

  func check(
    _ expression: Expression, table: String, columns: [ColumnDefinition], text: String
  ) throws(SQLError) -> CheckTranslation {
    CheckTranslation(column: "a", expression: "(a > 0)", storageExpression: "\"a\" > 0")
  }

  func scalar(_ expression: Expression, as type: SQLType, text: String) throws(SQLError) -> PlanParameter {
    .constant(.null)
  }

  func view(
    _ select: SelectStatement, columnNames: [String], text: String
  ) throws(SQLError) -> (columns: [ViewDefinition.Column], dependencies: [ObjectID]) { ([], []) }

  func explain(_ analyzed: AnalyzedStatement, parameters: [StoredValue]) -> Explanation {
    Explanation(analyzed, parameters: parameters)
  }
}

/// Remembers what a session tells its client.
@LoopActor
final class FakeClient: SessionClient {
  let processID: Int32 = 7
  let peerAddress = "127.0.0.1:1"
  private(set) var notices: [SQLNotice] = []
  private(set) var settings: [String: String] = [:]

  func report(_ notice: SQLNotice) { notices.append(notice) }
  func reportSetting(name: String, value: String) { settings[name] = value }
  func deallocatePreparedStatement(named name: String?) -> Bool { false }
}

/// A cluster of two shards with the role abc, and a session on it.
@LoopActor
final class FakeCluster {
  let metadata = FakeMetadata()
  let shards = FakeShards()
  let client = FakeClient()
  let local = SQLiteLocalEngine(threads: 1)
  var factory: SessionFactory?
  var session: (any SessionBackend)?

  init(plans: FakePlanning.Plans = [:]) async throws {
    let services = ExecutionServices(
      metadata: metadata, shards: shards, local: local,
      planning: { image, _ in FakePlanning(image: image, plans: plans) }, nodeID: NodeID(rawValue: 9),
      cryptography: .openSSL, randomBytes: { [UInt8](repeating: 1, count: $0) })
    let draft = ClusterDraft(
      id: ClusterID(rawValue: [UInt8](repeating: 1, count: 16)), name: "test", roleName: "abc", roleVerifier: nil)
    _ = try await metadata.append(AppendRequest(principal: "test", commands: [.createCluster(draft)]))
    let compute = NodeDefinition(
      id: NodeID(rawValue: 9), role: .compute, name: "c1", host: "localhost", port: 9, postgresPort: 10)
    _ = try await metadata.append(AppendRequest(principal: "test", commands: [.registerNode(compute)]))
    for shard in 1...2 {
      let node = NodeDefinition(
        id: NodeID(rawValue: UInt64(shard)), role: .storage, name: "s\(shard)", host: "localhost", port: shard)
      _ = try await metadata.append(AppendRequest(principal: "test", commands: [.registerNode(node)]))
      _ = try await metadata.append(
        AppendRequest(principal: "test", commands: [.createShard(ShardDraft(replicas: [node.id]))]))
    }
    let factory = SessionFactory(services)
    self.factory = factory
    session = try await factory.makeSession(user: "abc", database: "postgres", parameters: [], client: client)
  }

  /// Runs the statements of a text as a simple query does; answers the last command tag.
  @discardableResult
  func run(_ sql: String) async throws(SQLError) -> String {
    guard let session else { return "" }
    var tag = ""
    do {
      let texts = try await session.splitStatements(sql)
      for (index, text) in texts.enumerated() {
        let parsed = try await session.parse(text.text, parameterTypes: [])
        switch try await session.execute(parsed, parameters: [], endsTransaction: index == texts.count - 1) {
        case .empty: tag = ""
        case .command(let done):
          tag = done
          lastTag = done
          tagCount += 1
        case .rows(let rows): tag = try await drain(rows)
        case .copyOut(let rows, _): tag = try await drain(rows)
        case .copyIn(let sink): tag = try await sink.finish()
        }
      }
      try await session.commitImplicitTransaction()
      return tag
    } catch {
      await session.transactionFailed()
      throw error
    }
  }

  private(set) var rows: [[StoredValue]] = []
  /// Of statements without rows that were called done.
  private(set) var lastTag = ""
  private(set) var tagCount = 0

  private func drain(_ source: any RowSource) async throws(SQLError) -> String {
    rows = []
    while let batch = try await source.nextBatch(maximumRows: 10) {
      for row in 0..<batch.rowCount { rows.append(Array(batch[row])) }
    }
    return source.commandTag(rowCount: rows.count)
  }

  /// The error of a text.
  func failure(_ sql: String) async -> SQLError? {
    do {
      try await run(sql)
      return nil
    } catch {
      return error
    }
  }
}
