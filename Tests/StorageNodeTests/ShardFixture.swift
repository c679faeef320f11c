import ComputeNode
import EventLoop
import Glibc
import Metadata
import RPC
import ReplicationGroup
import SQLTypes
import SQLiteEngine
import StorageNode
import Testing

/// The metadata as a test makes it.
@LoopActor
final class MadeMetadata: MetadataFeed {
  private(set) var image = Image()
  private var observers: [@LoopActor () -> Void] = []

  func observe(_ body: @escaping @LoopActor () -> Void) { observers.append(body) }

  func observeTablets(_ body: @escaping @LoopActor (Set<TabletID>?) -> Void) { observers.append { body(nil) } }

  /// Decisions as the metadata log would make them: the first one stands.
  private(set) var decisions: [GlobalTransactionID: (outcome: TransactionOutcome, index: UInt64)] = [:]
  /// Nobody answers who wants a decision.
  var isSilent = false

  func decideAbort(
    _ id: GlobalTransactionID, participants: [ShardID]
  ) async throws -> (outcome: TransactionOutcome, index: UInt64)? {
    guard !isSilent else { throw ShardFixture.Never() }
    decide(id, .abort, participants)
    return decisions[id]
  }

  private(set) var expired: [MigrationID] = []

  func expireCut(_ id: MigrationID, attempt: UInt32, reason: String) async throws {
    guard !isSilent else { throw ShardFixture.Never() }
    expired.append(id)
  }

  private(set) var recorded: [Command] = []

  func record(_ commands: [Command]) async -> RecordingOutcome {
    guard !isSilent else { return .failed("nobody answers") }
    recorded += commands
    return .recorded
  }

  func decide(_ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ participants: [ShardID]) {
    guard decisions[id] == nil else { return }
    change { image in
      decisions[id] = (outcome, image.index + 1)
      image.transactions.open[id] = OpenTransaction(
        outcome: outcome, participants: participants, index: image.index + 1)
    }
  }

  func change(_ body: (inout Image) -> Void) {
    body(&image)
    image.index += 1
    for observer in observers { observer() }
  }

  /// `accounts (id int8 primary key, name text unique)` on shard 1, as a tablet of the number.
  ///
  /// - Parameters:
  ///   - check: in the engine's SQL.
  ///   - uniqueName: without it the primary key is all that is unique.
  func createTable(_ number: UInt64, check: String? = nil, uniqueName: Bool = true) {
    change { image in
      let table = ObjectID(rawValue: UInt32(20000 + number * 10))
      image.tables[table] = TableDefinition(
        id: table, schemaID: ObjectID(rawValue: 2200), name: "accounts\(number)", ownerID: ObjectID(rawValue: 10),
        columns: [
          ColumnDefinition(name: "id", type: .int8, isNotNull: true), ColumnDefinition(name: "name", type: .text),
        ], checks: check.map { [CheckDefinition(name: "check", expression: "", storageExpression: $0)] } ?? [])
      let key = ObjectID(rawValue: table.rawValue + 1)
      image.indexes[key] = IndexDefinition(
        id: key, schemaID: ObjectID(rawValue: 2200), name: "accounts\(number)_pkey", tableID: table,
        parts: [IndexDefinition.Part(column: 1)], isUnique: true, constraint: .primaryKey)
      let name = ObjectID(rawValue: table.rawValue + 2)
      image.indexes[name] = IndexDefinition(
        id: name, schemaID: ObjectID(rawValue: 2200), name: "accounts\(number)_name_key", tableID: table,
        parts: [IndexDefinition.Part(column: 2)], isUnique: true, constraint: .unique)
      if !uniqueName { image.indexes[name] = nil }
      image.indexesOfTable[table] = uniqueName ? [key, name] : [key]
      let tablet = TabletID(rawValue: number)
      image.tablets[tablet] = TabletDefinition(id: tablet, tableID: table, shardID: ShardID(rawValue: 1))
      image.tabletOfTable[table] = tablet
    }
  }
}

/// Three replicas of shard 1 in this process, and the client of a compute node.
@LoopActor
final class ShardFixture {
  static let clusterID = ClusterID(rawValue: Array(1...16))
  static let shard = ShardID(rawValue: 1)
  let metadata = MadeMetadata()
  let directory = "/tmp/kunlog-shard-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  private(set) var nodes: [StorageNode?] = [nil, nil, nil]
  private(set) var client: StorageClient!
  private var ports: [Int] = []
  private var counter = 0
  private let maximumTransactionBytes: Int

  private let snapshotLogBytes: Int

  init(maximumTransactionBytes: Int = 256 << 20, snapshotLogBytes: Int = 64 << 10) {
    self.maximumTransactionBytes = maximumTransactionBytes
    self.snapshotLogBytes = snapshotLogBytes
  }

