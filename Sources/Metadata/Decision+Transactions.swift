import SQLTypes

/// Transactions over several shards: which decision stands.
extension Decision {
  mutating func decide(_ command: TransactionCommand) throws(Rejection) {
    switch command {
    case .decide(let id, let outcome, let participants): try decideTransaction(id, outcome, participants)
    case .resolve(let id): try resolveTransaction(id)
    case .settle(let before): try settleTransactions(before)
    }
  }

  /// Its answer is the decision that stands, so the request may hold nothing else.
  func checkTransactions(_ request: AppendRequest) throws(Rejection) {
    let count = request.decidedTransactions.count
    guard count == 0 || count == request.commands.count else {
      throw Rejection(
        .invalidParameterValue, "a request that decides transactions may hold no other commands",
        hint: "Append the other commands in a request of their own.")
    }
  }

  private mutating func decideTransaction(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ shards: [ShardID]
  ) throws(Rejection) {
    try checkTransactionID(id)
    let participants = Set(shards).sorted()
    if let known = image.transactions.open[id] {
      guard known.participants == participants else {
        throw Rejection(
          .duplicateObject,
          "transaction \(id) was decided for shards \(list(known.participants, \.description)), not for "
            + "\(list(participants, \.description))",
          detail: "Record \(known.index) decided it: \(known.outcome).",
          hint: "Its coordinator has used an id twice: start it anew, so that it takes a new incarnation.")
      }
      // The first decision stands, and is the answer.
      return
    }
    guard !image.transactions.isPast(id) else {
      throw Rejection(
        SQLState(rawValue: "08007"), "transaction \(id) is past: it was resolved, and cannot be decided any more",
        hint: "All of its participants had finished. A coordinator that gets this for a new transaction has used an id "
          + "twice: start it anew, so that it takes a new incarnation.")
    }
    guard !participants.isEmpty else {
      throw Rejection(.invalidParameterValue, "transaction \(id) has no participants")
    }
    for participant in participants { _ = try shard(participant) }
    if outcome == .commit { try checkCoordinator(id) }
    guard image.transactions.open.count < TransactionTable.maximumOpen else {
      throw Rejection(
        .insufficientResources, "there are \(TransactionTable.maximumOpen) transactions that are not resolved",
        hint: "Try again once their participants have finished; see which they wait for with: kunlog meta image "
          + "/transactions/open.")
    }
    emit(.transaction(.decided(id, outcome, participants: participants)))
  }

  private func checkTransactionID(_ id: GlobalTransactionID) throws(Rejection) {
    guard id.incarnation > 0, id.sequence > 0, id.sequence < .max else {
      throw Rejection(.invalidParameterValue, "transaction \(id): incarnations and sequences count from 1")
    }
    guard image.nodes[id.coordinator] != nil || image.removedNodes.contains(id.coordinator) else {
      throw Rejection(
        .undefinedObject, "transaction \(id): its coordinator, node \(id.coordinator), does not exist",
        hint: "Register the node first.")
    }
  }

  /// Whether it may commit: anybody may ask to abort, only a coordinator that is alive can know that all have prepared.
  private func checkCoordinator(_ id: GlobalTransactionID) throws(Rejection) {
    guard image.nodes[id.coordinator] != nil else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "transaction \(id) cannot commit: its coordinator, node \(id.coordinator), was removed")
    }
    let known = image.transactions.coordinators[id.coordinator]?.incarnation ?? 0
    guard id.incarnation >= known else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "transaction \(id) cannot commit: node \(id.coordinator) has started anew since, as incarnation \(known)",
        hint: "What an earlier incarnation left undecided can only be aborted.")
    }
  }

  private mutating func resolveTransaction(_ id: GlobalTransactionID) throws(Rejection) {
    try checkTransactionID(id)
    guard image.transactions.open[id] != nil else {
      if image.transactions.isPast(id) { return }
      throw Rejection(
        .undefinedObject, "transaction \(id) has not been decided", hint: "Decide it first: commit or abort.")
    }
    if let coordinator = image.transactions.coordinators[id.coordinator],
      coordinator.ranges.count >= TransactionTable.maximumRanges, coordinator.beginsRange(id)
    {
      throw Rejection(
        .programLimitExceeded,
        "node \(id.coordinator) has left too many gaps among its resolved transactions",
        hint: "Settle its transactions up to the oldest one that a participant may still ask for.")
    }
    emit(.transaction(.resolved(id)))
  }

  private mutating func settleTransactions(_ before: GlobalTransactionID) throws(Rejection) {
    try checkTransactionID(before)
    let known = image.transactions.coordinators[before.coordinator] ?? CoordinatorHistory()
    guard (before.incarnation, before.sequence) > (known.settledIncarnation, known.settledSequence) else { return }
    emit(.transaction(.settled(before: before)))
  }
}
