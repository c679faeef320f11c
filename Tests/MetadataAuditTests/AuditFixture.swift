import Metadata
import SQLTypes
import Testing

/// A log in memory that is decided and folded, without bytes: time counts in minutes from 2026-11-26 12:00 UTC.
struct AuditFixture {
  var image = Image()
  var records: [Record] = []
  /// The image after each record.
  var images: [Image] = []

  /// A verifier, for what a digit of base64 says.
  static func verifier(_ digit: Character) -> String {
    let key = String(repeating: digit, count: 43) + "="
    return "SCRAM-SHA-256$4096:c2FsdA==$\(key):\(key)"
  }

  static let start: Int64 = 1_795_694_400_000_000

  /// A cluster of two shards with one replica each.
  init() throws {
    try append(
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "test", roleName: "abc",
          roleVerifier: Self.verifier("A"))))
    for number in 1...2 {
      let node = NodeDefinition(
        id: NodeID(rawValue: UInt64(number)), role: .storage, name: "storage\(number)", host: "127.0.0.1",
        port: 7000 + number)
      try append(.registerNode(node), .createShard(ShardDraft(replicas: [node.id])))
    }
  }

  /// Appends; answers the record's index. Consensus takes every other index.
  @discardableResult
  mutating func append(_ commands: Command..., principal: String = "tester", cause: UInt64? = nil) throws -> UInt64 {
    let request = AppendRequest(
      principal: principal, requestID: nil, cause: cause, preconditions: [], commands: commands)
    let events = try decide(request, image).get()
    #expect(!events.isEmpty)
    let index = image.index + 2
    let record = Record(
      index: index, term: 1, previousIndex: image.index,
      timeMicroseconds: Self.start + Int64(records.count) * 60_000_000, principal: principal, cause: cause,
      events: events, previousHash: image.hash, hash: RecordHash.of(index: index, term: 1, body: []))
    records.append(record)
    image = image.applying(record)
    images.append(image)
    return index
  }

  func id(_ name: String) throws -> ObjectID {
    try #require(image.relation(named: name, in: WellKnown.publicSchema)).id
  }

  /// `create table name (id serial primary key, name text)`.
  static func table(
    _ name: String, partitioning: PartitioningDraft? = nil, partition: PartitionMembership? = nil, shard: UInt32? = nil
  ) -> Command {
    .createTable(
      TableDraft(
        schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole,
        columns: partition == nil
          ? [
            ColumnDraft(
              name: "id", type: .int4, isNotNull: true,
              sequence: partitioning == nil ? OwnedSequenceDraft() : nil), ColumnDraft(name: "name", type: .text),
          ] : [], keys: partition == nil ? [KeyDraft(kind: .primaryKey, columns: ["id"])] : [],
        partitioning: partitioning, partition: partition, shardID: shard.map(ShardID.init)))
  }
}
