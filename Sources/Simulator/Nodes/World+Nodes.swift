import Metadata
import MetadataLog
import Raft
import ReplicaCore
import SegmentedLog

/// The lives of nodes: start, crash, pause; and the loop of a running one.
extension World {
  /// Starts a process on what its disk holds.
  func start(_ node: Node) {
    guard node.status == .down, !node.isOutdated else { return }
    let configuration = settings.logConfiguration(node.id, isFounder: node.id <= settings.memberCount)
    var log = configuration
    log.newDisk = node.diskID
    log.mutants = settings.logMutants
    let opened: OpenedLog
    do throws(LogStoreError) { opened = try OpenedLog.open(log, on: node.disk) } catch {
      return startFailed(node, error)
    }
    node.disk.settle()
    if node.hasForeignDisk { violated("6 foreign disk", "node \(node.id) starts with the disk of another member") }
    let recovered = opened.recovered.forRaft
    checkRecovery(node, recovered)
    node.state = MetadataState(
      recentBytes: settings.recentBytes, mutants: settings.metadataMutants, understands: node.program)
    var applied: UInt64 = 0
    switch StartDecision(recovered: recovered, appliedIndex: 0, stored: node.snapshots.map(\.metadata)) {
    case .ready: break
    case .restore(let metadata):
      guard let snapshot = node.snapshots.last(where: { $0.metadata.index == metadata.index }),
        let image = try? ImageSnapshot.image(from: snapshot.bytes)
      else { return end(node, "the snapshot at \(metadata.index) cannot be read") }
      do throws(ApplyError) { try node.state.restore(image) } catch { return startOutdated(node, error) }
      applied = metadata.index
    case .stateAheadOfLog, .snapshotMissing: return end(node, "the snapshot that the log needs is missing")
    }
    node.log = NodeLog(opened: opened, configuration: log)
    var replica = settings.replica
    replica.raft.mutants = settings.raftMutants
    replica.mutants = settings.replicaMutants
    node.core = ReplicaCore(
      id: node.id, options: replica, recovered: recovered, appliedIndex: applied,
      seed: node.seed ^ UInt64(node.generation) << 20, atMilliseconds: milliseconds(node))
    node.status = .running
    node.timerDue = .max
    node.isDiskFull = false
    result.restarts += 1
    tell("node \(node.id) starts: log \(recovered.terms.baseIndex + 1)-\(recovered.terms.lastIndex)")
    node.core.handle(.started, atMilliseconds: milliseconds(node))
    started(node, recovered)
    if opened.writer.isFull { diskIsFull(node) }
    for peer in nodes where peer.slot != node.slot && peer.isAlive && isReachable(node.slot, peer.slot) {
      let delay = networkChance.between(1_000, 30_000)
      connect(node, peer.id, isUp: true, after: delay)
      connect(peer, node.id, isUp: true, after: delay + settings.networkMicroseconds)
    }
    pump(node)
  }

  /// The log cannot be opened. What may pass is tried again, as a supervisor does; damage stays.
  private func startFailed(_ node: Node, _ error: LogStoreError) {
    tell("node \(node.id) cannot start: \(error)")
    node.disk.settle()
    if case .io = error {
      node.generation &+= 1
      return add(.nodeStart, at: node.slot, after: 2_000_000, generation: node.generation)
    }
    if node.damagedUntil == 0, !node.isBlank {
      violated("recovery", "node \(node.id) cannot read the log that it wrote: \(error)")
    }
    node.status = .failed(error.description)
  }

  /// The process ends by itself, and is started again after a while.
  func processFails(_ node: Node, _ reason: @autoclosure () -> String) {
    guard node.isAlive else { return }
    tell("node \(node.id) ends: \(reason())")
    crash(node, losesPower: false, restartsAfter: 1_000_000 + workChance.below(2_000_000))
  }

  /// The process ends for good.
  func end(_ node: Node, _ reason: String) {
    tell("node \(node.id) ends for good: \(reason)")
    node.forget()
    node.status = .failed(reason)
    if node.damagedUntil == 0, !node.isBlank { violated("node", "node \(node.id) cannot go on: \(reason)") }
  }

  /// Kills a process, or its machine.
  func crash(_ node: Node, losesPower: Bool, restartsAfter delay: UInt64?) {
    guard node.isAlive else { return }
    tell("node \(node.id) \(losesPower ? "loses power" : "crashes")")
    var replaced = UInt64.max
    if let log = node.log {
      for write in log.unfinished {
        if case .entries(let entries) = write, let first = entries.first { replaced = min(replaced, first.index) }
        if case .reset = write { replaced = 0 }
      }
    }
    node.durable.replacedFrom = replaced
    for event in node.held where event.kind == .arrival { _ = network.take(Int(event.value)) }
    node.disk.crash(losesPower: losesPower, &diskChance)
    node.forget()
    node.status = .down
    node.diskStalledUntil = 0
    if !losesPower {
      // The operating system closes the connections of a process that died; that of a machine says nothing.
      for peer in nodes where peer.slot != node.slot && isReachable(node.slot, peer.slot) {
        connect(peer, node.id, isUp: false, after: settings.networkMicroseconds + networkChance.below(2_000))
      }
    }
    if let delay { add(.nodeStart, at: node.slot, after: delay, generation: node.generation) }
  }

  func pause(_ node: Node) {
    guard node.isRunning else { return }
    tell("node \(node.id) pauses")
    node.status = .paused
  }

