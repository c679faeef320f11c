/// Table groups: their tables' tablets are made in one place, and leave it together.
extension Decision {
  /// Checks the group that a new table names.
  func checkGroup(of table: TableDefinition) throws(Rejection) {
    guard let group = table.options[TableDefinition.groupOption] else { return }
    try checkName(group)
    try require(FeatureLevel.tableGroups, "table groups")
    guard table.partition == nil else {
      throw Rejection(
        .invalidObjectDefinition, "cannot name a table group for partition \"\(table.name)\"",
        detail: "A partition is in the group of its table.", hint: "Name the group for the partitioned table.")
    }
  }

  /// The shard of a new tablet: where the others of its group's place are, else as `placement` says.
  func placement(_ requested: ShardID?, of table: TableDefinition) throws(Rejection) -> ShardID {
    let shardClass = image.statedClass(of: table)
    if let requested { try checkClass(of: table, on: try shard(requested), from: nil) }
    guard let place = image.groupPlace(of: table) else {
      return try placement(requested, table: table.name, in: shardClass)
    }
    var counts: [ShardID: Int] = [:]
    for tablet in image.tablets(at: place) { counts[image.destination(of: tablet), default: 0] += 1 }
    // Of several: the manager is about to bring them together.
    let present = counts.keys.filter { image.shards[$0]?.isDraining == false }.min { left, right in
      counts[left] != counts[right] ? counts[left, default: 0] > counts[right, default: 0] : left < right
    }
    guard let present else { return try placement(requested, table: table.name, in: shardClass) }
    guard requested == nil || requested == present else {
      throw Rejection(
        .invalidObjectDefinition,
        "cannot place table \"\(table.name)\" on another shard than the rest of table group \"\(place.group)\"",
        detail: "The group's tables stand on shard \(present).",
        hint: "Leave the shard out, or move the group first: kunlog table move --group \(place.group).")
    }
    return present
  }

  /// Refuses moves that take some tablets of a place to another shard than the rest of them.
  func checkGroups() throws(Rejection) {
    for case .migration(let event) in events {
      switch event {
      case .planned(let plan):
        guard let (place, left) = leftBehind(by: plan.tabletID, movingTo: plan.target) else { continue }
        throw Rejection(
          .objectNotInPrerequisiteState,
          "table \"\(name(of: plan.tabletID))\" cannot move without the rest of table group \"\(place.group)\"",
          detail: "Table \"\(name(of: left.id))\" would be on shard \(image.destination(of: left)).",
          hint: "Move the group: kunlog table move --group \(place.group) --to \(plan.target).")
      case .reverseRequested(let id, _):
        guard let plan = image.migrations.open[id]?.plan,
          let (place, left) = leftBehind(by: plan.tabletID, movingTo: plan.source)
        else { continue }
        throw Rejection(
          .objectNotInPrerequisiteState,
          "migration \(id) cannot be reversed without the rest of table group \"\(place.group)\"",
          detail: "Table \"\(name(of: left.id))\" would be on shard \(image.destination(of: left)).",
          hint: "Complete the group's migrations, then move it back: kunlog table move --group \(place.group) --to "
            + "\(plan.source).")
      default: break
      }
    }
  }

  private func leftBehind(
    by tablet: TabletID, movingTo target: ShardID
  ) -> (place: GroupPlace, tablet: TabletDefinition)? {
    guard let place = image.groupPlace(of: tablet) else { return nil }
    return image.tablets(at: place).first { image.destination(of: $0) != target }.map { (place, $0) }
  }

  private func name(of tablet: TabletID) -> String {
    image.tablets[tablet].flatMap { image.tables[$0.tableID] }?.name ?? "\(tablet)"
  }
}
