/// Which records a subscriber wants: those of which one event passes.
package struct SubscriptionFilter: Sendable, Hashable {
  /// Tables and tablets.
  private struct Objects: Sendable, Hashable {
    var tables: Set<ObjectID>
    var tablets: Set<TabletID>
    var includesPartitions: Bool
  }

  /// Of each list, more than so many names are refused.
  package static let maximumNames = 1000

  /// nil: all.
  private let families: EventFamilies?
  private let shards: Set<ShardID>?
  private let objects: Objects?

  /// There is no such thing as the filter names. Its text says what there is.
  package struct UnknownName: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// Empty lists: all.
  /// - Parameters:
  ///   - shards: of shard events, the creation of tablets, decisions of transactions and plans of moves, those of these
  ///     shards.
  ///   - tables: with those of `tablets`, the only objects that are wanted: the tables, their indexes, the sequences that they
  ///     own, and their tablets.
  ///   - includesPartitions: what belongs to partitions of the tables is wanted too.
  package init(
    families: [EventFamily] = [], shards: [ShardID] = [], tables: [ObjectID] = [], tablets: [TabletID] = [],
    includesPartitions: Bool = false
  ) {
    self.families = families.isEmpty ? nil : EventFamilies(families)
    self.shards = shards.isEmpty ? nil : Set(shards)
    objects =
      tables.isEmpty && tablets.isEmpty
      ? nil : Objects(tables: Set(tables), tablets: Set(tablets), includesPartitions: includesPartitions)
  }

  /// Families by their names.
  package init(
    familyNames: [String], shards: [ShardID] = [], tables: [ObjectID] = [], tablets: [TabletID] = [],
    includesPartitions: Bool = false
  ) throws(UnknownName) {
    var families: [EventFamily] = []
    for name in familyNames {
      guard let family = EventFamily(rawValue: name) else {
        let known = EventFamily.allCases.map(\.rawValue).joined(separator: ", ")
        throw UnknownName(description: "there is no event family \"\(name)\"; there are \(known)")
      }
      families.append(family)
    }
    for (count, what) in [(shards.count, "shards"), (tables.count, "tables"), (tablets.count, "tablets")]
    where count > Self.maximumNames {
      throw UnknownName(description: "a filter names \(Self.maximumNames) \(what) at most, this one \(count)")
    }
    guard !includesPartitions || !tables.isEmpty else {
      throw UnknownName(description: "a filter that includes partitions names the tables to which they belong")
    }
    self.init(
      families: families, shards: shards, tables: tables, tablets: tablets, includesPartitions: includesPartitions)
  }

  /// Whether it lets everything through.
  package var isEmpty: Bool { families == nil && shards == nil && objects == nil }

  /// Whether one of a record's events is wanted.
  /// - Parameter subjects: see `EventSubject.of`.
  package func passes(_ recordFamilies: EventFamilies, _ subjects: [EventSubject]) -> Bool {
    if let families, !families.intersects(recordFamilies) { return false }
    guard shards != nil || objects != nil else { return true }
    // None of the events is about an object: only a filter by objects has something against them.
    guard !subjects.isEmpty else { return objects == nil }
    return subjects.contains(where: passes)
  }

  /// The same, for one who has the record and the image before it.
  package func passes(_ record: Record, before image: Image) -> Bool {
    if isEmpty { return true }
    return passes(
      EventFamilies(of: record.events),
      shards == nil && objects == nil ? [] : EventSubject.of(record.events, image))
  }

  private func passes(_ subject: EventSubject) -> Bool {
    if let families, !families.contains(subject.family) { return false }
    if let shards, !subject.shards.isEmpty, shards.isDisjoint(with: subject.shards) { return false }
    guard let objects else { return true }
    if let tablet = subject.tabletID, objects.tablets.contains(tablet) { return true }
    guard !objects.tables.isEmpty else { return false }
    if subject.isTableUnknown { return true }
    if let former = subject.formerTableID, objects.tables.contains(former) { return true }
    guard let table = subject.tableID else { return false }
    if objects.tables.contains(table) { return true }
    guard objects.includesPartitions else { return false }
    return subject.areAncestorsUnknown || subject.ancestors.contains(where: objects.tables.contains)
  }
}

extension SubscriptionFilter {
  /// What it names and the image neither has nor ever had; nil where there is nothing of the kind. What has been dropped may be
  /// named: a subscriber that was away is to hear of its end.
  package func unknownName(in image: Image) -> UnknownName? {
    if let shard = shards?.sorted().first(where: { image.shards[$0] == nil }) {
      let known = image.shards.keys.sorted().map(\.description)
      return UnknownName(
        description: known.isEmpty
          ? "there is no shard \(shard), nor any other"
          : "there is no shard \(shard); there are \(Self.list(known))")
    }
    for table in objects?.tables.sorted() ?? [] where image.tables[table] == nil {
      if let problem = image.problem(ofTable: table) { return UnknownName(description: problem) }
    }
    if let tablet = objects?.tablets.sorted().first(where: { $0 >= image.nextTabletID }) {
      return UnknownName(
        description: "there is no tablet \(tablet) and never was: the next one will be \(image.nextTabletID)")
    }
    return nil
  }

  fileprivate static func list(_ names: [String]) -> String {
    names.prefix(20).joined(separator: ", ") + (names.count > 20 ? " and \(names.count - 20) more" : "")
  }
}

extension Image {
  /// Why an identity is no table's; nil where it may have been one's that was dropped.
  fileprivate func problem(ofTable id: ObjectID) -> String? {
    switch relation(id) {
    case .index(let index): return "\(id) is the index \(index.name), not a table"
    case .sequence(let sequence): return "\(id) is the sequence \(sequence.name), not a table"
    case .view(let view): return "\(id) is the view \(view.name), not a table"
    case .table: return nil
    case nil: break
    }
    guard id >= nextObjectID || id < ObjectID.firstUser else { return nil }
    // The names are what a person looks for; the oldest come first.
    let known = tables.keys.sorted().prefix(20).compactMap { tables[$0].map { "\($0.id) (\($0.name))" } }
    return "there is no table \(id) and never was"
      + (known.isEmpty ? "; there are none" : "; there are \(known.joined(separator: ", "))")
      + (tables.count > known.count ? " and \(tables.count - known.count) more" : "")
  }
}
