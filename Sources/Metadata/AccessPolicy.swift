/// Who may do what: the table of docs/security.md, which a test compares with this.
package enum AccessPolicy {
  /// Who may append a command.
  package struct Rule: Sendable, Hashable {
    /// Whatever it is about.
    package var always: AccessRoles
    /// Where it is about the caller's own node.
    package var own: AccessRoles = []
  }

  /// Who may append commands of a kind. A new kind needs a decision here and a row in docs/security.md.
  package static func rule(_ kind: CommandKind) -> Rule {
    switch kind {
    case .createCluster, .setAccessSetting: Rule(always: .admin)
    case .setSetting, .raiseFeatureLevel, .removeNode, .drainShard, .undrainShard, .removeShard,
      .setShardClass, .drainNode:
      Rule(always: [.admin, .operator])
    case .registerNode, .updateNodeAddress: Rule(always: [.admin, .operator], own: .nodes)
    case .recordNote: Rule(always: [.meta, .manager, .admin, .operator])
    case .createShard: Rule(always: [.manager, .admin, .operator])
    // A shard's leader says who belongs to it.
    case .addReplica, .removeReplica: Rule(always: [.storage, .manager, .admin, .operator])
    case .markNodeFailed, .markNodeWell: Rule(always: [.manager, .admin])
    case .createSchema, .dropSchema, .createTable, .dropTables, .truncateTables, .setTableOptions, .createIndex,
      .dropIndexes, .createSequence, .alterSequence, .dropSequences, .reserveSequence, .setSequenceValue, .createView,
      .dropViews,
      .createRole, .alterRole, .dropRole, .grantPrivileges, .revokePrivileges, .grantRoles, .revokeRoles,
      .createMaterializedView, .refreshMaterializedView, .dropMaterializedViews, .createFunction, .dropFunctions:
      Rule(always: [.compute, .admin])
    case .decideTransaction: Rule(always: [.manager, .admin, .operator], own: [.compute, .storage])
    case .resolveTransaction, .settleTransactions: Rule(always: [.manager, .admin, .operator], own: .compute)
    case .electManager: Rule(always: .admin, own: .manager)
    case .resignManager: Rule(always: [.manager, .admin, .operator])
    case .planSchemaChange: Rule(always: [.compute, .manager, .admin])
    case .completeSchemaChangeStep, .failSchemaChange: Rule(always: [.manager, .admin])
    case .advanceMigration, .reportMigration: Rule(always: [.manager, .admin])
    // A shard that no manager frees of its fence: it can only undo a cut.
    case .expireCut: Rule(always: [.storage, .manager, .admin])
    case .planMigration, .pauseMigration, .resumeMigration, .retryMigration, .failMigration, .reverseMigration,
      .giveUpReverse, .completeMigration:
      Rule(always: [.manager, .admin, .operator])
    }
  }

  /// Whether the caller may append the command.
  package static func allows(_ command: Command, _ caller: AccessIdentity) -> Bool {
    let rule = rule(command.kind)
    if !rule.always.isDisjoint(with: caller.roles) { return true }
    return !rule.own.isDisjoint(with: caller.roles) && isOwn(command, caller)
  }

  /// Whether the command is about the caller's own node, as what it is. A transaction is its coordinator's own; a participant
  /// may have any one aborted, since without that it would wait for ever.
  private static func isOwn(_ command: Command, _ caller: AccessIdentity) -> Bool {
    switch command {
    case .registerNode(let node): node.id == caller.nodeID && node.role == caller.role.nodeRole
    case .updateNodeAddress(let id, _, _, _): id == caller.nodeID
    case .transaction(.decide(let id, let outcome, _)):
      caller.role == .storage ? outcome == .abort : id.coordinator == caller.nodeID
    case .transaction(.resolve(let id)), .transaction(.settle(before: let id)): id.coordinator == caller.nodeID
    case .manager(.elect(let id, _)): id == caller.nodeID
    default: false
    }
  }

  /// Why a command is refused: who, what, and what to do.
  package static func refusal(_ command: Command, _ caller: AccessIdentity) -> String {
    let rule = rule(command.kind)
    let own = rule.own.isEmpty ? "" : " (and, for its own node, \(rule.own.text))"
    return "\(caller.text) may not append \(command.kind.rawValue): that is for \(rule.always.text)\(own). \(hint)"
  }

  /// Why a call is refused.
  package static func refusal(method: String, _ caller: AccessIdentity, allowed: AccessRoles) -> String {
    "\(caller.text) may not call \(method): that is for \(allowed.text). \(hint)"
  }

  private static var hint: String {
    "Use a certificate or token of another role (docs/security.md; kunlog cert show FILE tells the role of one)."
  }
}

