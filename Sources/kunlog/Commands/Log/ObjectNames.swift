import Metadata

/// Names for the identities that events bear: of what is there now, and of what the records read so far have created.
struct ObjectNames {
  private let image: Image
  private var learned: [ObjectID: String] = [:]
  private var tables: [TabletID: ObjectID] = [:]

  init(_ image: Image) { self.image = image }

  mutating func learn(_ record: Record) {
    for event in record.events {
      switch event {
      case .databaseCreated(let database): learned[database.id] = database.name
      case .schemaCreated(let schema): learned[schema.id] = schema.name
      case .tableCreated(let table): learned[table.id] = table.name
      case .indexCreated(let index): learned[index.id] = index.name
      case .sequenceCreated(let sequence): learned[sequence.id] = sequence.name
      case .viewCreated(let view): learned[view.id] = view.name
      case .roleCreated(let role): learned[role.id] = role.name
      case .function(.created(let function)): learned[function.id] = function.signature
      case .tabletCreated(let tablet): tables[tablet.id] = tablet.tableID
      default: break
      }
    }
  }

  /// `name (id)`, or the identity alone.
  subscript(id: ObjectID) -> String {
    let name =
      learned[id] ?? image.relation(id)?.name ?? image.schemas[id]?.name ?? image.roles[id]?.name
      ?? image.databases[id]?.name ?? image.functions[id]?.signature
    return name.map { "\($0) (\(id))" } ?? "\(id)"
  }

  /// `node name (id)`.
  subscript(id: NodeID) -> String { image.nodes[id].map { "\($0.name) (\(id))" } ?? "\(id)" }

  /// `tablet id of table`.
  subscript(id: TabletID) -> String {
    (tables[id] ?? image.tablets[id]?.tableID).map { "\(id) of \(self[$0])" } ?? "\(id)"
  }
}
