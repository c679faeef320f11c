import SQLTypes

/// A database: in this version the cluster has one, `postgres`.
package struct DatabaseDefinition: Sendable, Hashable {
  package var id: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package init(id: ObjectID, name: String, ownerID: ObjectID) {
    self.id = id
    self.name = name
    self.ownerID = ownerID
  }
}

package struct SchemaDefinition: Sendable, Hashable {
  package var id: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package init(id: ObjectID, name: String, ownerID: ObjectID) {
    self.id = id
    self.name = name
    self.ownerID = ownerID
  }
}

/// A column. Its number (`pg_attribute.attnum`) is its position in the table from 1; columns are never reordered.
package struct ColumnDefinition: Sendable, Hashable {
  package enum Identity: Sendable, Hashable { case always, byDefault }
  package var name: String
  package var type: SQLType
  package var isNotNull: Bool
  /// The default as SQL text that the parser reads again: `nextval('t_id_seq'::regclass)`.
  package var defaultExpression: String?
  package var identity: Identity?
  /// The sequence that feeds it, for serial and identity.
  package var sequenceID: ObjectID?
  package init(
    name: String, type: SQLType, isNotNull: Bool = false, defaultExpression: String? = nil, identity: Identity? = nil,
    sequenceID: ObjectID? = nil
  ) {
    self.name = name
    self.type = type
    self.isNotNull = isNotNull
    self.defaultExpression = defaultExpression
    self.identity = identity
    self.sequenceID = sequenceID
  }
}

/// CHECK: holds where the expression is true or null.
package struct CheckDefinition: Sendable, Hashable {
  package var name: String
  /// SQL text over the table's columns.
  package var expression: String
  /// The same in the storage engine's dialect, translated when the table was created: what a tablet enforces.
  package var storageExpression: String
  package init(name: String, expression: String, storageExpression: String) {
    self.name = name
    self.expression = expression
    self.storageExpression = storageExpression
  }
}

package enum PartitionStrategy: Sendable, Hashable { case hash, range, list }

/// How a partitioned table spreads its rows; the table itself then has no tablet.
package struct Partitioning: Sendable, Hashable {
  package var strategy: PartitionStrategy
  /// Column numbers from 1.
  package var columns: [Int]
  package init(strategy: PartitionStrategy, columns: [Int]) {
    self.strategy = strategy
    self.columns = columns
  }
}

/// Which rows of its parent a partition holds. Values are as stored (`StoredValue`), in the order of the key's columns.
package enum PartitionBound: Sendable, Hashable {
  case hash(modulus: Int, remainder: Int)
  case list([StoredValue])
  /// From inclusive, to exclusive.
  case range(from: [Datum], to: [Datum])
  /// DEFAULT: what no other partition takes.
  case standard

  package enum Datum: Sendable, Hashable { case minimum, value(StoredValue), maximum }
}

/// A partition's place below its parent.
package struct PartitionMembership: Sendable, Hashable {
  package var parentID: ObjectID
  package var bound: PartitionBound
  package init(parentID: ObjectID, bound: PartitionBound) {
    self.parentID = parentID
    self.bound = bound
  }
}

/// A table, a partitioned table, or a partition. Keys and unique constraints are indexes (`IndexDefinition.constraint`).
package struct TableDefinition: Sendable, Hashable {
  package var id: ObjectID
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package var columns: [ColumnDefinition]
  package var checks: [CheckDefinition]
  package var partitioning: Partitioning?
  package var partition: PartitionMembership?
  /// WITH (…) options as written, for `\d+`: sorted by name.
  package var options: [String: String]
  /// Raised by every change of the definition: an append may expect it.
  package var version: UInt64
  package init(
    id: ObjectID, schemaID: ObjectID, name: String, ownerID: ObjectID, columns: [ColumnDefinition],
    checks: [CheckDefinition] = [], partitioning: Partitioning? = nil, partition: PartitionMembership? = nil,
    options: [String: String] = [:], version: UInt64 = 1
  ) {
    self.id = id
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.columns = columns
    self.checks = checks
    self.partitioning = partitioning
    self.partition = partition
    self.options = options
    self.version = version
  }

  /// Column number (from 1) by name.
  package func columnNumber(_ name: String) -> Int? { columns.firstIndex { $0.name == name }.map { $0 + 1 } }
}

