import EventLoop
import Metadata
import Testing

/// The tables of docs/security.md, as they are written there.
struct SecurityTable {
  /// By the row's name, then the column's.
  let cells: [String: [String: String]]

  /// Reads the table whose first column has the given title.
  init(_ title: String) throws {
    let path = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/docs/security.md"
    let lines = try FileSystem.readText(path).split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0.hasPrefix("| \(title) |") }, "no table of \(title) in \(path)")
    let header = Self.columns(lines[start])
    var cells: [String: [String: String]] = [:]
    for line in lines[(start + 2)...].prefix(while: { $0.hasPrefix("|") }) {
      let columns = Self.columns(line)
      try #require(columns.count == header.count, "\(line)")
      cells[columns[0]] = Dictionary(uniqueKeysWithValues: zip(header, columns).dropFirst())
    }
    self.cells = cells
  }

  private static func columns(_ line: Substring) -> [String] {
    line.split(separator: "|").map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
  }
}

/// A command of each kind, which the cluster of the tests may reject, but which is one.
@LoopActor
func sample(_ kind: CommandKind) -> Command {
  let id = ObjectID(rawValue: 99_999)
  let node = NodeID(rawValue: 77)
  let sequence = SequenceDraft(schemaID: WellKnown.publicSchema, name: "s", ownerID: WellKnown.firstRole)
  let view = ViewDraft(
    schemaID: WellKnown.publicSchema, name: "v", ownerID: WellKnown.firstRole, query: "SELECT 1", columns: [],
    dependencies: [])
  let transaction = GlobalTransactionID(coordinator: node, incarnation: 1, sequence: 1)
  let migration = MigrationID(rawValue: 5)
  return switch kind {
  case .createCluster:
    .createCluster(ClusterDraft(id: MetaCluster.id, name: "test", roleName: "abc", roleVerifier: nil))
  case .setSetting: .setSetting(name: "a", value: "b")
  case .setAccessSetting: .setSetting(name: "access.token.matrix", value: nil)
  case .registerNode:
    .registerNode(NodeDefinition(id: node, role: .storage, name: "n", host: "127.0.0.1", port: 1))
  case .updateNodeAddress: .updateNodeAddress(node, host: "127.0.0.1", port: 2, postgresPort: nil)
  case .removeNode: .removeNode(NodeID(rawValue: 88))
  case .recordNote: .recordNote(topic: "t", content: [1])
  case .raiseFeatureLevel: .raiseFeatureLevel(1)
  case .createShard: .createShard(ShardDraft(replicas: []))
  case .addReplica: .addReplica(ShardID(rawValue: 9), node)
  case .createSchema: .createSchema(name: "s", ownerID: WellKnown.firstRole)
  case .dropSchema: .dropSchema(id, isCascade: false)
  case .createTable: table("matrix")
  case .dropTables: .dropTables([id], isCascade: false)
  case .truncateTables: .truncateTables([id], restartsSequences: false)
  case .createIndex: .createIndex(IndexDraft(tableID: id, parts: []))
  case .dropIndexes: .dropIndexes([id], isCascade: false)
  case .setTableOptions: .setTableOptions(id, set: ["fillfactor": "70"], reset: [])
  case .createSequence: .createSequence(sequence)
  case .alterSequence: .alterSequence(id, SequenceOptions())
  case .dropSequences: .dropSequences([id], isCascade: false)
  case .reserveSequence: .reserveSequence(id, count: 1)
  case .setSequenceValue: .setSequenceValue(id, value: 1, isCalled: true)
  case .createView: .createView(view, orReplace: false)
  case .dropViews: .dropViews([id], isCascade: false)
  case .createRole: .createRole(RoleDraft(name: "r"))
  case .alterRole: .alterRole(id, RoleChange())
  case .dropRole: .dropRole(id)
  case .decideTransaction: .transaction(.decide(transaction, .commit, participants: [ShardID(rawValue: 1)]))
  case .resolveTransaction: .transaction(.resolve(transaction))
  case .settleTransactions: .transaction(.settle(before: transaction))
  case .electManager: .manager(.elect(node, after: 0))
  case .resignManager: .manager(.resign(epoch: 1))
  case .planMigration:
    .migration(
      .plan(TabletID(rawValue: 1), target: ShardID(rawValue: 2), epoch: nil, maximumRetries: nil, reason: "test"))
  case .advanceMigration: .migration(.advance(migration, attempt: 0, .transferred))
  case .pauseMigration: .migration(.pause(migration, reason: "test"))
  case .resumeMigration: .migration(.resume(migration))
  case .retryMigration: .migration(.retry(migration, attempt: 0, resumesAt: .planned, reason: "test"))
  case .failMigration: .migration(.fail(migration, reason: "test"))
  case .reverseMigration: .migration(.reverse(migration, reason: "test"))
  case .giveUpReverse: .migration(.giveUpReverse(migration, attempt: 0, isLost: false, reason: "test"))
  case .completeMigration: .migration(.complete(migration))
  case .reportMigration: .migration(.report(migration, attempt: 0, MigrationProgress(bytes: 1)))
  case .expireCut: .migration(.expireCut(migration, attempt: 0, reason: "test"))
  default: catalogSample(kind, id)
  }
}

