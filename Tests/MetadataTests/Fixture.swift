import Metadata
import MetadataWire
import SQLTypes
import Testing

/// A log in memory: decides, encodes, chains and folds as a leader and its replicas do.
struct Fixture {
  var image = Image()
  var records: [Record] = []
  /// Their bytes.
  var bodies: [[UInt8]] = []
  var term: UInt64 = 1

  /// Of some password.
  static let verifier =
    "SCRAM-SHA-256$4096:c2FsdA==$" + String(repeating: "A", count: 43) + "=:" + String(repeating: "B", count: 43) + "="

  /// A cluster with two shards of one replica each.
  static func cluster(shards: Int = 2) throws -> Fixture {
    var fixture = Fixture()
    try fixture.append(
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "test", roleName: "abc",
          roleVerifier: Self.verifier)))
    for number in 0..<shards {
      let node = NodeDefinition(
        id: NodeID(rawValue: UInt64(number + 1)), role: .storage, name: "storage\(number + 1)", host: "127.0.0.1",
        port: 7000 + number)
      try fixture.append(.registerNode(node), .createShard(ShardDraft(replicas: [node.id])))
    }
    return fixture
  }

  /// Appends; throws the rejection. Every record passes through its bytes.
  @discardableResult
  mutating func append(
    _ commands: Command..., requestID: RequestID? = nil, preconditions: [Precondition] = [], managerEpoch: UInt64? = nil
  ) throws -> [Event] {
    let request = AppendRequest(
      principal: "tester", requestID: requestID, preconditions: preconditions, managerEpoch: managerEpoch,
      commands: commands)
    let events = try decide(request, image).get()
    guard !events.isEmpty else { return [] }
    let body = try RecordBody(
      after: image.index, image.hash, timeMicroseconds: 1_700_000_000_000_000, principal: request.principal,
      requestID: requestID, cause: nil, events: events
    ).encoded()
    // Consensus takes every other index.
    let record = try Record(body: body, index: image.index + 2, term: term)
    #expect(record.continues(image))
    bodies.append(body)
    #expect(record.events == events)
    records.append(record)
    image = image.applying(record)
    return events
  }

  /// The rejection of commands that must be refused.
  func rejection(
    _ commands: Command..., preconditions: [Precondition] = [], managerEpoch: UInt64? = nil
  ) -> Rejection? {
    let request = AppendRequest(
      principal: "tester", preconditions: preconditions, managerEpoch: managerEpoch, commands: commands)
    if case .failure(let rejection) = decide(request, image) { return rejection }
    return nil
  }

  func id(_ name: String) throws -> ObjectID {
    try #require(image.relation(named: name, in: WellKnown.publicSchema)).id
  }

  func index(_ name: String) throws -> IndexDefinition {
    try #require(image.indexes[try id(name)])
  }

  func table(_ name: String) throws -> TableDefinition { try #require(image.tables[try id(name)]) }

  func sequence(_ name: String) throws -> SequenceDefinition { try #require(image.sequences[try id(name)]) }
}

/// `create table name (id int4, …)`.
func draft(
  _ name: String, _ columns: [ColumnDraft] = [ColumnDraft(name: "id", type: .int4)], checks: [CheckDraft] = [],
  keys: [KeyDraft] = [], partitioning: PartitioningDraft? = nil, partition: PartitionMembership? = nil,
  shard: UInt32? = nil
) -> TableDraft {
  TableDraft(
    schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole, columns: columns, checks: checks,
    keys: keys, partitioning: partitioning, partition: partition, shardID: shard.map(ShardID.init))
}

func view(_ name: String, reads dependencies: [ObjectID]) -> ViewDraft {
  ViewDraft(
    schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole, query: "SELECT 1",
    columns: [ViewDefinition.Column(name: "a", type: .int4)], dependencies: dependencies)
}

/// Of node 1, the coordinator in these tests.
func transactionID(_ incarnation: UInt64, _ sequence: UInt64) -> GlobalTransactionID {
  GlobalTransactionID(coordinator: NodeID(rawValue: 1), incarnation: incarnation, sequence: sequence)
}

func transaction(
  _ incarnation: UInt64, _ sequence: UInt64, _ outcome: TransactionOutcome, shards: [UInt32] = [1, 2]
) -> Command {
  .transaction(.decide(transactionID(incarnation, sequence), outcome, participants: shards.map(ShardID.init)))
}

/// Of shard 1, by its one replica.
let snapshot = MigrationSnapshot(
  nodeID: NodeID(rawValue: 1), shardIndex: 5, lengthBytes: 4096, checksum: [UInt8](repeating: 3, count: 32))

/// `name(a integer) returns integer`.
func sqlFunction(_ name: String, result: SQLType? = .int4, body: String = "SELECT 1") -> FunctionDefinition {
  FunctionDefinition(
    id: ObjectID(rawValue: 0), schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole,
    arguments: [FunctionDefinition.Argument(name: "a", type: .int4, defaultExpression: "1")], result: result,
    volatility: .immutable, body: body)
}
