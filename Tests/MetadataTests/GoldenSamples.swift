import Metadata
import SQLTypes

/// An event of each kind, with every field set: what golden files are made from, once. Only ever added to.
let goldenSamples: [Event] = {
  let object = ObjectID(rawValue: 16_400)
  let owner = ObjectID(rawValue: 16_401)
  let tablet = TabletID(rawValue: 300)
  let shard = ShardID(rawValue: 2)
  let node = NodeID(rawValue: 7)
  var samples: [Event] = [
    .clusterCreated(ClusterID(rawValue: [UInt8](1...16)), name: "golden", featureLevel: 3), .featureLevelRaised(3),
    .settingChanged(name: "archive_bytes", value: "1000"),
    .nodeRegistered(
      NodeDefinition(id: node, role: .compute, name: "compute-1", host: "10.0.0.7", port: 6001, postgresPort: 5432)),
    .nodeAddressChanged(node, host: "10.0.0.8", port: 6002, postgresPort: 5433), .nodeRemoved(node),
    .shardCreated(ShardDefinition(id: shard, name: "shard2", replicas: [NodeID(rawValue: 4), NodeID(rawValue: 5)])),
    .replicaAdded(shard, NodeID(rawValue: 6)), .replicaRemoved(shard, NodeID(rawValue: 4)),
    .databaseCreated(DatabaseDefinition(id: object, name: "postgres", ownerID: owner)),
    .schemaCreated(SchemaDefinition(id: object, name: "sales", ownerID: owner)), .schemaDropped(object),
    .tableDropped(object), .columnDefaultChanged(object, column: 2, expression: "now()"),
    .indexCreated(
      IndexDefinition(
        id: object, schemaID: owner, name: "i", tableID: ObjectID(rawValue: 16_402),
        parts: [IndexDefinition.Part(column: 2, isDescending: true, nullsFirst: true)], isUnique: true,
        constraint: .unique, parentID: ObjectID(rawValue: 16_403))),
    .indexDropped(object), .sequenceCreated(goldenSequence), .sequenceAltered(goldenSequence),
    .sequenceDropped(object), .sequenceReserved(object, first: -7, last: 13, count: 5),
    .sequenceValueSet(object, last: -3, resumesAt: 9), .viewCreated(goldenView), .viewReplaced(goldenView),
    .viewDropped(object), .roleCreated(goldenRole), .roleAltered(goldenRole), .roleDropped(object),
    .tabletCreated(TabletDefinition(id: tablet, tableID: object, shardID: shard, epoch: 3, generation: 4)),
    .tabletDropped(tablet), .tabletCleared(tablet, generation: 5),
    .noteRecorded(topic: "maintenance", content: Array("disk of node 4 replaced".utf8)),
  ]
  samples.append(.tableCreated(goldenTable))
  samples += goldenTransactions.map { .transaction($0) }
  samples += [.manager(.elected(node, epoch: 4)), .manager(.resigned(epoch: 4))]
  samples += goldenMigrations.map { .migration($0) }
  samples += goldenCatalog
  samples += [
    .shard(.drainBegun(shard, reason: "its machines go")), .shard(.drainCancelled(shard)), .shard(.removed(shard)),
    .node(.failed(node, reason: "it has not answered for 10 s")), .node(.returned(node)),
    .node(.drainBegun(node, graceSeconds: 30)), .shard(.classSet(shard, "cold")),
    .tableOptionsChanged(object, options: ["cold_after": "90 days", "shard_class": "ssd"]),
  ]
  samples.append(
    .clusterRestored(
      RestoredCluster(
        clusterID: ClusterID(rawValue: [UInt8](21...36)), name: "restored",
        originID: ClusterID(rawValue: [UInt8](1...16)), originIndex: 1_000,
        originHash: RecordHash([UInt8](64..<96)) ?? .zero)))
  return samples
}()

private let goldenSequence = SequenceDefinition(
  id: ObjectID(rawValue: 16_410), schemaID: ObjectID(rawValue: 2200), name: "q", ownerID: ObjectID(rawValue: 10),
  type: .int4, start: 5, increment: -2, minimum: -100, maximum: 100, cache: 3, isCycle: true,
  ownerTableID: ObjectID(rawValue: 16_411), ownerColumn: 1, lastReserved: 3, resumesAt: 7)

private let goldenView = ViewDefinition(
  id: ObjectID(rawValue: 16_420), schemaID: ObjectID(rawValue: 2200), name: "v", ownerID: ObjectID(rawValue: 10),
  query: "SELECT a FROM t", columns: [ViewDefinition.Column(name: "a", type: SQLType(oid: 1700, modifier: 655_366))],
  dependencies: [ObjectID(rawValue: 16_411)])

