import Metadata
import ProtocolStorage
import SQLTypes
import StorageEngine

/// Schema changes between their form in memory and in the shard's log. Only what a tablet needs of a definition is logged.
enum TabletChangeCoding {
  static func message(_ change: TabletChange) -> Kunlog_Storage_V1_LoggedTabletChange {
    .with {
      $0.tabletID = change.tabletID.rawValue
      switch change {
      case .create(_, let table, let indexes, let generation):
        $0.create.table = message(table)
        $0.create.indexes = indexes.map(message)
        $0.create.generation = generation
      case .drop:
        $0.drop = true
      case .createIndex(_, let table, let index):
        $0.createIndex.table = message(table)
        $0.createIndex.index = message(index)
      case .dropIndex(_, let index):
        $0.dropIndex = index.rawValue
      case .clear(_, let generation):
        $0.clear = generation
      }
    }
  }

  static func change(_ message: Kunlog_Storage_V1_LoggedTabletChange) throws -> TabletChange {
    let id = TabletID(rawValue: message.tabletID)
    switch message.kind {
    case .create(let create): return try self.create(id, create)
    case .drop:
      return .drop(id)
    case .createIndex(let create):
      let table = table(create.table)
      return .createIndex(id, table, try index(create.index, of: table))
    case .dropIndex(let index):
      return .dropIndex(id, ObjectID(rawValue: index))
    case .clear(let generation):
      return .clear(id, generation: generation)
    case nil:
      throw DamagedEntry(reason: "it has a change of tablet \(id) that this version does not know")
    }
  }

  /// A tablet as it is made.
  static func create(_ id: TabletID, _ message: Kunlog_Storage_V1_CreateTablet) throws -> TabletChange {
    let table = table(message.table)
    return .create(
      id, table, indexes: try message.indexes.map { try index($0, of: table) }, generation: message.generation)
  }

  private static func message(_ table: TableDefinition) -> Kunlog_Storage_V1_LoggedTable {
    .with {
      $0.tableID = table.id.rawValue
      $0.name = table.name
      $0.columns = table.columns.map { column in
        .with {
          $0.name = column.name
          $0.typeOid = column.type.oid
          $0.typeModifier = column.type.modifier
          $0.isNotNull = column.isNotNull
        }
      }
      $0.checks = table.checks.map { check in
        .with {
          $0.name = check.name
          $0.storageExpression = check.storageExpression
        }
      }
    }
  }

  private static func table(_ message: Kunlog_Storage_V1_LoggedTable) -> TableDefinition {
    TableDefinition(
      id: ObjectID(rawValue: message.tableID), schemaID: ObjectID(rawValue: 0), name: message.name,
      ownerID: ObjectID(rawValue: 0),
      columns: message.columns.map {
        ColumnDefinition(
          name: $0.name, type: SQLType(oid: $0.typeOid, modifier: $0.typeModifier), isNotNull: $0.isNotNull)
      },
      checks: message.checks.map {
        CheckDefinition(name: $0.name, expression: "", storageExpression: $0.storageExpression)
      })
  }

  private static func message(_ index: IndexDefinition) -> Kunlog_Storage_V1_LoggedIndex {
    .with {
      $0.indexID = index.id.rawValue
      $0.name = index.name
      $0.parts = index.parts.map { part in
        .with {
          $0.column = UInt32(part.column)
          $0.isDescending = part.isDescending
          $0.nullsFirst = part.nullsFirst
        }
      }
      $0.isUnique = index.isUnique
      $0.constraint =
        switch index.constraint {
        case nil: 0
        case .primaryKey: 1
        case .unique: 2
        }
    }
  }

  private static func index(
    _ message: Kunlog_Storage_V1_LoggedIndex, of table: TableDefinition
  ) throws -> IndexDefinition {
    guard message.parts.allSatisfy({ (1...UInt32(max(1, table.columns.count))).contains($0.column) }) else {
      throw DamagedEntry(reason: "index \(message.indexID) names a column that its table does not have")
    }
    let constraint: IndexDefinition.Constraint? =
      switch message.constraint {
      case 1: .primaryKey
      case 2: .unique
      default: nil
      }
    return IndexDefinition(
      id: ObjectID(rawValue: message.indexID), schemaID: ObjectID(rawValue: 0), name: message.name, tableID: table.id,
      parts: message.parts.map {
        IndexDefinition.Part(column: Int($0.column), isDescending: $0.isDescending, nullsFirst: $0.nullsFirst)
      },
      isUnique: message.isUnique, constraint: constraint)
  }
}
