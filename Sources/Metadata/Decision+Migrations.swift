import SQLTypes

/// Migrations: a plan, then one step after another.
extension Decision {
  static var remarkLengthLimit: Int { 1_024 }

  mutating func decide(_ command: MigrationCommand) throws(Rejection) {
    switch command {
    case .plan(let tablet, let target, let epoch, let retries, let reason, let options):
      try planMigration(tablet, target, epoch, retries, reason, options)
    case .advance(let id, let attempt, let step): try advance(id, attempt, step)
    case .pause(let id, let reason): try pause(id, reason)
    case .resume(let id):
      if try migration(id).isPaused { emit(.migration(.resumed(id))) }
    case .retry(let id, let attempt, let phase, let reason): try retry(id, attempt, phase, reason)
    case .fail(let id, let reason): try fail(id, reason)
    case .reverse(let id, let reason): try reverse(id, reason)
    case .giveUpReverse(let id, let attempt, let isLost, let reason): try giveUpReverse(id, attempt, isLost, reason)
    case .complete(let id): try complete(id)
    case .expireCut(let id, let attempt, let reason): try expireCut(id, attempt, reason)
    case .report(let id, let attempt, let progress):
      let migration = try migration(id)
      try checkAttempt(attempt, migration)
      if migration.progress != progress { emit(.migration(.progressed(id, progress))) }
    }
  }

  private mutating func planMigration(
    _ tabletID: TabletID, _ target: ShardID, _ epoch: UInt64?, _ maximumRetries: UInt32?, _ reason: String,
    _ options: MigrationOptions
  ) throws(Rejection) {
    guard let tablet = image.tablets[tabletID] else {
      throw Rejection(.undefinedObject, "tablet \(tabletID) does not exist")
    }
    _ = try shard(target)
    try checkRemark(reason)
    try checkEpoch(epoch ?? tablet.epoch, tablet)
    let sides = try sides(of: tablet, target, options)
    guard tablet.shardID != target || options.dropsCopy else {
      throw Rejection(.objectNotInPrerequisiteState, "tablet \(tabletID) is on shard \(target) already")
    }
    if !tablet.isMirror, let table = image.tables[tablet.tableID] {
      try checkClass(of: table, on: try shard(target), from: tablet.shardID)
    }
    if let known = image.migrations.open(of: tabletID) {
      throw Rejection(
        .objectInUse, "tablet \(tabletID) is being migrated", detail: "It is \(known.text).",
        hint: known.phase == .routed
          ? "Complete or reverse it first." : "Wait until that has ended, or let it fail.")
    }
    guard image.migrations.open.count < MigrationTable.maximumOpen else {
      throw Rejection(
        .configurationLimitExceeded, "there are \(MigrationTable.maximumOpen) migrations under way",
        hint: "Wait until some have ended.")
    }
    emit(
      .migration(
        .planned(
          MigrationPlan(
            id: image.migrations.nextID, tabletID: tabletID, source: sides.source, target: sides.target,
            epoch: tablet.epoch, maximumRetries: maximumRetries ?? MigrationPlan.standardRetries, reason: reason,
            options: options))))
  }

  // Steps.

