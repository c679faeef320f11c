import Raft

/// Turmoil and calm take turns. In the calm a quorum is made well, some of the rest stay broken, and commits must go on
/// within so many election timeouts; then what a commit costs is measured.
extension World {
  /// The time within which a healed quorum must commit, in microseconds.
  private var graceMicroseconds: UInt64 {
    min(settings.replica.raft.electionTimeoutMilliseconds * 30_000 + 2_000_000, settings.calmMicroseconds * 2 / 3)
  }

  func changePhase() {
    switch steward.phase {
    case .turmoil:
      beginCalm()
      steward.phase = .healing
      add(.phase, at: 0, after: graceMicroseconds)
    case .healing:
      checkLiveness()
      cost.begin()
      liveness.noteGoal(entries: log.lastIndex, records: log.records.count)
      // A snapshot must cost those who append next to nothing.
      if let leader, leader.busyUntil <= now, leader.core.beginSnapshot() {
        beginSnapshot(leader)
        pump(leader)
      }
      restoreBackup()
      steward.phase = .calm
      add(.phase, at: 0, after: settings.calmMicroseconds - graceMicroseconds)
    case .calm:
      checkCost()
      checkCatchUp()
      transactions?.checkCalm(since: liveness.calmSince, costFrom: liveness.calmSince + graceMicroseconds)
      cost.end()
      beginTurmoil()
      steward.phase = .turmoil
      add(.phase, at: 0, after: settings.turmoilMicroseconds)
    }
  }

  private func beginTurmoil() {
    tell("turmoil")
    faults.isTurmoil = true
    network.trouble = faultTrouble
    for node in nodes where node.status == .down && steward.broken.contains(node.slot) {
      add(.nodeStart, at: node.slot, after: faultChance.below(1_000_000), generation: node.generation)
    }
    for node in nodes where steward.broken.contains(node.slot) {
      endHang(node)
      resume(node)
    }
    network.heal()
    network.trouble = faultTrouble
    steward.broken = []
    takeBackups()
  }

  private func beginCalm() {
    tell("calm")
    faults.isTurmoil = false
    for number in faults.episodes.indices { endFault(number) }
    for number in faults.episodes.indices where !faults.episodes[number].isOver {
      faults.episodes[number].isOver = true
      faults.active -= 1
    }
    faults.episodes = []
    faults.active = 0
    network.heal()
    replaceOldPrograms()
    for node in nodes {
      node.disk.trouble = SimulatedDisk.Trouble()
      node.diskSlowness = 0
    }
    steward.broken = faultChance.below(3) == 0 ? [] : chooseBroken()
    for node in nodes where node.status == .down && !steward.broken.contains(node.slot) {
      // It may wait for a supervisor already; one start more does no harm.
      add(.nodeStart, at: node.slot, after: 1_000 + faultChance.below(100_000), generation: node.generation)
    }
    for slot in steward.broken { breakForGood(nodes[slot]) }
    transactions?.calm()
    // Somebody has to ask for something.
    liveness.calmBegan(at: now)
    clients[0].burst = max(clients[0].burst, 20)
    add(.clientTimer, at: 0, after: 1)
  }

  /// Those who stay broken: as many as a quorum can do without, the lost ones first.
  private func chooseBroken() -> [Int] {
    guard let members = newestMembers else { return [] }
    guard !members.isJoint else { return [] }
    var lost = 0
    for voter in members.voters {
      guard let slot = slot(of: voter) else {
        lost += 1
        continue
      }
      if isLost(nodes[slot]) || nodes[slot].damagedUntil != 0 || nodes[slot].isMoved { lost += 1 }
    }
    let bearable = (members.voters.count - 1) / 2
    guard lost < bearable else { return [] }
    let candidates = members.voters.compactMap { slot(of: $0) }.filter {
      !isLost(nodes[$0]) && nodes[$0].damagedUntil == 0 && !nodes[$0].isMoved
    }
    guard !candidates.isEmpty else { return [] }
    return [candidates[faultChance.below(candidates.count)]]
  }

  private func breakForGood(_ node: Node) {
    tell("node \(node.id) stays broken")
    switch faultChance.below(4) {
    case 3 where node.isRunning: node.diskStalledUntil = .max
    case 0: if node.isAlive { crash(node, losesPower: faultChance.below(2) == 0, restartsAfter: nil) }
    case 1: pause(node)
    default:
      for end in 0..<Network.ends where end != node.slot {
        network.withLink(end, node.slot) { $0.cuts = 1 }
        network.withLink(node.slot, end) { $0.cuts = 1 }
      }
    }
  }

