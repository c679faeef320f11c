import Raft

/// Making things go wrong, and well again.
extension World {
  func scheduleFaults() {
    for kind in FaultKind.allCases { scheduleNext(kind) }
    network.trouble = faultTrouble
  }

  /// Where fewer messages are sent, more of them are hit.
  var faultTrouble: Network.Trouble {
    var trouble = faults.trouble
    let scale = UInt32(settings.replica.raft.heartbeatMilliseconds)
    trouble.drop = min(trouble.drop * scale / 100, 100_000)
    trouble.duplicate = min(trouble.duplicate * scale / 100, 300_000)
    trouble.replay = trouble.replay * scale / 100
    trouble.delay = min(trouble.delay * scale / 100, 300_000)
    return trouble
  }

  private func scheduleNext(_ kind: FaultKind) {
    let mean = faults.intervals[Int(kind.rawValue)]
    guard mean > 0 else { return }
    add(.faultBegins, at: Int(kind.rawValue), after: faultChance.wait(mean: mean))
  }

  /// Takes note of a fault.
  func count(_ kind: FaultKind) {
    result.faults[Int(kind.rawValue)] += 1
    hash.mix(UInt64(kind.rawValue))
  }

  func beginFault(_ event: Event) {
    guard let kind = FaultKind(rawValue: event.target) else { return }
    scheduleNext(kind)
    guard faults.isTurmoil, faults.begun < options.maximumFaults else { return }
    guard begin(kind) else { return }
    faults.begun += 1
    count(kind)
    tell("fault: \(kind.name)")
  }

  /// Lets a fault last.
  func last(_ episode: FaultState.Episode, microseconds: UInt64) {
    faults.episodes.append(episode)
    faults.active += 1
    result.overlap = max(result.overlap, faults.active)
    add(.faultEnds, at: 0, after: microseconds, value: faults.episodes.count - 1)
  }

  /// Begins a fault; false where there is nobody whom it could befall.
  private func begin(_ kind: FaultKind) -> Bool {
    switch kind {
    case .drop, .duplicate, .replay, .delay: return false
    case .split, .oneWay, .bridge, .slowLink, .halfOpen, .reset: return beginNetworkFault(kind)
    case .slowDisk, .stalledDisk, .hungDisk, .fullDisk, .writeError, .syncError, .readError: return beginDiskFault(kind)
    case .bitRot, .lostWrite, .misdirectedWrite, .blankDisk, .swappedFile, .missingFile, .foreignDisk:
      return beginDamage(kind)
    // It comes in the calm, while a leader remembers.
    case .oldBackup: return false
    case .crash, .crashLoop, .pause, .powerCut, .slowApply: return beginProcessFault(kind)
    case .clockJump, .clockDrift, .clockFreeze: return beginClockFault(kind)
    case .membership: return steward.wish(&faultChance)
    case .transfer: return beginTransfer()
    case .changedAddress: return changeAddress()
    case .forcedQuorum: return forceQuorum()
    case .version: return changeProgram()
    case .stalledSubscriber, .reconnectStorm, .wrongIndex: return beginSubscriberFault(kind)
    case .computeCrash, .computePause, .shardCrash, .shardDeposed, .shardPause, .shardStall, .shardBusy, .managerCrash,
      .managerPause, .stalledFeed, .lateRead:
      guard let fault = transactions?.begin(kind) else { return false }
      if fault.microseconds > 0 {
        last(
          FaultState.Episode(kind: kind, amount: UInt64(fault.target)), microseconds: fault.microseconds)
      }
      return true
    case .snapshot:
      guard let node = anyNode(where: { $0.isRunning && $0.busyUntil <= now }), node.core.beginSnapshot() else {
        return false
      }
      beginSnapshot(node)
      pump(node)
      return true
    }
  }

  func anyNode(where condition: (Node) -> Bool) -> Node? {
    let first = faultChance.below(Self.nodeSlots)
    for offset in 0..<Self.nodeSlots {
      let node = nodes[(first + offset) % Self.nodeSlots]
      if node.status != .absent, condition(node) { return node }
    }
    return nil
  }

  // MARK: - Network

  private var presentSlots: [Int] { nodes.filter { $0.status != .absent }.map(\.slot) }

