/// What a command asks for, without its details. Raw values are the names of the protocol's messages, and of parts of them that not
/// the same callers may ask for.
package enum CommandKind: String, Sendable, Hashable, CaseIterable {
  case createCluster = "CreateCluster"
  case setSetting = "SetSetting"
  /// Of a setting that says who is let in.
  case setAccessSetting = "SetSetting access.*"
  case registerNode = "RegisterNode"
  case updateNodeAddress = "UpdateNodeAddress"
  case removeNode = "RemoveNode"
  case recordNote = "RecordNote"
  case raiseFeatureLevel = "RaiseFeatureLevel"
  case createShard = "CreateShard"
  case addReplica = "AddReplica"
  case createSchema = "CreateSchema"
  case dropSchema = "DropSchema"
  case createTable = "CreateTable"
  case dropTables = "DropTables"
  case truncateTables = "TruncateTables"
  case setTableOptions = "SetTableOptions"
  case createIndex = "CreateIndex"
  case dropIndexes = "DropIndexes"
  case createSequence = "CreateSequence"
  case alterSequence = "AlterSequence"
  case dropSequences = "DropSequences"
  case reserveSequence = "ReserveSequence"
  case setSequenceValue = "SetSequenceValue"
  case createView = "CreateView"
  case dropViews = "DropViews"
  case createRole = "CreateRole"
  case alterRole = "AlterRole"
  case dropRole = "DropRole"
  case decideTransaction = "DecideTransaction"
  case resolveTransaction = "ResolveTransaction"
  case settleTransactions = "SettleTransactions"
  case electManager = "ElectManager"
  case resignManager = "ResignManager"
  case planMigration = "PlanMigration"
  case advanceMigration = "AdvanceMigration"
  case pauseMigration = "PauseMigration"
  case resumeMigration = "ResumeMigration"
  case retryMigration = "RetryMigration"
  case failMigration = "FailMigration"
  case reverseMigration = "ReverseMigration"
  case giveUpReverse = "GiveUpReverse"
  case completeMigration = "CompleteMigration"
  case reportMigration = "ReportMigration"
  case expireCut = "ExpireCut"
  case grantPrivileges = "GrantPrivileges"
  case revokePrivileges = "RevokePrivileges"
  case grantRoles = "GrantRoles"
  case revokeRoles = "RevokeRoles"
  case createMaterializedView = "CreateMaterializedView"
  case refreshMaterializedView = "RefreshMaterializedView"
  case dropMaterializedViews = "DropMaterializedViews"
  case createFunction = "CreateFunction"
  case dropFunctions = "DropFunctions"
  case planSchemaChange = "PlanSchemaChange"
  case completeSchemaChangeStep = "CompleteSchemaChangeStep"
  case failSchemaChange = "FailSchemaChange"
  case drainShard = "DrainShard"
  case undrainShard = "UndrainShard"
  case removeShard = "RemoveShard"
  case removeReplica = "RemoveReplica"
  case setShardClass = "SetShardClass"
  case markNodeFailed = "MarkNodeFailed"
  case markNodeWell = "MarkNodeWell"
  case drainNode = "DrainNode"
}

extension Command {
  package var kind: CommandKind {
    switch self {
    case .createCluster: .createCluster
    case .setSetting(let name, _): name.hasPrefix(AccessToken.settingsPrefix) ? .setAccessSetting : .setSetting
    case .registerNode: .registerNode
    case .updateNodeAddress: .updateNodeAddress
    case .removeNode: .removeNode
    case .recordNote: .recordNote
    case .raiseFeatureLevel: .raiseFeatureLevel
    case .createShard: .createShard
    case .addReplica: .addReplica
    case .createSchema: .createSchema
    case .dropSchema: .dropSchema
    case .createTable: .createTable
    case .dropTables: .dropTables
    case .truncateTables: .truncateTables
    case .setTableOptions: .setTableOptions
    case .createIndex: .createIndex
    case .dropIndexes: .dropIndexes
    case .createSequence: .createSequence
    case .alterSequence: .alterSequence
    case .dropSequences: .dropSequences
    case .reserveSequence: .reserveSequence
    case .setSequenceValue: .setSequenceValue
    case .createView: .createView
    case .dropViews: .dropViews
    case .createRole: .createRole
    case .alterRole: .alterRole
    case .dropRole: .dropRole
    case .transaction(.decide): .decideTransaction
    case .transaction(.resolve): .resolveTransaction
    case .transaction(.settle): .settleTransactions
    case .manager(.elect): .electManager
    case .manager(.resign): .resignManager
    case .migration(.plan): .planMigration
    case .migration(.advance): .advanceMigration
    case .migration(.pause): .pauseMigration
    case .migration(.resume): .resumeMigration
    case .migration(.retry): .retryMigration
    case .migration(.fail): .failMigration
    case .migration(.reverse): .reverseMigration
    case .migration(.giveUpReverse): .giveUpReverse
    case .migration(.complete): .completeMigration
    case .migration(.report): .reportMigration
    case .migration(.expireCut): .expireCut
    case .privilege(.grant): .grantPrivileges
    case .privilege(.revoke): .revokePrivileges
    case .privilege(.grantRoles): .grantRoles
    case .privilege(.revokeRoles): .revokeRoles
    case .materializedView(.create): .createMaterializedView
    case .materializedView(.refresh): .refreshMaterializedView
    case .materializedView(.drop): .dropMaterializedViews
    case .function(.create): .createFunction
    case .function(.drop): .dropFunctions
    case .schemaChange(.plan): .planSchemaChange
    case .schemaChange(.completeStep): .completeSchemaChangeStep
    case .schemaChange(.fail): .failSchemaChange
    case .shard(.drain): .drainShard
    case .shard(.undrain): .undrainShard
    case .shard(.remove): .removeShard
    case .shard(.removeReplica): .removeReplica
    case .shard(.setClass): .setShardClass
    case .node(.markFailed): .markNodeFailed
    case .node(.markWell): .markNodeWell
    case .node(.drain): .drainNode
    }
  }
}
