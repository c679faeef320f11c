import SQLTypes

/// Shard classes: which shards are of which, and which tables belong to them.
extension Decision {
  // Shards.

  mutating func setClass(_ id: ShardID, _ name: String) throws(Rejection) {
    let shard = try shard(id)
    try checkClassName(name)
    guard shard.shardClass != name else { return }
    if shard.shardClass == ShardClass.hot, !shard.isDraining { try checkIsNotLastHot(id, "made \(name)") }
    emit(.shard(.classSet(id, name)))
  }

  func checkClassName(_ name: String) throws(Rejection) {
    try require(FeatureLevel.shardClasses, "shard classes")
    guard ShardClass.isName(name) else {
      throw Rejection(
        .invalidParameterValue, "invalid shard class \"\(name)\"",
        hint: "A class is an identifier in lower case, as hot, cold or archive.")
    }
  }

  /// Refuses to take the shard from those that take tablets where it is the last one of its class, and something needs that.
  func checkIsNotLastOfClass(_ id: ShardID, _ what: String) throws(Rejection) {
    guard let shard = image.shards[id], shard.shardClass != ShardClass.hot else {
      return try checkIsNotLastHot(id, what)
    }
    guard !hasOtherTaker(than: shard) else { return }
    let count = image.tablets.values.count { $0.shardID == id && !$0.isMirror }
    guard count > 0 else { return }
    throw Rejection(
      .objectNotInPrerequisiteState,
      "shard \(id) cannot be \(what): it is the last one of class \(shard.shardClass), and has \(count) tablets",
      hint: "Add another one first: kunlog shard add --class \(shard.shardClass). Or let its tablets go to hot shards: "
        + "kunlog shard set-class \(id) hot.")
  }

  private func checkIsNotLastHot(_ id: ShardID, _ what: String) throws(Rejection) {
    guard let shard = image.shards[id], !hasOtherTaker(than: shard) else { return }
    throw Rejection(
      .objectNotInPrerequisiteState,
      "shard \(id) cannot be \(what): no other shard of class hot takes tables",
      hint: "Add one first: kunlog shard add. Or make another one hot: kunlog shard set-class N hot.")
  }

  private func hasOtherTaker(than shard: ShardDefinition) -> Bool {
    image.shards.values.contains { $0.id != shard.id && $0.shardClass == shard.shardClass && !$0.isDraining }
  }

  // Tables.

  /// Refuses to put a table on a shard of another class than it belongs to. Where that class has no shard, any is as good, and so is one
  /// of the class of the shard that it leaves.
  /// - Parameter source: where it is; nil: it is new.
  func checkClass(of table: TableDefinition, on shard: ShardDefinition, from source: ShardID?) throws(Rejection) {
    let stated = image.statedClass(of: table)
    if shard.shardClass == stated || (shard.shardClass == ShardClass.cold && image.mayExpire(table)) { return }
    let isNew = source == nil
    if let source, !image.hasTaker(ofClass: stated) || image.shards[source]?.shardClass == shard.shardClass { return }
    throw Rejection(
      isNew ? .invalidObjectDefinition : .objectNotInPrerequisiteState,
      "table \"\(table.name)\" belongs on shards of class \(stated), and shard \(shard.id) is of class "
        + "\(shard.shardClass)",
      hint: isNew
        ? "Leave the shard out, or say WITH (shard = \(shard.id), shard_class = \(shard.shardClass))."
        : "Say so first: ALTER TABLE \(displayName(table.name, in: table.schemaID)) SET (shard_class = "
          + "\(shard.shardClass)).")
  }

