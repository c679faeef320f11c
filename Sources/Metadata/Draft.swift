import SQLTypes

/// A new cluster: the log's first record.
package struct ClusterDraft: Sendable, Hashable {
  package var id: ClusterID
  package var name: String
  /// The first role: a superuser, and owner of the database `postgres`.
  package var roleName: String
  /// See `RoleDefinition.verifier`.
  package var roleVerifier: String?
  package init(id: ClusterID, name: String, roleName: String, roleVerifier: String?) {
    self.id = id
    self.name = name
    self.roleName = roleName
    self.roleVerifier = roleVerifier
  }
}

/// A new shard of storage nodes that are registered.
package struct ShardDraft: Sendable, Hashable {
  /// nil: the next free one.
  package var id: ShardID?
  /// nil: `shard` and its number.
  package var name: String?
  package var replicas: [NodeID]
  /// nil: hot.
  package var shardClass: String?
  package init(id: ShardID? = nil, name: String? = nil, replicas: [NodeID], shardClass: String? = nil) {
    self.id = id
    self.name = name
    self.replicas = replicas
    self.shardClass = shardClass
  }
}

/// A new table, partitioned table or partition.
package struct TableDraft: Sendable, Hashable {
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  /// Of a partition: only what differs from the parent (NOT NULL, a default); the rest is copied.
  package var columns: [ColumnDraft]
  package var checks: [CheckDraft]
  package var keys: [KeyDraft]
  package var partitioning: PartitioningDraft?
  package var partition: PartitionMembership?
  /// WITH (shard = n); nil: the policy chooses.
  package var shardID: ShardID?
  package var options: [String: String]
  package init(
    schemaID: ObjectID, name: String, ownerID: ObjectID, columns: [ColumnDraft], checks: [CheckDraft] = [],
    keys: [KeyDraft] = [], partitioning: PartitioningDraft? = nil, partition: PartitionMembership? = nil,
    shardID: ShardID? = nil, options: [String: String] = [:]
  ) {
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.columns = columns
    self.checks = checks
    self.keys = keys
    self.partitioning = partitioning
    self.partition = partition
    self.shardID = shardID
    self.options = options
  }
}

package struct ColumnDraft: Sendable, Hashable {
  package var name: String
  package var type: SQLType
  package var isNotNull: Bool
  /// SQL text. nil for serial and identity: the decision makes it from the sequence's name.
  package var defaultExpression: String?
  package var identity: ColumnDefinition.Identity?
  /// Set for serial and identity: the sequence to create with it.
  package var sequence: OwnedSequenceDraft?
  package init(
    name: String, type: SQLType, isNotNull: Bool = false, defaultExpression: String? = nil,
    identity: ColumnDefinition.Identity? = nil, sequence: OwnedSequenceDraft? = nil
  ) {
    self.name = name
    self.type = type
    self.isNotNull = isNotNull
    self.defaultExpression = defaultExpression
    self.identity = identity
    self.sequence = sequence
  }
}

package struct OwnedSequenceDraft: Sendable, Hashable {
  /// nil: `table_column_seq`.
  package var name: String?
  package var options: SequenceOptions
  package init(name: String? = nil, options: SequenceOptions = SequenceOptions()) {
    self.name = name
    self.options = options
  }
}

package struct CheckDraft: Sendable, Hashable {
  /// nil: `table_column_check`, or `table_check`.
  package var name: String?
  /// The column, where the expression reads just one: for the name.
  package var column: String?
  package var expression: String
  package var storageExpression: String
  package init(name: String?, column: String?, expression: String, storageExpression: String) {
    self.name = name
    self.column = column
    self.expression = expression
    self.storageExpression = storageExpression
  }
}

/// PRIMARY KEY or UNIQUE.
package struct KeyDraft: Sendable, Hashable {
  /// nil: `table_pkey`, `table_columns_key`.
  package var name: String?
  package var kind: IndexDefinition.Constraint
  package var columns: [String]
  package init(name: String? = nil, kind: IndexDefinition.Constraint, columns: [String]) {
    self.name = name
    self.kind = kind
    self.columns = columns
  }
}

package struct PartitioningDraft: Sendable, Hashable {
  package var strategy: PartitionStrategy
  package var columns: [String]
  package init(strategy: PartitionStrategy, columns: [String]) {
    self.strategy = strategy
    self.columns = columns
  }
}