extension AccessIdentity {
  /// Name and role: `compute-1 (compute node 101)`.
  package var text: String {
    guard let nodeID else { return "\(name) (\(role.rawValue))" }
    return "\(name) (\(role.rawValue) node \(nodeID))"
  }
}

/// What can be called at a node, by the path of the method. Appends are decided command by command besides.
package enum AccessMethod: String, Sendable, Hashable, CaseIterable {
  case append = "kunlog.metadata.v1.Metadata/Append"
  case appendStream = "kunlog.metadata.v1.Metadata/AppendStream"
  case readImage = "kunlog.metadata.v1.Metadata/ReadImage"
  case readIndex = "kunlog.metadata.v1.Metadata/ReadIndex"
  case subscribe = "kunlog.metadata.v1.Metadata/Subscribe"
  case metadataStatus = "kunlog.metadata.v1.Metadata/Status"
  case imageAt = "kunlog.metadata.v1.Audit/ImageAt"
  case logHead = "kunlog.metadata.v1.Audit/Head"
  case proveRecord = "kunlog.metadata.v1.Audit/ProveRecord"
  case proveConsistency = "kunlog.metadata.v1.Audit/ProveConsistency"
  case logStatus = "kunlog.metadata.v1.Audit/LogStatus"
  case verifyLog = "kunlog.metadata.v1.Audit/Verify"
  case listMembers = "kunlog.metadata.v1.Admin/ListMembers"
  case changeMembers = "kunlog.metadata.v1.Admin/ChangeMembers"
  case transferLeadership = "kunlog.metadata.v1.Admin/TransferLeadership"
  case exchange = "kunlog.raft.v1.Raft/Exchange"
  case installSnapshot = "kunlog.raft.v1.Raft/InstallSnapshot"
  case execute = "kunlog.storage.v1.Storage/Execute"
  case commit = "kunlog.storage.v1.Storage/Commit"
  case prepare = "kunlog.storage.v1.Storage/Prepare"
  case finish = "kunlog.storage.v1.Storage/Finish"
  case hold = "kunlog.storage.v1.Storage/Hold"
  case transactions = "kunlog.storage.v1.Storage/Transactions"
  case rollback = "kunlog.storage.v1.Storage/Rollback"
  case keepAlive = "kunlog.storage.v1.Storage/KeepAlive"
  case storageStatus = "kunlog.storage.v1.Storage/Status"
  case moveStep = "kunlog.storage.v1.Moves/Step"
  case readMovedRows = "kunlog.storage.v1.Moves/ReadRows"
  case readMovedChanges = "kunlog.storage.v1.Moves/ReadChanges"
  case healthCheck = "grpc.health.v1.Health/Check"
  case healthWatch = "grpc.health.v1.Health/Watch"
  case reflection = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
  case reflectionAlpha = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
}

extension AccessPolicy {
  /// Who may call a method at a node of the given role. Raft is spoken among equals only: meta nodes with meta nodes, storage
  /// nodes with storage nodes.
  package static func roles(_ method: AccessMethod, at node: AccessRole) -> AccessRoles {
    switch method {
    case .append, .appendStream: [.nodes, .admin, .operator]
    case .readImage, .readIndex, .subscribe, .metadataStatus, .imageAt: .everybody
    case .logHead, .proveRecord, .proveConsistency: .everybody
    case .listMembers, .logStatus, .verifyLog: [.meta, .manager, .admin, .operator, .reader]
    case .changeMembers: [.manager, .admin, .operator]
    case .transferLeadership: [.admin, .operator]
    case .exchange, .installSnapshot: AccessRoles(node)
    case .execute, .commit, .prepare, .finish, .hold, .rollback, .keepAlive: .compute
    case .moveStep: [.manager, .admin]
    case .readMovedRows, .readMovedChanges: .storage
    case .transactions: [.compute, .manager, .admin, .operator, .reader]
    case .storageStatus, .healthCheck, .healthWatch, .reflection, .reflectionAlpha: .everybody
    }
  }
}