  /// The members as the node with the longest durable log knows them; nil: they are changing, and who is needed depends on whom one
  /// asks.
  private var newestMembers: Configuration? {
    var best: Node?
    for node in nodes where node.isAlive {
      let last = (node.core.raft.terms.lastTerm, node.core.raft.terms.lastIndex)
      if let other = best, (other.core.raft.terms.lastTerm, other.core.raft.terms.lastIndex) >= last { continue }
      best = node
    }
    guard let best, best.core.raft.committedConfiguration?.voters == best.core.raft.configuration.voters else {
      return nil
    }
    return best.core.raft.configuration
  }

  private func checkLiveness() {
    // With more damage than the copies can bear, a halt is what is right.
    guard options.profile != .ruin else { return }
    guard liveness.isAlive else {
      return violated(
        "liveness",
        "no append was acknowledged within \(graceMicroseconds / 1_000) ms after a quorum was well: \(standing)")
    }
  }

  /// Who is well has by the end of a calm all that there was when it began; so have subscribers.
  private func checkCatchUp() {
    guard options.profile != .ruin, settings.calmMicroseconds - graceMicroseconds > 20_000_000, let leader else {
      return
    }
    let members = leader.core.raft.configuration
    for node in nodes where node.isRunning && !steward.broken.contains(node.slot) && !node.isBlank {
      guard members.member(node.id) != nil, node.core.appliedIndex < liveness.entryGoal else { continue }
      violated(
        "liveness",
        "node \(node.id) is well but has applied no further than \(node.core.appliedIndex), \(liveness.entryGoal) was "
          + "committed \((settings.calmMicroseconds - graceMicroseconds) / 1_000_000) s ago: \(standing)")
    }
    for node in nodes where node.isRunning && !steward.broken.contains(node.slot) && !node.isBlank {
      guard members.isVoter(node.id), let promised = node.core.raft.promised else { continue }
      violated(
        "liveness",
        "node \(node.id) is well, but holds itself to a promise of entry \(promised.index) of term \(promised.term), which it "
          + "does not reach: \(standing)")
    }
    for node in nodes where node.isRunning && node.isDiskFull && !steward.broken.contains(node.slot) {
      violated("full disk", "node \(node.id) goes on as if its disk were full, which has had space for long")
    }
    for subscriber in subscribers where subscriber.stalledUntil + 20_000_000 < now {
      // One that follows a replica whose disk hangs for ever sees it stand still, and is told its index.
      guard subscriber.ordinal < liveness.recordGoal, subscriber.slot != nil || subscriber.since + 60_000_000 < now,
        subscriber.since + 20_000_000 < now, !steward.broken.contains(subscriber.slot ?? -1)
      else { continue }
      violated(
        "11 subscriber",
        "subscriber \(subscriber.number) is at record \(subscriber.position) of node "
          + "\(subscriber.slot.map { nodes[$0].id } ?? 0) and gets no further")
    }
  }

  /// What the nodes are, in words.
  var standing: String {
    nodes.filter { $0.status != .absent }.map { node in
      guard node.isAlive else { return "\(node.id) \(node.status)" }
      return
        "\(node.id) \(node.status == .paused ? "paused " : "")\(node.core.raft.role) term \(node.core.raft.hardState.term) log "
        + "\(node.core.raft.terms.baseIndex + 1)-\(node.core.raft.lastIndex) commit \(node.core.raft.commitIndex) voters \(node.core.raft.configuration.voters)"
        + (node.core.raft.role == .leader
          ? node.core.raft.progress.map {
            " [\($0.id) \($0.mode) match \($0.matchIndex) next \($0.nextIndex) probe \($0.isProbeOut) reading \($0.isReading) connected \($0.isConnected) inflight \($0.inflight.count)]"
          }.joined() : "")
        + "\(node.core.raft.promised == nil ? "" : " promised")\(node.damagedUntil == 0 ? "" : " damaged")"
    }.joined(separator: "; ")
  }

  private func checkCost() {
    guard cost.windowCommits >= 20, options.profile != .ruin else { return }
    let seconds = (settings.calmMicroseconds - graceMicroseconds) / 1_000_000
    let members = UInt64(settings.memberCount + 1)
    let heartbeats = seconds * 1_000 / settings.replica.raft.heartbeatMilliseconds * members * 2
    // Those of transactions are not clients'.
    let commits = UInt64(transactions == nil ? cost.windowCommits : log.records.count - liveness.recordGoal)
    if cost.windowMessages > heartbeats * 2 + commits * members * 20 + 2_000 {
      violated("cost", "\(cost.windowMessages) messages for \(commits) commits in \(seconds) s of calm")
    }
    if cost.windowSynchronizations > commits * members * 4 + 300 {
      violated("cost", "\(cost.windowSynchronizations) synchronizations for \(commits) commits in calm")
    }
    let bound = 30 * (settings.networkMicroseconds + settings.diskMicroseconds) + 20_000
    if cost.window99 > bound {
      violated("cost", "the 99th percentile of an append was \(cost.window99) µs in calm, at most \(bound) is right")
    }
  }
}
