import Metadata
import MetadataLog
import Raft
import SegmentedLog

/// What an operator does, or has done to his machines: they move, get old backups, and are forced to go on alone.
extension World {
  // MARK: - Changed addresses

  /// A machine moves. Nobody reaches it, until the members are told where it is now; it reaches the others.
  func changeAddress() -> Bool {
    guard let node = anyNode(where: { ($0.isAlive || $0.status == .down) && mayDamage($0) }) else { return false }
    if node.isAlive { crash(node, losesPower: false, restartsAfter: 200_000 + faultChance.below(1_000_000)) }
    node.move()
    hasMoves = true
    tell("node \(node.id) is reached at \(node.address) from now on")
    return true
  }

  /// The operator tells a leader where a machine is now; true when he did something.
  func tellAddresses(_ leader: Node) -> Bool {
    guard hasMoves, hasSettledMembers(leader) else { return false }
    for node in nodes where node.isMoved {
      guard let known = leader.core.raft.configuration.member(node.id) else {
        node.isMoved = false
        continue
      }
      guard known.address != node.address else {
        node.isMoved = false
        continue
      }
      let token = leader.addWaiter(.membership)
      do throws(Refusal) {
        try leader.core.changeMembers(
          [.changeAddress(Member(id: node.id, address: node.address))], token: token,
          atMilliseconds: milliseconds(leader))
        tell("node \(leader.id) is told that node \(node.id) is at \(node.address)")
        result.memberships += 1
      } catch { _ = leader.takeWaiter(token) }
      pump(leader)
      return true
    }
    return false
  }

  // MARK: - Old backups

  /// Somebody copies the disks.
  func takeBackups() {
    guard faults.kinds.contains(FaultKinds(.oldBackup)) else { return }
    for node in nodes where node.isRunning && node.damagedUntil == 0 && !node.isBlank {
      node.backup = (node.disk.copied(), node.snapshots)
    }
  }

  /// Somebody brings back the copy of a node's disk. What was promised since is forgotten there; the leader that has the
  /// node's word for it must notice. Where no leader remembers, nobody could: so it comes in the calm.
  func restoreBackup() {
    guard faults.kinds.contains(FaultKinds(.oldBackup)), steward.broken.isEmpty, let leader else { return }
    guard let node = anyNode(where: { $0.isRunning && $0.slot != leader.slot && $0.backup != nil }), mayDamage(node),
      let backup = node.backup, nodes.allSatisfy({ $0.damagedUntil == 0 || $0.status == .absent }),
      let match = leader.core.raft.progress.first(where: { $0.id == node.id })?.matchIndex,
      match + 5 > log.lastIndex
    else { return }
    tell("node \(node.id) is given an old backup of its disk")
    crash(node, losesPower: false, restartsAfter: 100_000 + faultChance.below(500_000))
    node.disk.restore(backup.disk)
    node.snapshots = backup.snapshots
    node.backup = nil
    damaged(node)
    // What it lacks, the leader has its word for.
    node.restoredInTerm = leader.core.raft.hardState.term
    count(.oldBackup)
  }

  // MARK: - Forced quorums

  /// A quorum is lost for ever, and the operator makes one survivor the only voter of its group (`kunlog meta recover`). What
  /// its log holds counts as committed from then on: as it is chosen so that it has all that was, nothing may be lost.
  func forceQuorum() -> Bool {
    guard let leader, hasSettledMembers(leader), steward.wish == nil, leader.core.raft.configuration.voters.count > 2
    else { return false }
    let voters = leader.core.raft.configuration.voters
    guard let survivor = anyNode(where: { voters.contains($0.id) && isWhole($0) }) else { return false }
    tell("a quorum is lost: node \(survivor.id) is to go on alone")
    for node in nodes where node.slot != survivor.slot && node.status != .absent { retire(node.slot) }
    steward.leaving = []
    if survivor.isAlive { crash(survivor, losesPower: false, restartsAfter: nil) }
    survivor.generation &+= 1
    // Connections of processes that are gone carry nothing any more.
    network.loseAll()
    survivor.disk.trouble = SimulatedDisk.Trouble()
    do throws(LogStoreError) { try force(survivor) } catch {
      violated("17 forced", "the log of node \(survivor.id) cannot be made to go on alone: \(error)")
    }
    add(
      .nodeStart, at: survivor.slot, after: 200_000 + faultChance.below(1_000_000), generation: survivor.generation)
    return true
  }

