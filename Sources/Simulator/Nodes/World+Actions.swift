import Metadata
import MetadataLog
import Raft
import ReplicaCore
import SegmentedLog

/// Carrying out what a node's core wants.
extension World {
  func perform(_ action: ReplicaCore.Action, _ node: Node) {
    switch action {
    case .writeHardState(let state, let sequence): node.log?.write(.hardState(state), sequence: sequence)
    case .writeEntries(let entries, let sequence):
      checkWriting(node, entries)
      node.log?.write(.entries(entries), sequence: sequence)
    case .resetLog(let metadata, let sequence):
      node.log?.write(.reset(LogBase(snapshot: metadata, base: metadata)), sequence: sequence)
      checkReset(node, metadata)
    case .compactLog(let snapshot, let base, let sequence):
      node.log?.write(.compaction(LogBase(snapshot: snapshot, base: base)), sequence: sequence)
    case .send(let message):
      checkSending(node, message)
      cost.messages += 1
      if let slot = slot(of: message.to) { send(.raft(message), from: node.slot, to: slot) }
    case .readEntries(let follower, let term, let from, let through, let limit):
      node.pendingReads.append((follower, term, from, through, limit))
      add(
        .diskRead, at: node.slot, after: settings.diskMicroseconds / 4 + node.diskSlowness, generation: node.generation)
    case .writePromise(let position, let sequence): node.log?.writePromise(position, sequence: sequence)
    case .apply(let from, let through):
      node.pendingApply = (from, through)
      if node.applySlowness > 0 {
        add(.applied, at: node.slot, after: node.applySlowness, generation: node.generation)
      }
    case .restoreSnapshot(let metadata):
      node.pendingRestore = metadata
      add(.applied, at: node.slot, after: 1_000 + diskChance.below(3_000), generation: node.generation)
    case .takeSnapshot: beginSnapshot(node)
    case .sendSnapshot(let member, let term): sendSnapshot(node, to: member, term: term)
    default: answer(action, node)
    }
  }

  private func answer(_ action: ReplicaCore.Action, _ node: Node) {
    switch action {
    case .proposalApplied(let token, let index):
      guard case .append(let client, let attempt) = node.takeWaiter(token) else { return }
      checkAcknowledged(node, index)
      reply(node, client, attempt, .appended(index))
    case .proposalFailed(let token, _):
      guard case .append(let client, let attempt) = node.takeWaiter(token) else { return }
      reply(node, client, attempt, .unknown)
    case .readReady(let token): readReady(token, node)
    case .readFailed(let token, _):
      switch node.takeWaiter(token) {
      case .read(let client, let attempt, _), .settle(let client, let attempt, _, _):
        reply(node, client, attempt, .unknown)
      default: break
      }
    case .changeDone(let token), .changeFailed(let token, _): _ = node.takeWaiter(token)
    case .roleChanged(let role, let term, let leader):
      tell("node \(node.id) is \(role) of term \(term), leader \(leader ?? 0)")
      hash.mix(term << 4 ^ UInt64(node.slot))
    case .leadershipChanged(let isLeader, let term):
      tell("node \(node.id) \(isLeader ? "is ready to lead" : "leads no more"), term \(term)")
      node.state.leadershipChanged(isLeader: isLeader, term: term)
      settle(node)
    case .peerFault(let peer, let what): peerFault(node, peer, what)
    case .foreignDisk: end(node, "the group knows it by another disk")
    default: break
    }
  }

  // MARK: - The state machine

  /// Restores the snapshot that waits, or applies a batch of the entries that wait.
  func applyPending(_ node: Node) {
    if let metadata = node.pendingRestore {
      node.pendingRestore = nil
      return restore(node, metadata)
    }
    guard let wanted = node.pendingApply else { return }
    node.pendingApply = nil
    let entries: [Entry]
    do throws(LogStoreError) {
      entries =
        try node.log?.entries(
          from: wanted.from, through: wanted.through, limitBytes: settings.applyBatchBytes, directory: node.disk.path)
        ?? []
    } catch { return processFails(node, error.description) }
    if entries.isEmpty, !node.core.hasSnapshotToRestore {
      violated("4 apply", "node \(node.id) has to apply \(wanted.from), which its log does not hold")
    }
    var size = 0
    var last = wanted.from - 1
    for entry in entries {
      size += entry.sizeBytes
      last = entry.index
      if entry.kind == .command {
        do throws(ApplyError) {
          try node.state.apply(index: entry.index, term: entry.term, body: entry.payload)
        } catch {
          if error.isAboutLevels, node.program < FeatureLevel.newest { return endOutdated(node, error) }
          violated("4 apply", "node \(node.id): \(error)")
          return end(node, "\(error)")
        }
      }
      checkApplied(node, entry)
    }
    node.core.handle(.applied(through: last, sizeBytes: size), atMilliseconds: milliseconds(node))
    settle(node)
  }