/// An index; of a partitioned table it is a template, with one index on each partition (`parentID`).
package struct IndexDefinition: Sendable, Hashable {
  package enum Constraint: Sendable, Hashable { case primaryKey, unique }
  package struct Part: Sendable, Hashable {
    /// Column number from 1.
    package var column: Int
    package var isDescending: Bool
    package var nullsFirst: Bool
    package init(column: Int, isDescending: Bool = false, nullsFirst: Bool = false) {
      self.column = column
      self.isDescending = isDescending
      self.nullsFirst = nullsFirst
    }
  }
  package var id: ObjectID
  package var schemaID: ObjectID
  package var name: String
  package var tableID: ObjectID
  package var parts: [Part]
  package var isUnique: Bool
  /// Set where it stands for a constraint of the same name.
  package var constraint: Constraint?
  /// The partitioned table's index that this one belongs to.
  package var parentID: ObjectID?
  package init(
    id: ObjectID, schemaID: ObjectID, name: String, tableID: ObjectID, parts: [Part], isUnique: Bool,
    constraint: Constraint? = nil, parentID: ObjectID? = nil
  ) {
    self.id = id
    self.schemaID = schemaID
    self.name = name
    self.tableID = tableID
    self.parts = parts
    self.isUnique = isUnique
    self.constraint = constraint
    self.parentID = parentID
  }
}

/// A sequence. Compute nodes reserve ranges of values in the log and hand them out from memory.
package struct SequenceDefinition: Sendable, Hashable {
  package var id: ObjectID
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package var type: SQLType
  package var start: Int64
  package var increment: Int64
  package var minimum: Int64
  package var maximum: Int64
  package var cache: Int64
  package var isCycle: Bool
  /// The table whose column it feeds, and with which it is dropped.
  package var ownerTableID: ObjectID?
  /// That column's number from 1; 0 where there is no table.
  package var ownerColumn: Int
  /// The last value that is reserved by some compute node; nil before the first.
  package var lastReserved: Int64?
  /// What the first reservation begins with while `lastReserved` is nil: `start`, unless RESTART or setval said otherwise.
  package var resumesAt: Int64
  package init(
    id: ObjectID, schemaID: ObjectID, name: String, ownerID: ObjectID, type: SQLType, start: Int64, increment: Int64,
    minimum: Int64, maximum: Int64, cache: Int64 = 1, isCycle: Bool = false, ownerTableID: ObjectID? = nil,
    ownerColumn: Int = 0, lastReserved: Int64? = nil, resumesAt: Int64? = nil
  ) {
    self.id = id
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.type = type
    self.start = start
    self.increment = increment
    self.minimum = minimum
    self.maximum = maximum
    self.cache = cache
    self.isCycle = isCycle
    self.ownerTableID = ownerTableID
    self.ownerColumn = ownerColumn
    self.lastReserved = lastReserved
    self.resumesAt = resumesAt ?? start
  }
}

package struct ViewDefinition: Sendable, Hashable {
  package struct Column: Sendable, Hashable {
    package var name: String
    package var type: SQLType
    package init(name: String, type: SQLType) {
      self.name = name
      self.type = type
    }
  }
  package var id: ObjectID
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  /// The SELECT as text.
  package var query: String
  package var columns: [Column]
  /// Tables, views and sequences that it reads: they cannot be dropped without CASCADE.
  package var dependencies: [ObjectID]
  package init(
    id: ObjectID, schemaID: ObjectID, name: String, ownerID: ObjectID, query: String, columns: [Column],
    dependencies: [ObjectID]
  ) {
    self.id = id
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.query = query
    self.columns = columns
    self.dependencies = dependencies
  }
}

/// A role (user). Only a SCRAM verifier is kept, never a password.
package struct RoleDefinition: Sendable, Hashable {
  package var id: ObjectID
  package var name: String
  package var isSuperuser: Bool
  package var canLogin: Bool
  package var canCreateDatabase: Bool
  package var canCreateRole: Bool
  /// -1: no limit.
  package var connectionLimit: Int32
  /// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`; nil: cannot log in with a password.
  package var verifier: String?
  package init(
    id: ObjectID, name: String, isSuperuser: Bool = false, canLogin: Bool = true, canCreateDatabase: Bool = false,
    canCreateRole: Bool = false, connectionLimit: Int32 = -1, verifier: String? = nil
  ) {
    self.id = id
    self.name = name
    self.isSuperuser = isSuperuser
    self.canLogin = canLogin
    self.canCreateDatabase = canCreateDatabase
    self.canCreateRole = canCreateRole
    self.connectionLimit = connectionLimit
    self.verifier = verifier
  }
}