  private mutating func advance(_ id: MigrationID, _ attempt: UInt32, _ step: MigrationStep) throws(Rejection) {
    if let ended = image.migrations.ended[id], ended.outcome.map({ step.ends(with: $0) }) ?? false { return }
    let migration = try migration(id)
    try checkAttempt(attempt, migration)
    if isLast(step, of: migration) { return }
    guard !migration.isPaused else {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) is paused", detail: nonempty(migration.remark),
        hint: "Resume it first.")
    }
    // A copy that is dropped is neither copied nor caught up with.
    let isCut = step == .cutWrites && migration.phase == .planned && migration.plan.options.dropsCopy
    guard step.follows(migration.phase) || isCut else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "\"\(step.text)\" does not come next in migration \(id), which is: \(migration.phase.text)",
        hint: "Read its state, and go on from there.")
    }
    switch step {
    case .snapshotTaken(let snapshot):
      try check(snapshot, migration)
      emit(.migration(.snapshotTaken(id, snapshot)))
    case .transferred: emit(.migration(.transferred(id)))
    case .loaded: emit(.migration(.loaded(id)))
    case .caughtUp(let index): emit(.migration(.caughtUp(id, shardIndex: index)))
    case .cutWrites: emit(.migration(.writesCut(id)))
    case .route(let epoch, let index, let checksum, let followFrom):
      try route(migration, epoch, index, checksum, followFrom)
    case .cutTarget:
      guard migration.wayBack?.isRequested == true else {
        throw Rejection(
          .objectNotInPrerequisiteState, "nobody has asked for the way back of migration \(id)",
          hint: "Reverse it, then writes are cut at the target.")
      }
      emit(.migration(.reversed(id, reason: migration.remark)))
    case .finish: emit(.migration(.finishing(id)))
    case .sourceDropped: emit(.migration(.sourceDropped(id)))
    case .rolledBack: emit(.migration(.rolledBack(id)))
    }
  }

  /// Whether the step is the one that brought the migration where it is: a new manager may report it once more.
  private func isLast(_ step: MigrationStep, of migration: Migration) -> Bool {
    switch (step, migration.phase) {
    case (.snapshotTaken(let snapshot), .snapshotTaken): snapshot == migration.snapshot
    case (.transferred, .transferred), (.loaded, .loaded), (.caughtUp, .caughtUp), (.cutWrites, .writesCut),
      (.finish, .finishing), (.cutTarget, .reversing):
      true
    case (.route(let epoch, _, _, _), .routed), (.route(let epoch, _, _, _), .routedBack):
      image.tablets[migration.plan.tabletID]?.epoch == epoch &+ 1
    default: false
    }
  }

  private mutating func route(
    _ migration: Migration, _ epoch: UInt64, _ shardIndex: UInt64, _ rowsChecksum: [UInt8],
    _ followFrom: UInt64
  ) throws(Rejection) {
    let plan = migration.plan
    guard let tablet = image.tablets[plan.tabletID] else {
      throw Rejection(.undefinedObject, "tablet \(plan.tabletID) does not exist")
    }
    try checkEpoch(epoch, tablet)
    guard rowsChecksum.count <= 64 else {
      throw Rejection(.invalidParameterValue, "a checksum of rows has at most 64 bytes, not \(rowsChecksum.count)")
    }
    let target = migration.phase == .reversing ? plan.source : plan.target
    let isKept = plan.options.keepsSource && target == plan.target
    guard !isKept || followFrom > 0 else {
      throw Rejection(
        .invalidParameterValue, "the route of migration \(plan.id) lacks where the source, which is kept, follows from")
    }
    emit(
      .migration(
        .routed(
          TabletRoute(
            migrationID: plan.id, tabletID: tablet.id, shardID: target, epoch: tablet.epoch + 1,
            shardIndex: shardIndex, rowsChecksum: rowsChecksum, followFrom: isKept ? followFrom : 0))))
  }

  private func check(_ snapshot: MigrationSnapshot, _ migration: Migration) throws(Rejection) {
    let source = try shard(migration.plan.source)
    guard source.replicas.contains(snapshot.nodeID) else {
      throw Rejection(
        .invalidParameterValue,
        "node \(snapshot.nodeID) is no replica of shard \(source.id), the source of migration "
          + "\(migration.plan.id)")
    }
    guard snapshot.checksum.count == 32 else {
      throw Rejection(
        .invalidParameterValue, "a snapshot's checksum has 32 bytes, not \(snapshot.checksum.count)")
    }
  }

  // What is out of the ordinary.

  private mutating func pause(_ id: MigrationID, _ reason: String) throws(Rejection) {
    let migration = try migration(id)
    try checkRemark(reason)
    guard !migration.isPaused else { return }
    guard migration.phase != .writesCut, migration.phase != .reversing else {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) cannot pause while writes are cut",
        hint: migration.phase == .writesCut ? "Let it be routed, or let it fail." : "Let it be routed.")
    }
    emit(.migration(.paused(id, reason: reason)))
  }

  private mutating func retry(
    _ id: MigrationID, _ attempt: UInt32, _ resumesAt: MigrationPhase, _ reason: String
  ) throws(Rejection) {
    let migration = try migration(id)
    try checkAttempt(attempt, migration)
    try checkRemark(reason)
    guard resumesAt.isRetried(from: migration.phase) else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "migration \(id), which is \(migration.phase.text), cannot go on from: \(resumesAt.text)")
    }
    let isBounded = migration.phase.isForward
    guard !isBounded || migration.attempt < migration.plan.maximumRetries, migration.attempt < .max else {
      throw Rejection(
        .programLimitExceeded, "migration \(id) has been retried \(migration.attempt) times",
        hint: "Let it fail: the tablet stays where it is.")
    }
    emit(.migration(.retried(id, attempt: migration.attempt + 1, resumesAt: resumesAt, reason: reason)))
  }

  private mutating func fail(_ id: MigrationID, _ reason: String) throws(Rejection) {
    let migration = try migration(id)
    try checkRemark(reason)
    guard migration.phase != .failed else { return }
    guard migration.phase.isForward else {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) cannot fail any more: it is \(migration.phase.text)",
        hint: migration.wayBack != nil ? "Reverse it instead." : "Let it go on to its end.")
    }
    emit(.migration(.failed(id, reason: reason)))
  }

  private mutating func reverse(_ id: MigrationID, _ reason: String) throws(Rejection) {
    let migration = try migration(id)
    try checkRemark(reason)
    guard migration.phase != .reversing, migration.phase != .routedBack else { return }
    guard migration.phase == .routed else {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) cannot be reversed: it is \(migration.phase.text)",
        hint: migration.phase == .finishing
          ? "The source's copy is being deleted: move the tablet back with a migration of its own."
          : "It has not been routed yet: let it fail instead.")
    }
    guard let wayBack = migration.wayBack, !wayBack.isLost else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        migration.wayBack == nil
          ? "migration \(id) cannot be reversed: its source is not kept"
          : "migration \(id) cannot be reversed any more: the source's copy does not follow the target",
        detail: nonempty(migration.remark),
        hint: "Complete it, then move the tablet back with a migration of its own.")
    }
    if !wayBack.isRequested { emit(.migration(.reverseRequested(id, reason: reason))) }
  }

  private mutating func giveUpReverse(
    _ id: MigrationID, _ attempt: UInt32, _ isLost: Bool, _ reason: String
  ) throws(Rejection) {
    let migration = try migration(id)
    try checkAttempt(attempt, migration)
    try checkRemark(reason)
    guard let wayBack = migration.wayBack, migration.phase == .routed || migration.phase == .reversing else {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id), which is \(migration.phase.text), has no way back to give up")
    }
    // Its fence is of this attempt: a route that comes late must not find another one with the same number.
    if migration.phase == .reversing {
      guard attempt < .max else {
        throw Rejection(.programLimitExceeded, "migration \(id) has been retried too often")
      }
      emit(.migration(.retried(id, attempt: attempt + 1, resumesAt: .routed, reason: reason)))
    }
    guard wayBack.isRequested || isLost && !wayBack.isLost else { return }
    emit(.migration(.reverseGivenUp(id, isLost: isLost, reason: reason)))
  }

  /// Writes go on where they were: the shard lifts its fence once it reads that here, since no route of this attempt can follow.
  private mutating func expireCut(_ id: MigrationID, _ attempt: UInt32, _ reason: String) throws(Rejection) {
    try checkRemark(reason)
    guard let migration = image.migrations.open[id], migration.isCutting(attempt: attempt) else { return }
    guard migration.phase == .reversing || attempt < migration.plan.maximumRetries, attempt < .max else {
      emit(.migration(.failed(id, reason: reason)))
      return
    }
    emit(
      .migration(
        .retried(
          id, attempt: attempt + 1, resumesAt: migration.resumesAfterCut, reason: reason)))
  }

  private mutating func complete(_ id: MigrationID) throws(Rejection) {
    if image.migrations.ended[id]?.outcome == .completed { return }
    let migration = try migration(id)
    guard migration.phase != .finishing else { return }
    guard migration.phase == .routed, !migration.isPaused, migration.wayBack?.isRequested != true else {
      let isReversed = migration.phase == .reversing || migration.wayBack?.isRequested == true
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) cannot be completed: it is \(migration.phase.text)",
        hint: migration.isPaused
          ? "Resume it first."
          : isReversed ? "It is being reversed: give that up first." : "It completes by itself once it is routed.")
    }
    emit(.migration(.finishing(id)))
  }

  // Checks.

  private func migration(_ id: MigrationID) throws(Rejection) -> Migration {
    if let migration = image.migrations.open[id] { return migration }
    if let ended = image.migrations.ended[id], let outcome = ended.outcome {
      throw Rejection(
        .objectNotInPrerequisiteState, "migration \(id) has ended: \(outcome.text)",
        detail: "It ended with record \(ended.changedIndex).")
    }
    throw Rejection(
      .undefinedObject,
      id < image.migrations.nextID ? "migration \(id) has ended long ago" : "migration \(id) does not exist")
  }

  private func checkAttempt(_ attempt: UInt32, _ migration: Migration) throws(Rejection) {
    guard attempt == migration.attempt else {
      throw Rejection(
        .serializationFailure,
        "migration \(migration.plan.id) is in attempt \(migration.attempt), not \(attempt)",
        detail: nonempty(migration.remark), hint: "Read its state, and go on from there.")
    }
  }

  private func checkEpoch(_ epoch: UInt64, _ tablet: TabletDefinition) throws(Rejection) {
    guard epoch == tablet.epoch, epoch < .max else {
      throw Rejection(
        .serializationFailure, "tablet \(tablet.id) is at epoch \(tablet.epoch), not \(epoch)",
        detail: "It is on shard \(tablet.shardID).", hint: "Read the state anew, and plan again.")
    }
  }

  func checkRemark(_ text: String) throws(Rejection) {
    guard text.utf8.count <= Decision.remarkLengthLimit else {
      throw Rejection(
        .invalidParameterValue, "a reason has at most \(Decision.remarkLengthLimit) bytes, not \(text.utf8.count)")
    }
  }

  private func nonempty(_ text: String) -> String? { text.isEmpty ? nil : text }

  // Tables that are in a migration.

  /// Ends the migration of a tablet that is about to be dropped.
  mutating func abandonMigration(of tablet: TabletID) {
    guard let migration = image.migrations.open(of: tablet) else { return }
    emit(.migration(.abandoned(migration.plan.id)))
  }

  /// Refuses to change a tablet's rows by a record while it is fenced.
  func checkNotCut(_ tablet: TabletDefinition, _ table: String) throws(Rejection) {
    guard let migration = image.migrations.open(of: tablet.id),
      migration.phase == .writesCut || migration.phase == .reversing
    else { return }
    throw Rejection(
      .serializationFailure, "table \"\(table)\" is changing its shard at this moment",
      detail: "It is \(migration.text).", hint: "Try again: writes are cut for a moment only.")
  }
}

