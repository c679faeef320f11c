import ComputeNode
import EventLoop
import Metadata
import PostgresWire
import SQLParser
import SQLPlan
import SQLTypes

/// A cluster of two shards with the real planner, on shards of SQLite in memory, and one session.
@LoopActor
final class SQLCluster {
  let metadata = FakeMetadata()
  let shards: SQLiteShards
  let client = FakeClient()
  let services: ExecutionServices
  private let factory: SessionFactory
  private(set) var session: any SessionBackend
  /// The rows of the last statement, as text; nil is NULL.
  private(set) var rows: [[String?]] = []
  private(set) var columns: [String] = []

  init() async throws {
    let metadata = self.metadata
    shards = SQLiteShards { metadata.image }
    services = ExecutionServices(
      metadata: metadata, shards: shards, local: SQLiteLocalEngine(threads: 1),
      planning: { image, session in Planner(image: image, session: session, parse: SQLParser.parse) },
      nodeID: NodeID(rawValue: 9), cryptography: .openSSL, randomBytes: { [UInt8](repeating: 1, count: $0) },
      clock: { 1_700_000_000_000_000 })
    metadata.onDecision = { [shards] in shards.decided($0, $1) }
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
    factory = SessionFactory(services)
    session = try await factory.makeSession(user: "abc", database: "postgres", parameters: [], client: client)
  }

  /// Another session of the same node.
  func newSession(user: String = "abc") async throws(SQLError) {
    session = try await factory.makeSession(user: user, database: "postgres", parameters: [], client: client)
  }

  /// Runs the statements of a text as a simple query does; answers the last command tag.
  @discardableResult
  func run(_ sql: String, _ parameters: [StoredValue] = []) async throws(SQLError) -> String {
    do {
      var tag = ""
      let texts = try await session.splitStatements(sql)
      for (index, text) in texts.enumerated() {
        let parsed = try await session.parse(text.text, parameterTypes: [])
        let result = try await session.execute(
          parsed, parameters: parameters, endsTransaction: index == texts.count - 1)
        switch result {
        case .empty: tag = ""
        case .command(let done): tag = done
        case .rows(let source), .copyOut(let source, _): tag = try await drain(source)
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

  /// The rows of a query as text.
  func query(_ sql: String, _ parameters: [StoredValue] = []) async throws(SQLError) -> [[String?]] {
    try await run(sql, parameters)
    return rows
  }

  func failure(_ sql: String) async -> SQLError? {
    do {
      try await run(sql)
      return nil
    } catch {
      return error
    }
  }

  /// COPY … FROM STDIN with these rows.
  func copyIn(_ sql: String, _ rows: [[StoredValue]]) async throws(SQLError) -> String {
    do throws(SQLError) {
      let parsed = try await session.parse(sql, parameterTypes: [])
      guard case .copyIn(let sink) = try await session.execute(parsed, parameters: [], endsTransaction: true) else {
        throw SQLError(.internalError, "not a COPY FROM")
      }
      do throws(SQLError) {
        try await sink.write(RowBatch(columnCount: sink.columns.count, rows: rows))
        let tag = try await sink.finish()
        try await session.commitImplicitTransaction()
        return tag
      } catch {
        sink.fail()
        throw error
      }
    } catch {
      await session.transactionFailed()
      throw error
    }
  }

  private func drain(_ source: any RowSource) async throws(SQLError) -> String {
    rows = []
    columns = source.columns.map(\.name)
    while let batch = try await source.nextBatch(maximumRows: 3) {
      for row in 0..<batch.rowCount {
        var texts: [String?] = []
        for (value, column) in zip(batch[row], source.columns) { texts.append(try text(value, column.type)) }
        rows.append(texts)
      }
    }
    return source.commandTag(rowCount: rows.count)
  }

  private func text(_ value: StoredValue, _ type: SQLType) throws(SQLError) -> String? {
    if value.isNull { return nil }
    var bytes: [UInt8] = []
    try WireValue.appendText(value, type, session.conversionContext, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}
