import Raft

/// Damage to what disks hold, within a budget: of everything that was committed, a good copy stays on a majority.
extension World {
  func beginDamage(_ kind: FaultKind) -> Bool {
    switch kind {
    case .bitRot:
      guard let node = anyNode(where: { mayDamage($0) && $0.disk.rotsSomewhere(&faultChance) }) else { return false }
      damaged(node)
      // Found when it is read: soon.
      if node.isAlive, faultChance.below(3) > 0 {
        crash(node, losesPower: faultChance.below(2) == 0, restartsAfter: 100_000 + faultChance.below(2_000_000))
      }
      return true
    case .lostWrite, .misdirectedWrite:
      guard let node = anyNode(where: { $0.isRunning && mayDamage($0) }) else { return false }
      if kind == .lostWrite {
        node.disk.trouble.losesNextWrite = true
      } else {
        node.disk.trouble.misdirectsNextWrite = true
      }
      damaged(node)
      return true
    case .blankDisk:
      guard let node = anyNode(where: { mayDamage($0) && ($0.isAlive || $0.status == .down) }) else { return false }
      if node.isAlive { crash(node, losesPower: true, restartsAfter: 500_000 + faultChance.below(2_000_000)) }
      tell("node \(node.id) has a new, empty disk")
      node.disk.wipe()
      node.snapshots = []
      node.isBlank = true
      node.wiped = node.durable
      node.hasForeignDisk = false
      node.diskID = faultChance.next() | 1
      node.backup = nil
      damaged(node)
      return true
    case .swappedFile, .missingFile, .foreignDisk: return exchange(kind)
    default: return false
    }
  }

  /// Files are exchanged with each other, are missing, or are another member's, while the process does not run.
  private func exchange(_ kind: FaultKind) -> Bool {
    guard let node = anyNode(where: { mayDamage($0) && ($0.isAlive || $0.status == .down) }) else { return false }
    let segments = node.disk.segmentNames
    // One that has itself a foreign disk may have this node's: that would be brought back, and rightly taken.
    let donor = nodes.first {
      $0.slot != node.slot && ($0.isAlive || $0.status == .down) && !$0.isBlank && !$0.hasForeignDisk
    }
    switch kind {
    case .swappedFile: guard segments.count > 1 else { return false }
    case .missingFile: guard !segments.isEmpty else { return false }
    default: guard donor != nil else { return false }
    }
    if node.isAlive { crash(node, losesPower: false, restartsAfter: 500_000 + faultChance.below(2_000_000)) }
    // The crash may have undone what was not durable.
    let names = node.disk.segmentNames
    switch kind {
    case .swappedFile where names.count > 1:
      let first = faultChance.below(names.count)
      let second = (first + 1 + faultChance.below(names.count - 1)) % names.count
      tell("files \(names[first]) and \(names[second]) of node \(node.id) are exchanged")
      node.disk.exchange(names[first], names[second])
    case .missingFile where !names.isEmpty:
      let name = names[faultChance.below(names.count)]
      tell("file \(name) of node \(node.id) is missing")
      node.disk.lose(name)
    case .foreignDisk:
      guard let donor else { return false }
      tell("node \(node.id) has a copy of the disk of node \(donor.id)")
      node.disk.restore(donor.disk.copied())
      node.snapshots = donor.snapshots
      node.hasForeignDisk = true
    default: break
    }
    damaged(node)
    return true
  }

  func damaged(_ node: Node) {
    tell("node \(node.id) has damage on its disk")
    node.isDamageHidden = true
    node.damagedUntil = max(1, log.lastIndex, node.durable.terms.lastIndex)
  }

  /// Whether the others could bear it: fewer than a majority of the voters are damaged or lost, this one included.
  func mayDamage(_ node: Node) -> Bool {
    if options.profile == .ruin { return true }
    guard node.damagedUntil == 0, !node.isBlank, !node.isMoved, let leader,
      leader.slot != node.slot || faultChance.below(2) == 0
    else {
      return false
    }
    let members = leader.core.raft.configuration
    guard hasSettledMembers(leader), members.learners.isEmpty,
      members.member(node.id) != nil, steward.wish == nil
    else { return false }
    var bad = 1
    for voter in members.voters where voter != node.id {
      guard let slot = slot(of: voter) else { return false }
      let other = nodes[slot]
      // What is not on the disk of another one so far does not count as a copy there.
      if other.damagedUntil != 0 || isLost(other) || other.isMoved || other.durable.terms.lastIndex + 20 < log.lastIndex
      {
        bad += 1
      }
    }
    return bad * 2 < members.voters.count
  }
}
