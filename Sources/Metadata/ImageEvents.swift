/// Events that build an image from the empty one, in an order that depends on nothing but the image; made when they are asked
/// for, so that a large image costs no second copy. What they do not carry (index, hash, counters, versions, removed nodes,
/// requests, notes, what is under way) a snapshot holds beside them.
package struct ImageEvents: Sendable {
  private enum Kind: CaseIterable {
    case cluster, tables, indexes, sequences, views, tablets, materializedViews, functions, grants
  }

  private let image: Image
  private var kinds = Kind.allCases[...]
  private var current: Kind?
  private var small: [Event] = []
  /// Identities of the kind at hand, ascending; those from `next` on are to come.
  private var identities: [UInt64] = []
  private var next = 0

  package init(_ image: Image) { self.image = image }

  /// Up to `count` further events, at least one; nil after the last.
  package mutating func take(_ count: Int) -> [Event]? {
    while next == identities.count {
      guard let kind = kinds.popFirst() else { return nil }
      begin(kind)
      if kind == .cluster, !small.isEmpty { return small }
    }
    let taken = identities[next..<min(next + count, identities.count)]
    next = taken.endIndex
    return current == .grants ? taken.flatMap(grants) : taken.compactMap(event)
  }

  private mutating func begin(_ kind: Kind) {
    next = 0
    current = kind
    switch kind {
    case .cluster:
      identities = []
      small = clusterEvents
    case .tables: identities = image.tables.keys.map { UInt64($0.rawValue) }.sorted()
    case .indexes: identities = image.indexes.keys.map { UInt64($0.rawValue) }.sorted()
    case .sequences: identities = image.sequences.keys.map { UInt64($0.rawValue) }.sorted()
    case .views: identities = image.views.keys.map { UInt64($0.rawValue) }.sorted()
    case .tablets: identities = image.tablets.keys.map(\.rawValue).sorted()
    case .materializedViews: identities = image.materializedViews.keys.map { UInt64($0.rawValue) }.sorted()
    case .functions: identities = image.functions.keys.map { UInt64($0.rawValue) }.sorted()
    case .grants: identities = image.grants.keys.map { UInt64($0.rawValue) }.sorted()
    }
  }

  private func grants(_ identity: UInt64) -> [Event] {
    let object = ObjectID(rawValue: UInt32(truncatingIfNeeded: identity))
    return (image.grants[object] ?? []).map { .privilege(.changed($0)) }
  }

  private func event(_ identity: UInt64) -> Event? {
    let object = ObjectID(rawValue: UInt32(truncatingIfNeeded: identity))
    return switch current {
    case .tables: image.tables[object].map { .tableCreated($0) }
    case .indexes: image.indexes[object].map { .indexCreated($0) }
    case .sequences: image.sequences[object].map { .sequenceCreated($0) }
    case .views: image.views[object].map { .viewCreated($0) }
    case .tablets: image.tablets[TabletID(rawValue: identity)].map { .tabletCreated($0) }
    case .materializedViews: image.materializedViews[object].map { .materializedView(.created($0)) }
    case .functions: image.functions[object].map { .function(.created($0)) }
    case .cluster, .grants, nil: nil
    }
  }

  /// Of kinds of which there are few.
  private var clusterEvents: [Event] {
    var events: [Event] = []
    if let id = image.clusterID {
      events.append(.clusterCreated(id, name: image.clusterName, featureLevel: image.featureLevel))
    }
    for (name, value) in image.settings.sorted(by: { $0.key < $1.key }) {
      events.append(.settingChanged(name: name, value: value))
    }
    for node in image.nodes.values.sorted(by: { $0.id < $1.id }) { events.append(.nodeRegistered(node)) }
    for shard in image.shards.values.sorted(by: { $0.id < $1.id }) { events.append(.shardCreated(shard)) }
    for role in image.roles.values.sorted(by: { $0.id < $1.id }) { events.append(.roleCreated(role)) }
    for (_, list) in image.memberships.sorted(by: { $0.key < $1.key }) {
      events += list.map { .privilege(.roleGranted($0)) }
    }
    for database in image.databases.values.sorted(by: { $0.id < $1.id }) { events.append(.databaseCreated(database)) }
    for schema in image.schemas.values.sorted(by: { $0.id < $1.id }) { events.append(.schemaCreated(schema)) }
    return events
  }
}
