import Metadata
import ProtocolMetadata
import SQLTypes

extension ClusterDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_CreateCluster {
    .with {
      $0.clusterID = .init(id.rawValue)
      $0.name = name
      $0.roleName = roleName
      if let roleVerifier { $0.roleVerifier = roleVerifier }
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateCluster) {
    self.init(
      id: ClusterID(rawValue: [UInt8](wire.clusterID)), name: wire.name, roleName: wire.roleName,
      roleVerifier: wire.hasRoleVerifier ? wire.roleVerifier : nil)
  }
}

extension TableDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_CreateTable {
    .with {
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.columns = columns.map(\.wire)
      $0.checks = checks.map { check in
        .with {
          $0.name = check.name ?? ""
          $0.column = check.column ?? ""
          $0.expression = check.expression
          $0.storageExpression = check.storageExpression
        }
      }
      $0.keys = keys.map { key in
        .with {
          $0.name = key.name ?? ""
          $0.kind = IndexDefinition.Constraint.wire(key.kind)
          $0.columns = key.columns
        }
      }
      if let partitioning {
        $0.partitioning = .with {
          $0.strategy = partitioning.strategy.wire
          $0.columns = partitioning.columns
        }
      }
      if let partition { $0.partition = partition.wire }
      $0.shardID = shardID?.rawValue ?? 0
      $0.options = wireOptions(options)
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateTable) throws(WireError) {
    self.init(
      schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name, ownerID: ObjectID(rawValue: wire.ownerID),
      columns: try mapped(wire.columns, ColumnDraft.init(wire:)),
      checks: wire.checks.map {
        CheckDraft(
          name: nonEmpty($0.name), column: nonEmpty($0.column), expression: $0.expression,
          storageExpression: $0.storageExpression)
      },
      keys: try mapped(wire.keys, KeyDraft.init(wire:)),
      partitioning: wire.hasPartitioning
        ? PartitioningDraft(
          strategy: try PartitionStrategy(wire: wire.partitioning.strategy), columns: wire.partitioning.columns) : nil,
      partition: wire.hasPartition ? try PartitionMembership(wire: wire.partition) : nil,
      shardID: wire.shardID == 0 ? nil : ShardID(rawValue: wire.shardID), options: optionTable(wire.options))
  }
}

extension KeyDraft {
  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_KeyDraft) throws(WireError) {
    guard let kind = try IndexDefinition.Constraint.from(wire.kind) else { throw .malformed("key without a kind") }
    self.init(name: nonEmpty(wire.name), kind: kind, columns: wire.columns)
  }
}

extension ColumnDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_ColumnDraft {
    .with {
      $0.name = name
      $0.type = type.wire
      $0.notNull = isNotNull
      if let defaultExpression { $0.defaultExpression = defaultExpression }
      $0.identity = ColumnDefinition.Identity.wire(identity)
      if let sequence {
        $0.sequence = .with {
          $0.name = sequence.name ?? ""
          $0.options = sequence.options.wire
        }
      }
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_ColumnDraft) throws(WireError) {
    self.init(
      name: wire.name, type: SQLType(wire: wire.type), isNotNull: wire.notNull,
      defaultExpression: wire.hasDefaultExpression ? wire.defaultExpression : nil,
      identity: try ColumnDefinition.Identity.from(wire.identity),
      sequence: wire.hasSequence
        ? OwnedSequenceDraft(
          name: nonEmpty(wire.sequence.name), options: SequenceOptions(wire: wire.sequence.options)) : nil)
  }
}

extension IndexDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_CreateIndex {
    .with {
      $0.name = name ?? ""
      $0.tableID = tableID.rawValue
      $0.parts = parts.map(\.wire)
      $0.unique = isUnique
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateIndex) {
    self.init(
      name: nonEmpty(wire.name), tableID: ObjectID(rawValue: wire.tableID),
      parts: wire.parts.map(IndexDefinition.Part.init), isUnique: wire.unique)
  }
}

extension SequenceDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_CreateSequence {
    .with {
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.options = options.wire
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateSequence) {
    self.init(
      schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name, ownerID: ObjectID(rawValue: wire.ownerID),
      options: SequenceOptions(wire: wire.options))
  }
}