package struct IndexDraft: Sendable, Hashable {
  /// nil: `table_columns_idx`.
  package var name: String?
  package var tableID: ObjectID
  package var parts: [IndexDefinition.Part]
  package var isUnique: Bool
  package init(name: String? = nil, tableID: ObjectID, parts: [IndexDefinition.Part], isUnique: Bool = false) {
    self.name = name
    self.tableID = tableID
    self.parts = parts
    self.isUnique = isUnique
  }
}

package struct SequenceDraft: Sendable, Hashable {
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package var options: SequenceOptions
  package init(schemaID: ObjectID, name: String, ownerID: ObjectID, options: SequenceOptions = SequenceOptions()) {
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.options = options
  }
}

/// The options of CREATE and ALTER SEQUENCE; nil: not said.
package struct SequenceOptions: Sendable, Hashable {
  package enum Limit: Sendable, Hashable {
    /// NO MINVALUE, NO MAXVALUE: the type's.
    case standard
    case value(Int64)
  }
  package enum Owner: Sendable, Hashable {
    case none
    /// Column number from 1.
    case column(ObjectID, number: Int)
  }
  package enum Restart: Sendable, Hashable {
    case atStart
    case at(Int64)
  }
  package var type: SQLType?
  package var increment: Int64?
  package var minimum: Limit?
  package var maximum: Limit?
  package var start: Int64?
  /// ALTER SEQUENCE only.
  package var restart: Restart?
  package var cache: Int64?
  package var isCycle: Bool?
  package var owner: Owner?
  package init(
    type: SQLType? = nil, increment: Int64? = nil, minimum: Limit? = nil, maximum: Limit? = nil, start: Int64? = nil,
    restart: Restart? = nil, cache: Int64? = nil, isCycle: Bool? = nil, owner: Owner? = nil
  ) {
    self.type = type
    self.increment = increment
    self.minimum = minimum
    self.maximum = maximum
    self.start = start
    self.restart = restart
    self.cache = cache
    self.isCycle = isCycle
    self.owner = owner
  }
}

package struct ViewDraft: Sendable, Hashable {
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package var query: String
  package var columns: [ViewDefinition.Column]
  /// Tables, views and sequences that it reads.
  package var dependencies: [ObjectID]
  package init(
    schemaID: ObjectID, name: String, ownerID: ObjectID, query: String, columns: [ViewDefinition.Column],
    dependencies: [ObjectID]
  ) {
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.query = query
    self.columns = columns
    self.dependencies = dependencies
  }
}

package struct RoleDraft: Sendable, Hashable {
  package var name: String
  package var isSuperuser: Bool
  package var canLogin: Bool
  package var canCreateDatabase: Bool
  package var canCreateRole: Bool
  package var connectionLimit: Int32
  package var verifier: String?
  package init(
    name: String, isSuperuser: Bool = false, canLogin: Bool = false, canCreateDatabase: Bool = false,
    canCreateRole: Bool = false, connectionLimit: Int32 = -1, verifier: String? = nil
  ) {
    self.name = name
    self.isSuperuser = isSuperuser
    self.canLogin = canLogin
    self.canCreateDatabase = canCreateDatabase
    self.canCreateRole = canCreateRole
    self.connectionLimit = connectionLimit
    self.verifier = verifier
  }
}

/// What ALTER ROLE changes; nil: stays.
package struct RoleChange: Sendable, Hashable {
  package enum Password: Sendable, Hashable {
    /// PASSWORD NULL.
    case none
    case verifier(String)
  }
  package var isSuperuser: Bool?
  package var canLogin: Bool?
  package var canCreateDatabase: Bool?
  package var canCreateRole: Bool?
  package var connectionLimit: Int32?
  package var password: Password?
  package init(
    isSuperuser: Bool? = nil, canLogin: Bool? = nil, canCreateDatabase: Bool? = nil, canCreateRole: Bool? = nil,
    connectionLimit: Int32? = nil, password: Password? = nil
  ) {
    self.isSuperuser = isSuperuser
    self.canLogin = canLogin
    self.canCreateDatabase = canCreateDatabase
    self.canCreateRole = canCreateRole
    self.connectionLimit = connectionLimit
    self.password = password
  }
}
