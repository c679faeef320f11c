/// That a table holds the rows of a query: a materialised view. The table has its name, its columns and its tablet.
package struct MaterializedViewDefinition: Sendable, Hashable {
  package var tableID: ObjectID
  /// The SELECT as text.
  package var query: String
  /// Tables, views and sequences that it reads: they cannot be dropped without CASCADE.
  package var dependencies: [ObjectID]
  /// Whether it can be read: not before it has been filled once.
  package var isPopulated: Bool
  /// The index of the log that its rows are the query's of; 0: none.
  package var refreshedIndex: UInt64
  package init(
    tableID: ObjectID, query: String, dependencies: [ObjectID], isPopulated: Bool = false, refreshedIndex: UInt64 = 0
  ) {
    self.tableID = tableID
    self.query = query
    self.dependencies = dependencies
    self.isPopulated = isPopulated
    self.refreshedIndex = refreshedIndex
  }
}

/// What has happened to materialised views (materialized_view.proto). Since feature level 3.
package enum MaterializedViewEvent: Sendable, Hashable {
  /// The table, whose event precedes this one in the record, holds the rows of a query. It ends with the table.
  case created(MaterializedViewDefinition)
  /// Its rows were replaced by those of the query as of an index of the log; or taken away.
  case refreshed(tableID: ObjectID, isPopulated: Bool, asOf: UInt64)

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .created: "MaterializedViewCreated"
    case .refreshed: "MaterializedViewRefreshed"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["MaterializedViewCreated", "MaterializedViewRefreshed"]
}

/// What is asked about materialised views (materialized_view.proto).
package enum MaterializedViewCommand: Sendable, Hashable {
  /// Without the table's identity.
  case create(TableDraft, query: String, dependencies: [ObjectID])
  /// Its rows have been replaced (or, `isPopulated` false, taken away), by a transaction of its shard.
  case refresh(ObjectID, isPopulated: Bool, asOf: UInt64)
  case drop([ObjectID], isCascade: Bool)
}
