import Raft

@testable import ReplicaCore

/// Cores that talk to each other, with disks and state machines that do at once what they are asked for, unless a disk is
/// told to hang. Deterministic: nodes act in the order of their numbers, messages arrive in the order in which they were sent.
struct CoreCluster {
  final class Node {
    var core: ReplicaCore
    var unwritten: [UInt64] = []
    var appliedEntries: [UInt64] = []

    init(core: consuming ReplicaCore) { self.core = core }
  }
  var nodes: [NodeID: Node] = [:]
  var now: UInt64 = 1_000
  var network: [Message] = []
  var cut: Set<NodeID> = []
  var hangingDisks: Set<NodeID> = []
  /// What became of tokens, and other news, in order: "1: proposal 7 applied at 3".
  var news: [String] = []

  init(_ ids: NodeID..., options: ReplicaOptions = ReplicaOptions()) {
    let members = Configuration(voters: ids.map { Member(id: $0, address: "host:\($0)", disk: $0 * 10) })
    for id in ids { add(id, members, options) }
    for id in ids { handle(id, .started) }
  }

  mutating func add(_ id: NodeID, _ members: Configuration, _ options: ReplicaOptions = ReplicaOptions()) {
    var recovered = Raft.Recovered.fresh(members)
    recovered.disk = id * 10
    nodes[id] = Node(
      core: ReplicaCore(
        id: id, options: options, recovered: recovered, appliedIndex: 0, seed: id, atMilliseconds: now))
  }

  subscript(_ id: NodeID) -> ReplicaCore { _read { yield nodes[id]!.core } }

  var ids: [NodeID] { nodes.keys.sorted() }
  var leader: NodeID? { ids.first { self[$0].isReady && !cut.contains($0) } }

  mutating func handle(_ id: NodeID, _ event: ReplicaCore.Event) {
    nodes[id]!.core.handle(event, atMilliseconds: now)
    act(id)
  }

  mutating func propose(_ id: NodeID, token: UInt64) throws(Refusal) {
    _ = try nodes[id]!.core.propose([UInt8(token)], token: token, atMilliseconds: now)
  }

  mutating func change(_ id: NodeID, token: UInt64, _ changes: MembershipChange...) throws(Refusal) {
    try nodes[id]!.core.changeMembers(changes, token: token, atMilliseconds: now)
    act(id)
  }

  mutating func transfer(_ id: NodeID, to target: NodeID, token: UInt64) throws(Refusal) {
    try nodes[id]!.core.transferLeadership(to: target, token: token, atMilliseconds: now)
    act(id)
  }

  /// A disk that hung has caught up.
  mutating func resumeDisk(_ id: NodeID) {
    hangingDisks.remove(id)
    guard let last = nodes[id]!.unwritten.last else { return }
    nodes[id]!.unwritten = []
    handle(id, .written(through: last))
  }

  /// Ends turns and delivers messages until nothing is under way.
  mutating func settle() {
    for _ in 0..<10_000 {
      for id in ids where self[id].needsEndOfTurn { handle(id, .endOfTurn) }
      guard !network.isEmpty else {
        if ids.contains(where: { self[$0].needsEndOfTurn }) { continue }
        return
      }
      let message = network.removeFirst()
      guard nodes[message.to] != nil, !cut.contains(message.to), !cut.contains(message.from) else { continue }
      handle(message.to, .received(message))
    }
    preconditionFailure("messages do not come to an end")
  }

  /// Lets time pass, with ticks when they are due.
  mutating func pass(milliseconds: UInt64) {
    let end = now + milliseconds
    while now < end {
      now = min(end, max(now + 1, nodes.values.map { $0.core.nextDeadline }.min() ?? end))
      for id in ids where self[id].nextDeadline <= now { handle(id, .tick) }
      settle()
    }
  }

  mutating func elect() -> NodeID {
    for _ in 0..<100 where leader == nil { pass(milliseconds: 20) }
    return leader!
  }

  private mutating func act(_ id: NodeID) {
    for action in nodes[id]!.core.takeActions() { act(id, action) }
  }

  private mutating func act(_ id: NodeID, _ action: ReplicaCore.Action) {
    switch action {
    case .writeHardState(_, let sequence), .writeEntries(_, let sequence), .writePromise(_, let sequence),
      .resetLog(_, let sequence), .compactLog(_, _, let sequence):
      if hangingDisks.contains(id) {
        nodes[id]!.unwritten.append(sequence)
      } else {
        handle(id, .written(through: sequence))
      }
    case .send(let message): network.append(message)
    case .apply(let from, let through):
      nodes[id]!.appliedEntries += from...through
      handle(id, .applied(through: through, sizeBytes: 10))
    case .restoreSnapshot(let metadata): handle(id, .snapshotRestored(metadata))
    case .proposalApplied(let token, let index): news.append("\(id): proposal \(token) applied at \(index)")
    case .proposalFailed(let token, let failure): news.append("\(id): proposal \(token) failed, \(failure)")
    case .readReady(let token): news.append("\(id): read \(token) ready")
    case .readFailed(let token, let failure): news.append("\(id): read \(token) failed, \(failure)")
    case .changeDone(let token): news.append("\(id): change \(token) done")
    case .changeFailed(let token, let failure): news.append("\(id): change \(token) failed, \(failure)")
    case .leadershipChanged(let isLeader, let term):
      news.append("\(id): \(isLeader ? "leads" : "follows in") term \(term)")
    case .foreignDisk(let recorded): news.append("\(id): disk \(recorded) is recorded")
    case .peerFault(let peer, let what): news.append("\(id): fault of \(peer), \(what)")
    case .readEntries, .takeSnapshot, .sendSnapshot, .roleChanged, .membersChanged: break
    }
  }
}
