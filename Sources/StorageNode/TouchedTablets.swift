import Metadata
import MetadataClient

extension MetadataClient.Change {
  /// The tablets that may have to be made, changed or dropped because of it, wherever they are; nil: any.
  var touchedTablets: Set<TabletID>? {
    // It has jumped over records.
    guard record != nil else { return nil }
    var touched: Set<TabletID> = []
    for event in events {
      switch event {
      case .tabletCreated(let tablet): touched.insert(tablet.id)
      case .tabletDropped(let id), .tabletCleared(let id, _): touched.insert(id)
      case .indexCreated(let index): insert(after.tabletOfTable[index.tableID], &touched)
      case .indexDropped(let id): insert(before.indexes[id].flatMap { before.tabletOfTable[$0.tableID] }, &touched)
      case .migration(let event):
        let id = event.migrationID
        insert((before.migrations.open[id] ?? after.migrations.open[id])?.plan.tabletID, &touched)
      case .clusterCreated, .clusterRestored, .featureLevelRaised, .schemaChange: return nil
      case .settingChanged, .nodeRegistered, .nodeAddressChanged, .nodeRemoved, .node, .shardCreated, .replicaAdded,
        .replicaRemoved, .shard, .databaseCreated, .schemaCreated, .schemaDropped, .tableCreated, .tableDropped,
        .tableOptionsChanged,
        .columnDefaultChanged, .sequenceCreated, .sequenceAltered, .sequenceDropped, .sequenceReserved,
        .sequenceValueSet, .viewCreated, .viewReplaced, .viewDropped, .roleCreated, .roleAltered, .roleDropped,
        .noteRecorded, .transaction, .manager, .privilege, .materializedView, .function:
        break
      }
    }
    return touched
  }

  private func insert(_ tablet: TabletID?, _ touched: inout Set<TabletID>) {
    if let tablet { touched.insert(tablet) }
  }
}