private func catalogSample(_ kind: CommandKind, _ id: ObjectID) -> Command {
  let function = FunctionDefinition(
    id: id, schemaID: id, name: "f", ownerID: WellKnown.firstRole, arguments: [], result: nil, body: "SELECT 1")
  let table = TableDraft(schemaID: id, name: "m", ownerID: WellKnown.firstRole, columns: [])
  let change = SchemaChangeID(rawValue: 5)
  return switch kind {
  case .grantPrivileges: .privilege(.grant(.select, on: [id], to: [nil], withGrantOption: false))
  case .revokePrivileges: .privilege(.revoke(.select, on: [id], from: [nil], grantOptionOnly: false))
  case .grantRoles: .privilege(.grantRoles([id], to: [id], withAdminOption: false))
  case .revokeRoles: .privilege(.revokeRoles([id], from: [id], adminOptionOnly: false))
  case .createMaterializedView: .materializedView(.create(table, query: "SELECT 1", dependencies: []))
  case .refreshMaterializedView: .materializedView(.refresh(id, isPopulated: true, asOf: 1))
  case .dropMaterializedViews: .materializedView(.drop([id], isCascade: false))
  case .createFunction: .function(.create(function, orReplace: false))
  case .dropFunctions: .function(.drop([id]))
  case .planSchemaChange: .schemaChange(.plan(id, text: "t", steps: ["a"]))
  case .completeSchemaChangeStep: .schemaChange(.completeStep(change, step: 1))
  case .failSchemaChange: .schemaChange(.fail(change, reason: "test"))
  case .drainShard: .shard(.drain(ShardID(rawValue: 9), reason: "test"))
  case .undrainShard: .shard(.undrain(ShardID(rawValue: 9)))
  case .removeShard: .shard(.remove(ShardID(rawValue: 9)))
  case .removeReplica: .shard(.removeReplica(ShardID(rawValue: 9), NodeID(rawValue: 88)))
  case .setShardClass: .shard(.setClass(ShardID(rawValue: 9), "cold"))
  case .markNodeFailed: .node(.markFailed(NodeID(rawValue: 88), reason: "test"))
  case .markNodeWell: .node(.markWell(NodeID(rawValue: 88)))
  case .drainNode: .node(.drain(NodeID(rawValue: 88), graceSeconds: 1))
  default: preconditionFailure("no sample of \(kind)")
  }
}

/// A command about node 50, which is the caller's own where it is of the given role, and the same about another one.
func ownSamples(_ kind: CommandKind, _ role: AccessRole) throws -> (own: Command, other: Command) {
  let node = NodeID(rawValue: 50)
  let stranger = NodeID(rawValue: 51)
  func transaction(_ node: NodeID) -> GlobalTransactionID {
    GlobalTransactionID(coordinator: node, incarnation: 1, sequence: 1)
  }
  func definition(_ id: NodeID) throws -> NodeDefinition {
    NodeDefinition(id: id, role: try #require(role.nodeRole), name: "n", host: "127.0.0.1", port: 1)
  }
  func both(_ command: (NodeID) throws -> Command) rethrows -> (Command, Command) {
    (try command(node), try command(stranger))
  }
  switch kind {
  case .registerNode: return try both { .registerNode(try definition($0)) }
  case .updateNodeAddress: return both { .updateNodeAddress($0, host: "127.0.0.1", port: 2, postgresPort: nil) }
  case .decideTransaction where role == .storage:
    // Its own is to ask for an end, whoever coordinates.
    let shards = [ShardID(rawValue: 1)]
    return (
      .transaction(.decide(transaction(stranger), .abort, participants: shards)),
      .transaction(.decide(transaction(stranger), .commit, participants: shards))
    )
  case .decideTransaction:
    return both { .transaction(.decide(transaction($0), .commit, participants: [ShardID(rawValue: 1)])) }
  case .resolveTransaction: return both { .transaction(.resolve(transaction($0))) }
  case .settleTransactions: return both { .transaction(.settle(before: transaction($0))) }
  case .electManager: return both { .manager(.elect($0, after: 0)) }
  default: throw AccessSampleMissing(kind: kind)
  }
}

/// The table says own of a command that has no node.
struct AccessSampleMissing: Error {
  var kind: CommandKind
}
