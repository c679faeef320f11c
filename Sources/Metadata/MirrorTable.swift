/// A mirror table (`WITH (shard = all)`) has one tablet with a copy on every shard. Who writes it writes all of them in one transaction,
/// in the order of the shards, under the lock of the first one's copy; who reads it reads any.
extension TableDefinition {
  package static let shardOption = "shard"
  package static let allShards = "all"

  package var isMirror: Bool { options[Self.shardOption] == Self.allShards }
}

extension TabletDefinition {
  /// Whether it has copies on several shards, or will.
  package var isMirror: Bool { !copies.isEmpty }

  /// Whether the shard has its rows.
  package func isHeld(by shard: ShardID) -> Bool { copies.isEmpty ? shardID == shard : copies.contains(shard) }

  /// All shards that have its rows, ascending.
  package var holders: [ShardID] { copies.isEmpty ? [shardID] : copies }
}

extension Image {
  /// Tablets of mirror tables, by number.
  package var mirrorTablets: [TabletDefinition] { mirrors.compactMap { tablets[$0] }.sorted { $0.id < $1.id } }

  /// The copies that mirror tables lack: by tablet, then by shard.
  package var missingCopies: [(tablet: TabletDefinition, shard: ShardID)] {
    guard !mirrors.isEmpty else { return [] }
    let takers = shards.values.filter { !$0.isDraining }.map(\.id).sorted()
    return mirrorTablets.flatMap { tablet in
      takers.filter { !tablet.copies.contains($0) }.map { (tablet, $0) }
    }
  }

  /// The copies on shards that are drained, of those tables that have others: by tablet, then by shard.
  package var superfluousCopies: [(tablet: TabletDefinition, shard: ShardID)] {
    guard !mirrors.isEmpty, shards.values.contains(where: \.isDraining) else { return [] }
    return mirrorTablets.flatMap { tablet in
      let draining = tablet.copies.filter { shards[$0]?.isDraining == true }
      return draining.count < tablet.copies.count ? draining.map { (tablet, $0) } : []
    }
  }
}

extension Decision {
  /// Checks a new mirror table; nil: it is none. The shards that get copies.
  func checkedCopies(of table: TableDefinition, _ draft: TableDraft) throws(Rejection) -> [ShardID]? {
    guard table.isMirror else { return nil }
    try require(FeatureLevel.mirrorTables, "mirror tables")
    guard table.partitioning == nil, table.partition == nil else {
      throw Rejection(.featureNotSupported, "partitioned tables and partitions cannot be mirror tables")
    }
    guard table.options[TableDefinition.groupOption] == nil else {
      throw Rejection(
        .invalidObjectDefinition, "mirror table \"\(table.name)\" cannot be in a table group",
        hint: "It is on every shard: whatever it is joined with is there.")
    }
    guard draft.keys.contains(where: { $0.kind == .primaryKey }) else {
      throw Rejection(
        .featureNotSupported, "mirror tables without a primary key are not supported",
        detail: "The rows of its copies are told apart by the key.", hint: "Add a primary key.")
    }
    let takers = image.shards.values.filter { !$0.isDraining }.map(\.id).sorted()
    return takers.isEmpty ? [try placement(nil, table: table.name, in: nil)] : takers
  }

  /// From and to where a migration of the tablet goes. Where a copy is to be dropped, `target` is its shard, and the other side one that
  /// keeps its own.
  func sides(
    of tablet: TabletDefinition, _ target: ShardID, _ options: MigrationOptions
  ) throws(Rejection) -> (source: ShardID, target: ShardID) {
    let name = image.tables[tablet.tableID]?.name ?? "\(tablet.tableID)"
    guard options.dropsCopy else {
      try checkCopy(tablet, target, options, name)
      try checkTakesTablets(shard(target))
      return (tablet.shardID, target)
    }
    let others = tablet.copies.filter { $0 != target }
    guard tablet.copies.contains(target), !options.addsCopy, !options.keepsSource else {
      throw Rejection(
        .objectNotInPrerequisiteState, "shard \(target) has no copy of table \"\(name)\" that could be dropped")
    }
    guard let other = others.first(where: { image.shards[$0]?.isDraining == false }) ?? others.first else {
      throw Rejection(
        .objectInUse, "shard \(target) has the only copy of mirror table \"\(name)\"",
        hint: "Wait until a manager has copied it to another shard (kunlog migration list).")
    }
    return (target, other)
  }

  private func checkCopy(
    _ tablet: TabletDefinition, _ target: ShardID, _ options: MigrationOptions, _ name: String
  ) throws(Rejection) {
    guard options.addsCopy else {
      guard tablet.isMirror else { return }
      throw Rejection(
        .objectNotInPrerequisiteState, "mirror table \"\(name)\" cannot move: it has a copy on every shard",
        hint: "Shards that are added get theirs by the manager, shards that are drained lose theirs.")
    }
    guard tablet.isMirror else {
      throw Rejection(.wrongObjectType, "\"\(name)\" is no mirror table: it has no copies")
    }
    guard !tablet.copies.contains(target) else {
      throw Rejection(
        .objectNotInPrerequisiteState, "shard \(target) has a copy of mirror table \"\(name)\" already")
    }
    guard !options.keepsSource else {
      throw Rejection(.invalidParameterValue, "a copy of a mirror table has no way back")
    }
  }
}