  /// Checks the options of a table or partition that say to which class it belongs.
  func checkClassOptions(_ table: TableDefinition) throws(Rejection) {
    let name = table.options[TableDefinition.classOption]
    let rule = table.options[TableDefinition.coldAfterOption]
    guard name != nil || rule != nil else { return }
    try require(FeatureLevel.shardClasses, "shard classes")
    guard !table.isMirror else {
      throw Rejection(
        .invalidObjectDefinition, "mirror table \"\(table.name)\" cannot have a shard class",
        detail: "It has a copy on every shard.")
    }
    if let name { try checkClassName(name) }
    guard let rule else { return }
    guard table.timeKeyType != nil else {
      throw Rejection(
        .invalidObjectDefinition,
        "cannot set \"cold_after\" for table \"\(table.name)\": its partitions are no ranges of time",
        hint:
          "It is for tables with PARTITION BY RANGE on a column of type date, timestamp or timestamptz. For others and for "
          + "single partitions: ALTER TABLE … SET (shard_class = cold).")
    }
    guard let interval = Self.interval(rule), interval.comparisonMicroseconds > 0 else {
      throw Rejection(
        .invalidParameterValue, "invalid value for parameter \"cold_after\": \"\(rule)\"",
        hint: "Give an interval above zero, as '90 days'.")
    }
  }

  private static func interval(_ text: String) -> IntervalValue? { try? IntervalInput.parse(text) }

  /// Gives a new table or partition what the rest of its group has; refused where it names something else.
  func takeClassOfGroup(_ table: inout TableDefinition) throws(Rejection) {
    let others = image.counterparts(of: table)
    guard let other = others.first else { return }
    if table.options[TableDefinition.classOption] == nil {
      table.options[TableDefinition.classOption] = other.options[TableDefinition.classOption]
    }
    guard image.statedClass(of: table) == image.statedClass(of: other) else {
      throw differs(from: other, table, TableDefinition.classOption)
    }
    guard table.timeKeyType != nil, let ranged = others.first(where: { $0.timeKeyType != nil }) else { return }
    let own = table.options[TableDefinition.coldAfterOption]
    let rule = ranged.options[TableDefinition.coldAfterOption]
    guard own == nil || own.flatMap(Self.interval) == rule.flatMap(Self.interval) else {
      throw differs(from: ranged, table, TableDefinition.coldAfterOption)
    }
    table.options[TableDefinition.coldAfterOption] = rule
  }

  private func differs(from other: TableDefinition, _ table: TableDefinition, _ option: String) -> Rejection {
    Rejection(
      .invalidObjectDefinition,
      "table \"\(table.name)\" cannot have another \(option) than the rest of table group "
        + "\"\(image.tableGroup(of: table) ?? "")\"",
      detail: "Table \"\(other.name)\" has \(other.options[option] ?? "none").",
      hint: "Leave it out, or change it for the whole group: ALTER TABLE "
        + "\(displayName(other.name, in: other.schemaID)) SET (\(option) = …).")
  }

  // ALTER TABLE … SET (…).

  mutating func setTableOptions(
    _ id: ObjectID, _ set: [String: String], _ reset: Set<String>
  ) throws(Rejection) {
    let table = try table(id)
    try checkIsPlainTable(id)
    try checkMayBeSet(Array(set.keys) + Array(reset))
    try setOptions(of: table, set, reset)
    let isOfClass = { (name: String) in !TableDefinition.heapOptions.contains(name) }
    for other in image.counterparts(of: table) {
      let hasRule = other.timeKeyType != nil
      let applies = { (name: String) in isOfClass(name) && (hasRule || name != TableDefinition.coldAfterOption) }
      try setOptions(of: other, set.filter { applies($0.key) }, reset.filter(applies))
    }
  }

  private mutating func setOptions(
    of table: TableDefinition, _ set: [String: String], _ reset: Set<String>
  ) throws(Rejection) {
    var changed = table
    for (name, value) in set { changed.options[name] = value }
    for name in reset { changed.options[name] = nil }
    guard changed.options != table.options else { return }
    try checkClassOptions(changed)
    emit(.tableOptionsChanged(table.id, options: changed.options))
  }

  private func checkMayBeSet(_ names: [String]) throws(Rejection) {
    for name in names.sorted() {
      switch name {
      case TableDefinition.classOption, TableDefinition.coldAfterOption: break
      case TableDefinition.groupOption, TableDefinition.shardOption:
        throw Rejection(
          .featureNotSupported, "\"\(name)\" cannot be changed",
          hint: name == TableDefinition.shardOption
            ? "To move a table: kunlog table move." : "Name the group when the table is created.")
      default:
        guard TableDefinition.heapOptions.contains(name) else {
          throw Rejection(.invalidParameterValue, "unrecognized parameter \"\(name)\"")
        }
      }
    }
  }
}