  /// Whether a node's disk has all that was ever committed.
  private func isWhole(_ node: Node) -> Bool {
    guard node.isAlive || node.status == .down, node.damagedUntil == 0, !node.isBlank, !node.isMoved else {
      return false
    }
    let last = log.lastIndex
    if settings.shellMutants.contains(.forcesStaleSurvivor) { return node.durable.terms.lastIndex < last }
    return last > 0 && node.durable.replacedFrom > last && node.durable.terms.lastIndex >= last
      && node.durable.holds(last, term: UInt64(log.terms[Int(last)]))
  }

  /// What `ForcedRecovery` does with files.
  private func force(_ node: Node) throws(LogStoreError) {
    var configuration = settings.logConfiguration(node.id, isFounder: false)
    configuration.mayBegin = false
    let opened = try OpenedLog.open(configuration, on: node.disk)
    let recovered = opened.recovered.forRaft
    checkRecovery(node, recovered)
    guard let forced = ForcedConfiguration(of: node.id, in: recovered) else {
      return violated("17 forced", "the log of node \(node.id) does not know its own member")
    }
    let writes: [LogWrite] = [.hardState(forced.hardState), .entries([forced.entry])]
    _ = try opened.writer.write(writes)
    try opened.writer.close()
    node.disk.settle()
    node.durable.settle(writes)
    elections.forget(above: recovered.hardState.term)
  }

  // MARK: - Programs of several versions

  /// A node's program is replaced by another version: a newer one, or an older one by mistake.
  func changeProgram() -> Bool {
    let program = UInt32(faultChance.between(1, UInt64(FeatureLevel.newest)))
    guard let node = anyNode(where: { $0.isRunning && $0.program != program }) else { return false }
    tell("node \(node.id) gets a program of feature level \(program), the cluster is at \(versions.level)")
    crash(node, losesPower: false, restartsAfter: 300_000 + faultChance.below(1_000_000))
    node.program = program
    return true
  }

  /// An older program ends where the log holds what it does not know.
  func endOutdated(_ node: Node, _ error: ApplyError) {
    tell("node \(node.id) ends, its program is too old: \(error)")
    checkOutdated(node, error)
    crash(node, losesPower: false, restartsAfter: nil)
    node.isOutdated = true
  }

  /// The same at the start, before anything runs.
  func startOutdated(_ node: Node, _ error: ApplyError) {
    tell("node \(node.id) does not start, its program is too old: \(error)")
    checkOutdated(node, error)
    node.generation &+= 1
    node.isOutdated = true
  }

  private func checkOutdated(_ node: Node, _ error: ApplyError) {
    guard case .featureLevel(let level) = error, level <= node.program else { return }
    violated("18 levels", "node \(node.id) understands level \(node.program), and ends: \(error)")
  }

  /// The operator sees what ended, and brings a program that understands the log.
  func replaceOldPrograms() {
    for node in nodes where node.isOutdated {
      node.isOutdated = false
      node.program = FeatureLevel.newest
      guard node.status == .down else { continue }
      add(.nodeStart, at: node.slot, after: 100_000 + faultChance.below(1_000_000), generation: node.generation)
    }
  }
}

extension ApplyError {
  /// Whether a newer program would apply the entry.
  var isAboutLevels: Bool {
    switch self {
    case .featureLevel, .entry(_, .unknownEvent): true
    case .entry, .brokenChain, .notProposed: false
    }
  }
}