extension SequenceOptions {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_SequenceOptions {
    .with {
      if let type { $0.type = type.wire }
      if let increment { $0.increment = increment }
      if let minimum { $0.minimum = minimum.wire }
      if let maximum { $0.maximum = maximum.wire }
      if let start { $0.start = start }
      switch restart {
      case .atStart: $0.restart = .init()
      case .at(let value): $0.restart = .with { $0.value = value }
      case nil: break
      }
      if let cache { $0.cache = cache }
      if let isCycle { $0.cycle = isCycle }
      switch owner {
      case .none?: $0.owner = .init()
      case .column(let table, let number):
        $0.owner = .with {
          $0.tableID = table.rawValue
          $0.column = UInt32(clamping: number)
        }
      case nil: break
      }
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_SequenceOptions) {
    self.init()
    if wire.hasType { type = SQLType(wire: wire.type) }
    if wire.hasIncrement { increment = wire.increment }
    if wire.hasMinimum { minimum = Limit(wire: wire.minimum) }
    if wire.hasMaximum { maximum = Limit(wire: wire.maximum) }
    if wire.hasStart { start = wire.start }
    if wire.hasRestart { restart = wire.restart.hasValue ? .at(wire.restart.value) : .atStart }
    if wire.hasCache { cache = wire.cache }
    if wire.hasCycle { isCycle = wire.cycle }
    if wire.hasOwner {
      owner = objectID(wire.owner.tableID).map { .column($0, number: Int(wire.owner.column)) } ?? Owner.none
    }
  }
}

extension SequenceOptions.Limit {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_SequenceOptions.Limit {
    .with { if case .value(let value) = self { $0.value = value } }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_SequenceOptions.Limit) { self = wire.hasValue ? .value(wire.value) : .standard }
}

extension ViewDraft {
  /// As the protocol has it.
  func wire(orReplace: Bool) -> Kunlog_Metadata_V1_CreateView {
    .with {
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.query = query
      $0.columns = wireColumns(columns)
      $0.dependencies = dependencies.map(\.rawValue)
      $0.orReplace = orReplace
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateView) {
    self.init(
      schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name, ownerID: ObjectID(rawValue: wire.ownerID),
      query: wire.query, columns: viewColumns(wire.columns), dependencies: wire.dependencies.map(ObjectID.init))
  }
}

extension RoleDraft {
  /// As the protocol has it.
  var wire: Kunlog_Metadata_V1_CreateRole {
    .with {
      $0.name = name
      $0.superuser = isSuperuser
      $0.canLogin = canLogin
      $0.canCreateDatabase = canCreateDatabase
      $0.canCreateRole = canCreateRole
      $0.connectionLimit = connectionLimit
      if let verifier { $0.verifier = verifier }
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_CreateRole) {
    self.init(
      name: wire.name, isSuperuser: wire.superuser, canLogin: wire.canLogin,
      canCreateDatabase: wire.canCreateDatabase, canCreateRole: wire.canCreateRole,
      connectionLimit: wire.connectionLimit, verifier: wire.hasVerifier ? wire.verifier : nil)
  }
}

extension RoleChange {
  /// As the protocol has it.
  func wire(of id: ObjectID) -> Kunlog_Metadata_V1_AlterRole {
    .with {
      $0.id = id.rawValue
      if let isSuperuser { $0.superuser = isSuperuser }
      if let canLogin { $0.canLogin = canLogin }
      if let canCreateDatabase { $0.canCreateDatabase = canCreateDatabase }
      if let canCreateRole { $0.canCreateRole = canCreateRole }
      if let connectionLimit { $0.connectionLimit = connectionLimit }
      switch password {
      case .none?: $0.verifier = ""
      case .verifier(let verifier): $0.verifier = verifier
      case nil: break
      }
    }
  }

  /// From the protocol.
  init(wire: Kunlog_Metadata_V1_AlterRole) {
    self.init(
      isSuperuser: wire.hasSuperuser ? wire.superuser : nil, canLogin: wire.hasCanLogin ? wire.canLogin : nil,
      canCreateDatabase: wire.hasCanCreateDatabase ? wire.canCreateDatabase : nil,
      canCreateRole: wire.hasCanCreateRole ? wire.canCreateRole : nil,
      connectionLimit: wire.hasConnectionLimit ? wire.connectionLimit : nil,
      password: wire.hasVerifier ? (wire.verifier.isEmpty ? Password.none : .verifier(wire.verifier)) : nil)
  }
}

/// Empty text stands for what was not said.
private func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }
