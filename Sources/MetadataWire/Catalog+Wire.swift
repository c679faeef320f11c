import Metadata
import ProtocolMetadata
import SQLTypes

extension DatabaseDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Database {
    .with {
      $0.id = id.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Database) {
    self.init(id: ObjectID(rawValue: wire.id), name: wire.name, ownerID: ObjectID(rawValue: wire.ownerID))
  }
}

extension SchemaDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Schema {
    .with {
      $0.id = id.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Schema) {
    self.init(id: ObjectID(rawValue: wire.id), name: wire.name, ownerID: ObjectID(rawValue: wire.ownerID))
  }
}

extension SQLType {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_DataType {
    .with {
      $0.oid = oid
      $0.modifier = modifier
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_DataType) { self.init(oid: wire.oid, modifier: wire.modifier) }
}

extension ColumnDefinition.Identity {
  /// As the protocol has it.
  static func wire(_ identity: Self?) -> Kunlog_Metadata_V1_Identity {
    switch identity {
    case .always: .always
    case .byDefault: .byDefault
    case nil: .none
    }
  }

  /// From the protocol.
  static func from(_ wire: Kunlog_Metadata_V1_Identity) throws(WireError) -> Self? {
    switch wire {
    case .none: nil
    case .always: .always
    case .byDefault: .byDefault
    case .UNRECOGNIZED(let value): throw .malformed("identity \(value)")
    }
  }
}

extension ColumnDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Column {
    .with {
      $0.name = name
      $0.type = type.wire
      $0.notNull = isNotNull
      if let defaultExpression { $0.defaultExpression = defaultExpression }
      $0.identity = Identity.wire(identity)
      $0.sequenceID = sequenceID?.rawValue ?? 0
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Column) throws(WireError) {
    self.init(
      name: wire.name, type: SQLType(wire: wire.type), isNotNull: wire.notNull,
      defaultExpression: wire.hasDefaultExpression ? wire.defaultExpression : nil,
      identity: try Identity.from(wire.identity), sequenceID: objectID(wire.sequenceID))
  }
}

extension CheckDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Check {
    .with {
      $0.name = name
      $0.expression = expression
      $0.storageExpression = storageExpression
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Check) {
    self.init(name: wire.name, expression: wire.expression, storageExpression: wire.storageExpression)
  }
}

extension TableDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Table {
    .with {
      $0.id = id.rawValue
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.columns = columns.map(\.wire)
      $0.checks = checks.map(\.wire)
      if let partitioning { $0.partitioning = partitioning.wire }
      if let partition { $0.partition = partition.wire }
      $0.options = wireOptions(options)
      $0.version = version
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Table) throws(WireError) {
    self.init(
      id: ObjectID(rawValue: wire.id), schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name,
      ownerID: ObjectID(rawValue: wire.ownerID),
      columns: try mapped(wire.columns, ColumnDefinition.init(wire:)), checks: wire.checks.map(CheckDefinition.init),
      partitioning: wire.hasPartitioning ? try Partitioning(wire: wire.partitioning) : nil,
      partition: wire.hasPartition ? try PartitionMembership(wire: wire.partition) : nil,
      options: optionTable(wire.options), version: wire.version)
    let numbers = partitioning?.columns ?? []
    guard numbers.allSatisfy({ columns.indices.contains($0 - 1) }) else { throw .malformed("partition key") }
  }
}

extension IndexDefinition.Constraint {
  /// As the protocol has it.
  static func wire(_ constraint: Self?) -> Kunlog_Metadata_V1_KeyKind {
    switch constraint {
    case .primaryKey: .primary
    case .unique: .unique
    case nil: .none
    }
  }

  /// From the protocol.
  static func from(_ wire: Kunlog_Metadata_V1_KeyKind) throws(WireError) -> Self? {
    switch wire {
    case .none: nil
    case .primary: .primaryKey
    case .unique: .unique
    case .UNRECOGNIZED(let value): throw .malformed("kind of key \(value)")
    }
  }
}

extension IndexDefinition.Part {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_IndexPart {
    .with {
      $0.column = UInt32(column)
      $0.descending = isDescending
      $0.nullsFirst = nullsFirst
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_IndexPart) {
    self.init(column: Int(wire.column), isDescending: wire.descending, nullsFirst: wire.nullsFirst)
  }
}

extension IndexDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Index {
    .with {
      $0.id = id.rawValue
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.tableID = tableID.rawValue
      $0.parts = parts.map(\.wire)
      $0.unique = isUnique
      $0.constraint = Constraint.wire(constraint)
      $0.parentID = parentID?.rawValue ?? 0
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Index) throws(WireError) {
    self.init(
      id: ObjectID(rawValue: wire.id), schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name,
      tableID: ObjectID(rawValue: wire.tableID), parts: wire.parts.map(Part.init), isUnique: wire.unique,
      constraint: try Constraint.from(wire.constraint), parentID: objectID(wire.parentID))
  }
}

extension SequenceDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Sequence {
    .with {
      $0.id = id.rawValue
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.type = type.wire
      $0.start = start
      $0.increment = increment
      $0.minimum = minimum
      $0.maximum = maximum
      $0.cache = cache
      $0.cycle = isCycle
      $0.ownerTableID = ownerTableID?.rawValue ?? 0
      $0.ownerColumn = UInt32(ownerColumn)
      if let lastReserved { $0.lastReserved = lastReserved }
      $0.resumesAt = resumesAt
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Sequence) throws(WireError) {
    guard wire.increment != 0, wire.minimum < wire.maximum else { throw .malformed("sequence \"\(wire.name)\"") }
    self.init(
      id: ObjectID(rawValue: wire.id), schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name,
      ownerID: ObjectID(rawValue: wire.ownerID), type: SQLType(wire: wire.type), start: wire.start,
      increment: wire.increment, minimum: wire.minimum, maximum: wire.maximum, cache: wire.cache, isCycle: wire.cycle,
      ownerTableID: objectID(wire.ownerTableID), ownerColumn: Int(wire.ownerColumn),
      lastReserved: wire.hasLastReserved ? wire.lastReserved : nil, resumesAt: wire.resumesAt)
  }
}

extension ViewDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_View {
    .with {
      $0.id = id.rawValue
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.query = query
      $0.columns = wireColumns(columns)
      $0.dependencies = dependencies.map(\.rawValue)
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_View) {
    self.init(
      id: ObjectID(rawValue: wire.id), schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name,
      ownerID: ObjectID(rawValue: wire.ownerID), query: wire.query, columns: viewColumns(wire.columns),
      dependencies: wire.dependencies.map(ObjectID.init))
  }
}

extension RoleDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Role {
    .with {
      $0.id = id.rawValue
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
  package init(wire: Kunlog_Metadata_V1_Role) {
    self.init(
      id: ObjectID(rawValue: wire.id), name: wire.name, isSuperuser: wire.superuser, canLogin: wire.canLogin,
      canCreateDatabase: wire.canCreateDatabase, canCreateRole: wire.canCreateRole,
      connectionLimit: wire.connectionLimit, verifier: wire.hasVerifier ? wire.verifier : nil)
  }
}

// Shared with the drafts of commands.

/// nil for 0: no object has that identity.
func objectID(_ wire: UInt32) -> ObjectID? { wire == 0 ? nil : ObjectID(rawValue: wire) }

func wireOptions(_ options: [String: String]) -> [Kunlog_Metadata_V1_Option] {
  options.sorted { $0.key < $1.key }.map { option in
    .with {
      $0.name = option.key
      $0.value = option.value
    }
  }
}

func optionTable(_ wire: [Kunlog_Metadata_V1_Option]) -> [String: String] {
  Dictionary(wire.map { ($0.name, $0.value) }) { _, last in last }
}

func wireColumns(_ columns: [ViewDefinition.Column]) -> [Kunlog_Metadata_V1_ViewColumn] {
  columns.map { column in
    .with {
      $0.name = column.name
      $0.type = column.type.wire
    }
  }
}

func viewColumns(_ wire: [Kunlog_Metadata_V1_ViewColumn]) -> [ViewDefinition.Column] {
  wire.map { ViewDefinition.Column(name: $0.name, type: SQLType(wire: $0.type)) }
}

/// `map` with a typed error.
func mapped<Wire, Value>(
  _ list: [Wire], _ convert: (Wire) throws(WireError) -> Value
) throws(WireError) -> [Value] {
  var result: [Value] = []
  result.reserveCapacity(list.count)
  for item in list { result.append(try convert(item)) }
  return result
}