  func resume(_ node: Node) {
    if node.status == .paused {
      tell("node \(node.id) goes on")
      node.status = .running
    }
    guard node.isRunning, node.busyUntil <= now else { return }
    let held = node.held
    node.held = []
    let generation = node.generation
    for event in held {
      guard node.generation == generation, node.isRunning else {
        if event.kind == .arrival { _ = network.take(Int(event.value)) }
        continue
      }
      if event.kind == .arrival { arrive(event) } else { deliver(event, to: node) }
    }
  }

  /// The loop is taken by one long piece of work: what comes meanwhile waits.
  func occupy(_ node: Node, microseconds: UInt64) {
    node.busyUntil = now + microseconds
    add(.nodeResume, at: node.slot, after: microseconds, generation: node.generation)
  }

  /// An event of a node's own.
  func deliver(_ event: Event, to node: Node) {
    guard node.isRunning, node.busyUntil <= now else {
      if node.isAlive { node.held.append(event) }
      return
    }
    switch event.kind {
    case .nodeTimer:
      guard event.time >= node.timerDue || node.timerDue <= now else { return }
      node.timerDue = .max
      if node.core.nextDeadline <= milliseconds(node) {
        node.core.handle(.tick, atMilliseconds: milliseconds(node))
      }
    case .diskDone: batchDone(node)
    case .diskRead: readDone(node)
    case .applied: applyPending(node)
    case .snapshot: writeSnapshotPiece(node)
    case .spaceCheck: checkSpace(node)
    case .connection:
      let peer = MemberID(event.value >> 1)
      node.core.handle(
        event.value & 1 == 1 ? .connected(peer) : .disconnected(peer), atMilliseconds: milliseconds(node))
    default: break
    }
    pump(node)
  }

  /// Carries out what the core wants, until it wants nothing more; then the disk, the timer and those who watch.
  func pump(_ node: Node) {
    guard node.isRunning, !node.isPerforming else { return }
    let generation = node.generation
    node.isPerforming = true
    while true {
      if node.core.hasActions {
        var actions: [ReplicaCore.Action] = []
        swap(&actions, &node.actions)
        node.core.takeActions(into: &actions)
        for action in actions { perform(action, node) }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &node.actions)
      } else if node.pendingApply != nil, node.applySlowness == 0 {
        applyPending(node)
      } else if node.core.needsEndOfTurn {
        node.core.handle(.endOfTurn, atMilliseconds: milliseconds(node))
      } else {
        break
      }
      if node.generation != generation { break }
    }
    node.isPerforming = false
    guard node.generation == generation, node.isRunning else { return }
    beginBatch(node)
    guard node.generation == generation else { return }
    armTimer(node)
    watch(node)
  }

  private func armTimer(_ node: Node) {
    let deadline = node.core.nextDeadline
    guard deadline != .max else { return }
    let time = node.clock.time(atMilliseconds: deadline, now: now)
    guard time < node.timerDue else { return }
    node.timerDue = time
    add(.nodeTimer, at: node.slot, after: time - now, generation: node.generation)
  }

  // MARK: - Disk

  func beginBatch(_ node: Node) {
    guard node.log?.wantsBatch == true else { return }
    do throws(LogStoreError) {
      guard try node.log?.beginBatch() == true else { return diskIsFull(node) }
    } catch { return processFails(node, error.description) }
    cost.synchronizations += 1
    var delay = settings.diskMicroseconds + diskChance.below(settings.diskMicroseconds) + node.diskSlowness
    if node.diskStalledUntil > now {
      guard node.diskStalledUntil != .max else { return }
      delay += node.diskStalledUntil - now
    }
    add(.diskDone, at: node.slot, after: delay, generation: node.generation)
  }

  private func batchDone(_ node: Node) {
    // It stalled after the batch was given to it.
    if node.diskStalledUntil > now {
      guard node.diskStalledUntil != .max else { return }
      return add(.diskDone, at: node.slot, after: node.diskStalledUntil - now, generation: node.generation)
    }
    node.disk.settle()
    guard let batch = node.log?.finishBatch() else { return }
    node.durable.settle(batch.writes)
    if batch.result.wantsSpare { try? node.log?.writer.prepareSpare() }
    if node.log?.writer.isFull == true { diskIsFull(node) }
    // The next batch starts before anybody hears of this one.
    beginBatch(node)
    guard node.isRunning else { return }
    node.core.handle(.written(through: batch.sequence), atMilliseconds: milliseconds(node))
  }

  /// The disk is full: nothing is lost, the rest waits for space, which is looked for now and then.
  func diskIsFull(_ node: Node) {
    guard !node.isDiskFull else { return }
    tell("the disk of node \(node.id) is full")
    node.isDiskFull = true
    node.core.handle(.diskFull(true), atMilliseconds: milliseconds(node))
    add(.spaceCheck, at: node.slot, after: 500_000, generation: node.generation)
    pump(node)
  }

  private func checkSpace(_ node: Node) {
    guard node.isDiskFull, let log = node.log else { return }
    do throws(LogStoreError) {
      guard try log.writer.recoverSpace() else {
        return add(.spaceCheck, at: node.slot, after: 500_000, generation: node.generation)
      }
    } catch { return processFails(node, error.description) }
    tell("the disk of node \(node.id) has space again")
    node.isDiskFull = false
    node.core.handle(.diskFull(false), atMilliseconds: milliseconds(node))
    node.log?.unstick()
  }

  private func readDone(_ node: Node) {
    guard !node.pendingReads.isEmpty, let log = node.log else { return }
    let read = node.pendingReads.removeFirst()
    do throws(LogStoreError) {
      let entries = try log.entries(
        from: read.from, through: read.through, limitBytes: read.limitBytes, directory: node.disk.path)
      node.core.handle(
        .entriesRead(for: read.follower, term: read.term, entries), atMilliseconds: milliseconds(node))
    } catch { processFails(node, error.description) }
  }
}