  private func restore(_ node: Node, _ metadata: SnapshotMetadata) {
    guard let snapshot = node.snapshots.last(where: { $0.metadata.index == metadata.index }),
      let image = try? ImageSnapshot.image(from: snapshot.bytes)
    else { return violated("7 snapshot", "node \(node.id) cannot restore the snapshot at \(metadata.index)") }
    tell("node \(node.id) restores the snapshot at \(metadata.index)")
    do throws(ApplyError) { try node.state.restore(image) } catch { return endOutdated(node, error) }
    checkImage(node)
    node.core.handle(.snapshotRestored(metadata), atMilliseconds: milliseconds(node))
    settle(node)
  }

  // MARK: - Clients

  func append(_ call: AppendCall, _ node: Node) {
    switch node.state.decide(call.request, timeMicroseconds: Int64(now)) {
    case .notLeader: notLeader(node, call.client, call.attempt)
    case .propose(let proposal):
      let token = node.addWaiter(.append(client: call.client, attempt: call.attempt))
      do throws(Refusal) {
        let index = try node.core.propose(proposal.body, token: token, atMilliseconds: milliseconds(node))
        node.state.appended(proposal, at: index)
      } catch {
        _ = node.takeWaiter(token)
        if case .notLeader = error { return notLeader(node, call.client, call.attempt) }
        reply(node, call.client, call.attempt, .unknown)
      }
    case .settle(let answer, let settlement):
      settleLater(node, call, outcome(of: answer), settlement)
    case .firstResult(let index, let settlement): settleLater(node, call, .appended(index), settlement)
    }
  }

  private func outcome(of answer: AppendAnswer) -> Reply.Outcome {
    switch answer {
    case .appended(let index, _, _): .unchanged(index)
    case .rejected(let rejection):
      switch rejection.sqlState.rawValue {
      case "40001": .conflict
      case "08007": .past
      default: .rejected
      }
    }
  }

  private func settleLater(_ node: Node, _ call: AppendCall, _ outcome: Reply.Outcome, _ settlement: Settlement) {
    let token = node.addWaiter(.settle(client: call.client, attempt: call.attempt, outcome, settlement))
    node.core.handle(
      .read(token, deadlineMilliseconds: milliseconds(node) + 3_000), atMilliseconds: milliseconds(node))
  }

  func read(_ call: ReadCall, _ node: Node) {
    let token = node.addWaiter(.read(client: call.client, attempt: call.attempt, sequence: call.sequence))
    node.core.handle(
      .read(token, deadlineMilliseconds: milliseconds(node) + 3_000), atMilliseconds: milliseconds(node))
  }

  private func readReady(_ token: UInt64, _ node: Node) {
    switch node.takeWaiter(token) {
    case .read(let client, let attempt, let sequence):
      let version = versions.id(of: Int(sequence)).flatMap { node.state.image.versions[$0] } ?? 0
      reply(node, client, attempt, .state(index: node.state.image.index, version: version))
    case .settle(let client, let attempt, let outcome, let settlement):
      node.settling.append((client, attempt, outcome, settlement))
      settle(node)
    default: break
    }
  }

  /// Tells those whose answers have become final.
  func settle(_ node: Node) {
    guard !node.settling.isEmpty else { return }
    var rest: [(client: UInt8, attempt: UInt32, outcome: Reply.Outcome, settlement: Settlement)] = []
    for item in node.settling {
      switch node.state.progress(of: item.settlement) {
      case .waiting: rest.append(item)
      case .lost: reply(node, item.client, item.attempt, .unknown)
      case .reached: reply(node, item.client, item.attempt, item.outcome)
      }
    }
    node.settling = rest
  }

  private func notLeader(_ node: Node, _ client: UInt8, _ attempt: UInt32) {
    let leader = node.core.raft.role == .leader ? 0 : node.core.raft.leaderID ?? 0
    reply(node, client, attempt, .notLeader(leader))
  }

  func reply(_ node: Node, _ client: UInt8, _ attempt: UInt32, _ outcome: Reply.Outcome) {
    var outcome = outcome
    if let transactions, client >= TransactionWorld.firstClient {
      outcome = transactions.outcome(outcome, of: attempt, from: client, at: node)
    }
    send(
      .reply(Reply(client: client, attempt: attempt, outcome: outcome)), from: node.slot,
      to: Self.nodeSlots + Int(client))
  }
}