private let goldenRole = RoleDefinition(
  id: ObjectID(rawValue: 16_430), name: "r", isSuperuser: true, canLogin: true, canCreateDatabase: true,
  canCreateRole: true, connectionLimit: 5, verifier: "SCRAM-SHA-256$4096:salt$stored:server")

private let goldenTable = TableDefinition(
  id: ObjectID(rawValue: 16_411), schemaID: ObjectID(rawValue: 2200), name: "t", ownerID: ObjectID(rawValue: 10),
  columns: [
    ColumnDefinition(
      name: "a", type: .int4, isNotNull: true, defaultExpression: "nextval('q'::regclass)", identity: .byDefault,
      sequenceID: ObjectID(rawValue: 16_410)),
    ColumnDefinition(name: "b", type: SQLType(oid: 1700, modifier: 655_366), identity: .always),
  ],
  checks: [CheckDefinition(name: "c", expression: "b > 0", storageExpression: "b > '0'")],
  partitioning: Partitioning(strategy: .list, columns: [1, 2]),
  partition: PartitionMembership(
    parentID: ObjectID(rawValue: 16_412),
    bound: .range(
      from: [.minimum, .value(.integer(-5)), .value(.text("x"))],
      to: [.value(.real(1.5)), .value(.blob([0, 255])), .maximum])),
  options: ["fillfactor": "70", "shard": "2"], version: 6)

private let goldenTransactions: [TransactionEvent] = {
  let id = GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 900, sequence: 12)
  return [
    .decided(id, .commit, participants: [ShardID(rawValue: 1), ShardID(rawValue: 3)]), .resolved(id),
    .settled(before: id),
  ]
}()

private let goldenMigrations: [MigrationEvent] = {
  let id = MigrationID(rawValue: 11)
  return [
    .planned(
      MigrationPlan(
        id: id, tabletID: TabletID(rawValue: 300), source: ShardID(rawValue: 1), target: ShardID(rawValue: 2), epoch: 3,
        maximumRetries: 5, reason: "balance")),
    .snapshotTaken(
      id,
      MigrationSnapshot(
        nodeID: NodeID(rawValue: 4), shardIndex: 500, lengthBytes: 4_096, checksum: [UInt8](repeating: 9, count: 32))),
    .transferred(id), .loaded(id), .caughtUp(id, shardIndex: 510), .writesCut(id),
    .routed(
      TabletRoute(
        migrationID: id, tabletID: TabletID(rawValue: 300), shardID: ShardID(rawValue: 2), epoch: 4, shardIndex: 520,
        rowsChecksum: [1, 2, 3, 4])),
    .finishing(id), .sourceDropped(id), .paused(id, reason: "night"), .resumed(id),
    .retried(id, attempt: 2, resumesAt: .snapshotTaken, reason: "checksum"), .failed(id, reason: "target is gone"),
    .rolledBack(id), .reversed(id, reason: "slow"), .abandoned(id),
    .reverseRequested(id, reason: "slow"), .reverseGivenUp(id, isLost: true, reason: "compacted"),
    .progressed(
      id,
      MigrationProgress(
        bytes: 50, totalBytes: 100, rows: 5, bytesPerSecond: 25, lagMilliseconds: 70, shardIndex: 600)),
  ]
}()

private let goldenCatalog: [Event] = {
  let object = ObjectID(rawValue: 16_500)
  let role = ObjectID(rawValue: 16_501)
  let member = ObjectID(rawValue: 16_502)
  let function = FunctionDefinition(
    id: object, schemaID: ObjectID(rawValue: 2200), name: "f", ownerID: role,
    arguments: [FunctionDefinition.Argument(name: "a", type: .int4, defaultExpression: "1")],
    result: SQLType(oid: 1700, modifier: 655_366), returnsSet: true, volatility: .stable, isStrict: true,
    body: "SELECT a + 1")
  let change = SchemaChangeID(rawValue: 12)
  return [
    .privilege(
      .changed(
        PrivilegeGrant(
          objectID: object, grantee: role, privileges: [.select, .update, .execute], grantOptions: .select))),
    .privilege(.roleGranted(RoleMembership(roleID: role, memberID: member, isAdmin: true))),
    .privilege(.roleRevoked(role: role, member: member)),
    .materializedView(
      .created(
        MaterializedViewDefinition(
          tableID: object, query: "SELECT 1", dependencies: [role, member], isPopulated: true, refreshedIndex: 900))),
    .materializedView(.refreshed(tableID: object, isPopulated: true, asOf: 950)), .function(.created(function)),
    .function(.replaced(function)), .function(.dropped(object)),
    .schemaChange(
      .planned(
        SchemaChangePlan(id: change, objectID: object, text: "ALTER TABLE t", steps: ["add column", "fill it"]))),
    .schemaChange(.stepDone(change, step: 1)), .schemaChange(.completed(change)),
    .schemaChange(.failed(change, reason: "no space")),
  ]
}()