  func start() async throws {
    for _ in 0..<3 {
      let server = RPCServer(host: "127.0.0.1", port: 0)
      try server.start()
      ports.append(server.port)
      await server.shutdown()
    }
    metadata.change { image in
      image.clusterID = Self.clusterID
      for (place, port) in ports.enumerated() {
        let id = NodeID(rawValue: UInt64(place + 1))
        image.nodes[id] = NodeDefinition(
          id: id, role: .storage, name: "storage-\(place + 1)", host: "127.0.0.1", port: port)
      }
      image.shards[Self.shard] = ShardDefinition(
        id: Self.shard, name: "shard1", replicas: (1...3).map { NodeID(rawValue: $0) })
    }
    for place in 0..<3 { try await startNode(place) }
    let metadata = metadata
    client = StorageClient(clusterID: Self.clusterID, tls: nil, image: { metadata.image })
  }

  func startNode(_ place: Int) async throws {
    var configuration = StorageNodeConfiguration(
      clusterID: Self.clusterID, shardID: Self.shard, nodeID: NodeID(rawValue: UInt64(place + 1)),
      members: ports.enumerated().map {
        StorageNodeConfiguration.Member(id: NodeID(rawValue: UInt64($0 + 1)), host: "127.0.0.1", port: $1)
      },
      dataDirectory: "\(directory)/\(place)", host: "127.0.0.1", port: ports[place])
    configuration.tune = { [snapshotLogBytes] replica in
      replica.seed = UInt64(place)
      replica.snapshotLogBytes = snapshotLogBytes
      replica.keptEntries = 10
    }
    let engine = SQLiteEngine(
      SQLiteEngineConfiguration(
        directory: configuration.engineDirectory, workers: 2, maximumTransactionBytes: maximumTransactionBytes))
    let node = StorageNode(configuration, engine: engine, feed: metadata)
    try await node.start()
    nodes[place] = node
  }

  func stopNode(_ place: Int) async {
    await nodes[place]?.stop()
    nodes[place] = nil
  }

  func finish() async {
    client?.close()
    for place in 0..<3 { await stopNode(place) }
    try? FileSystem.remove(directory)
  }

  /// The place of the node that leads, once there is one.
  func leader() async throws -> Int {
    for _ in 0..<2000 {
      if let place = nodes.firstIndex(where: { $0?.isLeader == true }) { return place }
      try await loopSleep(milliseconds: 5)
    }
    throw Never()
  }

  struct Never: Error {}

  func newID() -> [UInt8] {
    counter += 1
    return Array("compute 7, transaction \(counter)".utf8)
  }

  func request(
    _ sql: String, _ tablet: UInt64 = 1, in id: [UInt8], rows: [[StoredValue]] = [], continues: Bool = false,
    commits: Bool = false, write: Bool = true, columns: Int = 0, locking: WriteLocking = .tablet
  ) -> ShardRequest {
    ShardRequest(
      shardID: Self.shard, metadataIndex: metadata.image.index, transactionID: id, isContinuation: continues,
      fragments: [
        ShardFragment(
          tablets: [ShardFragment.Tablet(id: TabletID(rawValue: tablet), epoch: 1)], sql: sql,
          parameters: rows.flatMap { RowCodec.encode($0) }, parameterColumns: rows.first?.count ?? 0,
          parameterRows: rows.count, isWrite: write, locking: locking, resultColumns: columns)
      ], commits: commits,
      session: ShardSession(
        transactionTimeMicroseconds: 0, statementTimeMicroseconds: 0, timeZone: "UTC", user: "abc",
        database: "postgres"))
  }

  /// All answers to a request.
  func answers(_ request: ShardRequest) async throws(ShardFailure) -> [ShardAnswer] {
    let call = client.execute(request)
    var answers: [ShardAnswer] = []
    while let answer = try await call.next() { answers.append(answer) }
    return answers
  }

  @discardableResult
  func insert(_ id: Int, _ name: String, _ tablet: UInt64 = 1) async throws(ShardFailure) -> [ShardAnswer] {
    try await answers(
      request(
        "INSERT INTO t\(tablet) (id, name) VALUES (?1, ?2)", tablet, in: newID(),
        rows: [[.integer(Int64(id)), .text(name)]], commits: true))
  }

  /// The ids in a tablet.
  func ids(_ tablet: UInt64 = 1) async throws -> [Int64] {
    var ids: [Int64] = []
    let request = request("SELECT id FROM t\(tablet) ORDER BY id", tablet, in: [], write: false, columns: 1)
    for answer in try await answers(request) {
      if case .rows(_, _, let values) = answer { ids += try RowCodec.decode(values).compactMap(\.integerValue) }
    }
    return ids
  }
}
