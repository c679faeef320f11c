import SQLTypes

/// How shards end.
extension Decision {
  mutating func decide(_ command: ShardCommand) throws(Rejection) {
    switch command {
    case .drain(let id, let reason): try drain(id, reason)
    case .undrain(let id):
      if try shard(id).isDraining { emit(.shard(.drainCancelled(id))) }
    case .remove(let id): try removeShard(id)
    case .removeReplica(let id, let replica): try removeReplica(id, replica)
    case .setClass(let id, let name): try setClass(id, name)
    }
  }

  private mutating func drain(_ id: ShardID, _ reason: String) throws(Rejection) {
    let shard = try shard(id)
    try checkRemark(reason)
    guard !shard.isDraining else { return }
    try checkIsNotLast(id, "drained")
    if let migration = openMigrations(of: id).first(where: { $0.plan.target == id }) {
      throw Rejection(
        .objectInUse, "tablet \(migration.plan.tabletID) is moving to shard \(id)", detail: "It is \(migration.text).",
        hint: migration.phase == .routed
          ? "Its source is kept: end the move first, by kunlog migration complete \(migration.plan.id), or reverse."
          : "Wait until that has ended, or end it: kunlog migration abort \(migration.plan.id).")
    }
    emit(.shard(.drainBegun(id, reason: reason)))
  }

  private mutating func removeShard(_ id: ShardID) throws(Rejection) {
    if image.removedShards.contains(id) { return }
    let shard = try shard(id)
    try checkIsNotLast(id, "removed")
    if let count = image.tabletCounts[id] {
      throw Rejection(
        .dependentObjectsStillExist, "shard \(id) still has \(count) tablets",
        hint: shard.isDraining
          ? "It is being drained: wait until it is empty (kunlog shard list)."
          : "Drain it first: kunlog shard drain \(id).")
    }
    let migrations = openMigrations(of: id)
    if let migration = migrations.first {
      throw Rejection(
        .objectInUse, "\(migrations.count) migrations from or to shard \(id) have not ended",
        detail: "The first is \(migration.text).", hint: "Wait until they have (kunlog migration list).")
    }
    let transactions = image.transactions.open.filter { $0.value.participants.contains(id) }.keys.sorted()
    if let transaction = transactions.first {
      throw Rejection(
        .objectInUse, "\(transactions.count) transactions with shard \(id) are decided and not finished",
        detail: "The first is \(transaction).", hint: "Wait until they are (kunlog txn list).")
    }
    emit(.shard(.removed(id)))
    for node in shard.replicas where image.nodes[node] != nil { emit(.nodeRemoved(node)) }
  }

  /// Refuses to give a tablet to a shard that gives its own away.
  func checkTakesTablets(_ shard: ShardDefinition) throws(Rejection) {
    guard shard.isDraining else { return }
    throw Rejection(
      .objectNotInPrerequisiteState, "shard \(shard.id) is being drained: it takes no tablets",
      hint: "Name another shard, or let it take tablets again: kunlog shard undrain \(shard.id).")
  }

  private func checkIsNotLast(_ id: ShardID, _ what: String) throws(Rejection) {
    guard !image.shards.values.contains(where: { $0.id != id && !$0.isDraining }) else {
      return try checkIsNotLastOfClass(id, what)
    }
    throw Rejection(
      .objectNotInPrerequisiteState, "shard \(id) cannot be \(what): no other shard takes tablets",
      hint: "Add one first: kunlog shard add.")
  }

  private func openMigrations(of id: ShardID) -> [Migration] {
    image.migrations.open.values.filter { $0.plan.source == id || $0.plan.target == id }.sorted {
      $0.plan.id < $1.plan.id
    }
  }
}