  private func beginNetworkFault(_ kind: FaultKind) -> Bool {
    let slots = presentSlots
    guard slots.count > 1 else { return false }
    var episode = FaultState.Episode(kind: kind)
    switch kind {
    case .split:
      // Clients are on one side or the other.
      let sides = (0..<Network.ends).map { _ in faultChance.below(2 as Int) }
      for from in 0..<Network.ends {
        for to in 0..<Network.ends where sides[from] != sides[to] { episode.links.append((from, to)) }
      }
    case .bridge:
      // Two halves that reach each other only through one node.
      let middle = slots[faultChance.below(slots.count)]
      let sides = (0..<Self.nodeSlots).map { _ in faultChance.below(2 as Int) }
      for from in 0..<Self.nodeSlots {
        for to in 0..<Self.nodeSlots where sides[from] != sides[to] && from != middle && to != middle {
          episode.links.append((from, to))
        }
      }
    case .oneWay, .halfOpen, .slowLink, .reset:
      let from = slots[faultChance.below(slots.count)]
      var to = slots[faultChance.below(slots.count)]
      if from == to { to = slots[(slots.firstIndex(of: from)! + 1) % slots.count] }
      episode.links = [(from, to)]
      if kind == .oneWay, faultChance.below(3) == 0 {
        // Nothing from, or nothing to, the node at all.
        let isDeaf = faultChance.below(2) == 0
        episode.links = slots.filter { $0 != from }.map { isDeaf ? ($0, from) : (from, $0) }
      }
    default: return false
    }
    if kind == .reset {
      let (one, other) = episode.links[0]
      connect(nodes[one], nodes[other].id, isUp: false, after: 1)
      connect(nodes[other], nodes[one].id, isUp: false, after: 1 + faultChance.below(1_000))
      let back = 5_000 + faultChance.below(200_000 as UInt64)
      connect(nodes[one], nodes[other].id, isUp: true, after: back)
      connect(nodes[other], nodes[one].id, isUp: true, after: back)
      return true
    }
    if kind == .slowLink {
      episode.amount = faultChance.between(1_000, 150_000)
      for (from, to) in episode.links {
        network.withLink(from, to) { $0.slowness += UInt32(episode.amount) }
      }
    } else {
      for (from, to) in episode.links { network.withLink(from, to) { $0.cuts &+= 1 } }
      // Some cuts are noticed at once, by a refusal from something in between; others by silence only.
      if kind != .halfOpen, faultChance.below(2) == 0 {
        episode.amount = 1
        tellConnections(of: episode, areUp: false)
      }
    }
    last(episode, microseconds: faultChance.wait(mean: 6_000_000))
    return true
  }

  /// Tells the nodes at both ends of the links.
  private func tellConnections(of episode: FaultState.Episode, areUp: Bool) {
    for (from, to) in episode.links where from < Self.nodeSlots && to < Self.nodeSlots {
      guard nodes[from].isAlive, nodes[to].isAlive else { continue }
      connect(nodes[from], nodes[to].id, isUp: areUp, after: 1 + faultChance.below(2_000))
      connect(nodes[to], nodes[from].id, isUp: areUp, after: 1 + faultChance.below(2_000))
    }
  }

  // MARK: - Disk

  private func beginDiskFault(_ kind: FaultKind) -> Bool {
    guard let node = anyNode(where: { $0.status != .failed("") && ($0.isAlive || $0.status == .down) }) else {
      return false
    }
    var episode = FaultState.Episode(kind: kind, slot: node.slot, generation: node.generation)
    var duration = faultChance.wait(mean: 5_000_000)
    switch kind {
    case .slowDisk:
      episode.amount = faultChance.between(2_000, 200_000)
      node.diskSlowness += episode.amount
    case .stalledDisk:
      node.diskStalledUntil = max(node.diskStalledUntil, now + faultChance.wait(mean: 500_000))
      duration = max(1, node.diskStalledUntil - now)
    case .hungDisk:
      node.diskStalledUntil = .max
      duration = faultChance.wait(mean: 20_000_000)
    case .fullDisk:
      node.disk.trouble.isFull = true
      duration = faultChance.wait(mean: 10_000_000)
    case .writeError: node.disk.trouble.writeErrno = 5
    case .syncError:
      node.disk.trouble.failsSynchronization = true
      return true
    case .readError: node.disk.trouble.failsReads = true
    default: return false
    }
    last(episode, microseconds: duration)
    return true
  }

  // MARK: - Process

  private func beginProcessFault(_ kind: FaultKind) -> Bool {
    if kind == .powerCut {
      let all = faultChance.below(2) == 0
      for node in nodes where node.isAlive && (all || faultChance.below(2) == 0) {
        crash(node, losesPower: true, restartsAfter: 100_000 + faultChance.below(3_000_000))
      }
      return true
    }
    guard let node = anyNode(where: { $0.isRunning }) else { return false }
    switch kind {
    case .crash:
      crash(node, losesPower: faultChance.below(3) == 0, restartsAfter: 50_000 + faultChance.wait(mean: 3_000_000))
    case .crashLoop:
      crash(node, losesPower: false, restartsAfter: 200_000)
      last(FaultState.Episode(kind: kind, slot: node.slot, amount: 12), microseconds: 400_000)
    case .pause:
      pause(node)
      last(
        FaultState.Episode(kind: kind, slot: node.slot, generation: node.generation),
        microseconds: faultChance.wait(mean: settings.replica.raft.electionTimeoutMilliseconds * 2_000))
    case .slowApply:
      node.applySlowness = faultChance.between(1_000, 300_000)
      last(
        FaultState.Episode(kind: kind, slot: node.slot, generation: node.generation),
        microseconds: faultChance.wait(mean: 8_000_000))
    default: return false
    }
    return true
  }

