import Metadata
import ProtocolMetadata

extension MaterializedViewEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .created(let view):
      .materializedViewCreated(
        .with {
          $0.tableID = view.tableID.rawValue
          $0.query = view.query
          $0.dependencies = view.dependencies.map(\.rawValue)
          $0.populated = view.isPopulated
          $0.refreshedIndex = view.refreshedIndex
        })
    case .refreshed(let id, let isPopulated, let index):
      .materializedViewRefreshed(
        .with {
          $0.tableID = id.rawValue
          $0.populated = isPopulated
          $0.asOf = index
        })
    }
  }

  /// nil: no event about materialised views.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .materializedViewCreated(let view):
      self = .created(
        MaterializedViewDefinition(
          tableID: ObjectID(rawValue: view.tableID), query: view.query,
          dependencies: view.dependencies.map(ObjectID.init), isPopulated: view.populated,
          refreshedIndex: view.refreshedIndex))
    case .materializedViewRefreshed(let event):
      self = .refreshed(tableID: ObjectID(rawValue: event.tableID), isPopulated: event.populated, asOf: event.asOf)
    default: return nil
    }
  }
}

extension MaterializedViewCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .create(let draft, let query, let dependencies):
      .createMaterializedView(
        .with {
          $0.table = draft.wire
          $0.query = query
          $0.dependencies = dependencies.map(\.rawValue)
        })
    case .refresh(let id, let isPopulated, let index):
      .refreshMaterializedView(
        .with {
          $0.tableID = id.rawValue
          $0.populated = isPopulated
          $0.asOf = index
        })
    case .drop(let ids, let isCascade):
      .dropMaterializedViews(
        .with {
          $0.ids = ids.map(\.rawValue)
          $0.cascade = isCascade
        })
    }
  }

  /// nil: no command about materialised views.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) {
    switch wire {
    case .createMaterializedView(let command):
      self = .create(
        try TableDraft(wire: command.table), query: command.query,
        dependencies: command.dependencies.map(ObjectID.init))
    case .refreshMaterializedView(let command):
      self = .refresh(ObjectID(rawValue: command.tableID), isPopulated: command.populated, asOf: command.asOf)
    case .dropMaterializedViews(let drop): self = .drop(drop.ids.map(ObjectID.init), isCascade: drop.cascade)
    default: return nil
    }
  }
}