extension MigrationStep {
  /// For people.
  var text: String {
    switch self {
    case .snapshotTaken: "snapshot taken"
    case .transferred: "transferred"
    case .loaded: "loaded"
    case .caughtUp: "caught up"
    case .cutWrites: "cut writes"
    case .route: "route"
    case .cutTarget: "cut writes at the target"
    case .finish: "finish"
    case .sourceDropped: "source dropped"
    case .rolledBack: "rolled back"
    }
  }

  fileprivate func follows(_ phase: MigrationPhase) -> Bool {
    switch (self, phase) {
    case (.snapshotTaken, .planned), (.transferred, .snapshotTaken), (.loaded, .transferred), (.caughtUp, .loaded),
      (.cutWrites, .caughtUp), (.route, .writesCut), (.route, .reversing), (.finish, .routed),
      (.cutTarget, .routed), (.sourceDropped, .finishing), (.rolledBack, .failed), (.rolledBack, .routedBack):
      true
    default: false
    }
  }

  fileprivate func ends(with outcome: MigrationOutcome) -> Bool {
    switch (self, outcome) {
    case (.sourceDropped, .completed), (.rolledBack, .rolledBack), (.rolledBack, .reversed): true
    default: false
    }
  }
}

extension MigrationPhase {
  /// Whether a retry may go on from this phase.
  fileprivate func isRetried(from phase: MigrationPhase) -> Bool {
    if self == phase { return true }
    if phase == .reversing { return self == .routed }
    guard let present = MigrationPhase.forward.firstIndex(of: phase),
      let wanted = MigrationPhase.forward.firstIndex(of: self)
    else { return false }
    return wanted < present
  }
}