  private func beginClockFault(_ kind: FaultKind) -> Bool {
    guard let node = anyNode(where: { $0.isAlive }) else { return false }
    switch kind {
    case .clockJump:
      node.clock.jump(by: faultChance.wait(mean: 2_000_000))
      rearm(node)
      return true
    case .clockDrift: node.clock.setRate(faultChance.between(300, 3_000), at: now)
    default: node.clock.setRate(0, at: now)
    }
    rearm(node)
    last(
      FaultState.Episode(kind: kind, slot: node.slot),
      microseconds: kind == .clockFreeze ? faultChance.wait(mean: 2_000_000) : faultChance.wait(mean: 15_000_000))
    return true
  }

  /// The clock shows another time: the timer that was set for the old one comes too late.
  private func rearm(_ node: Node) {
    guard node.isRunning else { return }
    node.timerDue = now + 1
    add(.nodeTimer, at: node.slot, after: 1, generation: node.generation)
  }

  private func beginTransfer() -> Bool {
    guard let node = leader else { return false }
    let voters = node.core.raft.configuration.voters
    let target = faultChance.below(3) == 0 ? 0 : voters[faultChance.below(voters.count)]
    let token = node.addWaiter(.membership)
    do throws(Refusal) {
      try node.core.transferLeadership(to: target, token: token, atMilliseconds: milliseconds(node))
    } catch { _ = node.takeWaiter(token) }
    pump(node)
    return true
  }

  private func beginSubscriberFault(_ kind: FaultKind) -> Bool {
    let number = faultChance.below(subscribers.count)
    switch kind {
    case .stalledSubscriber: subscribers[number].stalledUntil = now + faultChance.wait(mean: 30_000_000)
    case .reconnectStorm: for each in subscribers.indices { leave(each) }
    default:
      // Somebody who asks for what is not there yet, or not there any more; it is given nothing that it could miss.
      let position =
        faultChance.below(2) == 0 ? log.lastIndex + faultChance.below(50) : faultChance.below(log.lastIndex + 1)
      leave(number)
      if position <= subscribers[number].position { rewind(number, to: position) }
    }
    return true
  }

  /// The subscriber has lost what it had, and begins again at an earlier place.
  private func rewind(_ number: Int, to position: UInt64) {
    var ordinal = 0
    var low = 0
    var high = log.records.count
    while low < high {
      let middle = (low + high) / 2
      if log.records[middle].index <= position { low = middle + 1 } else { high = middle }
    }
    ordinal = low
    subscribers[number].ordinal = ordinal
    subscribers[number].position = position
  }

  // MARK: - Well again

  func endFault(_ number: Int) {
    guard number < faults.episodes.count, !faults.episodes[number].isOver else { return }
    let episode = faults.episodes[number]
    let node = nodes[episode.slot]
    if episode.kind == .crashLoop, faults.isTurmoil, episode.amount > 0 {
      if node.isRunning { crash(node, losesPower: false, restartsAfter: 50_000 + faultChance.below(300_000)) }
      faults.episodes[number].amount -= 1
      return add(.faultEnds, at: 0, after: 100_000 + faultChance.below(600_000), value: number)
    }
    faults.episodes[number].isOver = true
    faults.active -= 1
    switch episode.kind {
    case .split, .oneWay, .bridge, .halfOpen:
      for (from, to) in episode.links { network.withLink(from, to) { if $0.cuts > 0 { $0.cuts -= 1 } } }
      if episode.amount == 1 { tellConnections(of: episode, areUp: true) }
    case .slowLink:
      for (from, to) in episode.links {
        network.withLink(from, to) { $0.slowness -= min($0.slowness, UInt32(episode.amount)) }
      }
    case .slowDisk: node.diskSlowness -= min(node.diskSlowness, episode.amount)
    case .hungDisk: endHang(node)
    case .fullDisk: node.disk.trouble.isFull = false
    case .writeError: node.disk.trouble.writeErrno = 0
    case .readError: node.disk.trouble.failsReads = false
    case .pause: if node.generation == episode.generation { resume(node) }
    case .slowApply: if node.generation == episode.generation { endSlowApply(node) }
    case .clockDrift, .clockFreeze:
      node.clock.setRate(1024, at: now)
      rearm(node)
    default: transactions?.end(episode.kind, Int(episode.amount))
    }
  }

  /// A disk that hung answers again, with all that it was given.
  func endHang(_ node: Node) {
    guard node.diskStalledUntil == .max else { return }
    node.diskStalledUntil = 0
    if node.log?.batch != nil { add(.diskDone, at: node.slot, after: 1_000, generation: node.generation) }
  }

  private func endSlowApply(_ node: Node) {
    node.applySlowness = 0
    guard node.pendingApply != nil else { return }
    add(.applied, at: node.slot, after: 1, generation: node.generation)
  }
}
