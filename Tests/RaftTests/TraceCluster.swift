@testable import Raft

/// A mistake in a trace, or a broken invariant.
struct TraceError: Error, CustomStringConvertible {
  var description: String
}

/// Holds what cannot be copied, so that what is beside it can.
final class Core {
  var raft: Raft
  init(_ raft: consuming Raft) { self.raft = raft }
}

/// Nodes, their disks and the messages between them, driven by the lines of a trace.
///
/// After every line the invariants are checked that bind several nodes: one leader per term, and equal applied entries.
struct TraceCluster {
  struct Node {
    let core: Core
    var raft: Raft {
      _read { yield core.raft }
      nonmutating _modify { yield &core.raft }
    }
    var disk: UInt64 = 0
    let initial: Configuration
    // What survives a crash.
    var hardState = HardState()
    var snapshot: SnapshotMetadata
    var base: SnapshotMetadata
    var entries: [Entry] = []
    var promised: LogPosition?
    var appliedIndex: UInt64 = 0
    // What does not: writes that are under way.
    var writes: [(sequence: UInt64, effect: Effect, base: SnapshotMetadata?)] = []
    var held: [(message: Message, after: UInt64)] = []
    var isUp = true
  }

  var now: UInt64 = 0
  var options = Options()
  var nodes: [NodeID: Node] = [:]
  var network: [Message] = []
  var snapshotRequests: [(from: NodeID, to: NodeID, term: UInt64)] = []
  var hasPromptDisks = false
  var hasDiskIdentities = false
  var leaders: [UInt64: NodeID] = [:]
  var applied: [UInt64: Entry] = [:]

  /// Makes a node; without members for one that joins later.
  mutating func add(_ id: NodeID, voters: [NodeID]) {
    let members = Configuration(voters: voters.map { Member(id: $0, address: "host:\($0)") })
    let disk = hasDiskIdentities ? id * 10 : 0
    var recovered = Raft.Recovered.fresh(members)
    recovered.disk = disk
    let raft = Raft(id: id, options: options, recovered: recovered, seed: id, atMilliseconds: now)
    let start = SnapshotMetadata(index: 0, term: 0, configuration: members)
    nodes[id] = Node(core: Core(raft), disk: disk, initial: members, snapshot: start, base: start)
  }

  /// Steps a node, then flushes it, as the end of a turn does; the effects as text.
  mutating func step(_ id: NodeID, _ input: Input) throws -> [String] {
    guard var node = nodes[id], node.isUp else { throw TraceError(description: "node \(id) is not running") }
    var effects = node.raft.step(input, atMilliseconds: now)
    if node.raft.needsFlush { effects += node.raft.step(.flush, atMilliseconds: now) }
    var lines = effects.map(TraceText.text)
    var inputs: [Input] = []
    for effect in effects { try perform(effect, on: &node, &inputs) }
    nodes[id] = node
    for input in inputs { lines += try step(id, input) }
    try check(id)
    if hasPromptDisks { lines += try written(id) }
    return lines
  }

  /// All writes of a node become durable.
  mutating func written(_ id: NodeID) throws -> [String] {
    guard var node = nodes[id], let last = node.writes.last?.sequence else { return [] }
    for write in node.writes { Self.store(write.effect, base: write.base, &node) }
    node.writes = []
    network += node.held.filter { $0.after <= last }.map(\.message)
    node.held.removeAll { $0.after <= last }
    nodes[id] = node
    return try step(id, .written(through: last))
  }

  private mutating func perform(_ effect: Effect, on node: inout Node, _ inputs: inout [Input]) throws {
    switch effect {
    case .writeHardState(_, let sequence), .writeEntries(_, let sequence), .installSnapshot(_, let sequence),
      .compact(_, _, let sequence), .writePromise(_, let sequence):
      var base: SnapshotMetadata?
      if case .compact(_, let through, _) = effect { base = node.raft.snapshotMetadata(at: through) }
      node.writes.append((sequence, effect, base))
    case .send(let message, let after):
      if after == 0 { network.append(message) } else { node.held.append((message, after)) }
    case .apply(let index):
      for entry in node.entries where entry.index > node.appliedIndex && entry.index <= index {
        if let other = applied[entry.index], other != entry {
          throw TraceError(description: "entry \(entry.index) was applied as \(other) and as \(entry)")
        }
        applied[entry.index] = entry
      }
      if node.raft.role == .leader { try checkQuorum(index, leader: node) }
      node.appliedIndex = index
    case .sendSnapshot(let member, let term): snapshotRequests.append((node.raft.id, member, term))
    case .readEntries(let follower, let term, let from, let through, _):
      // The log serves what is under way from memory.
      var image = node
      for write in node.writes { Self.store(write.effect, base: write.base, &image) }
      let found = image.entries.filter { $0.index >= from && $0.index <= through }
      inputs.append(.entriesRead(for: follower, term: term, found))
    default: break
    }
  }

  private static func store(_ effect: Effect, base: SnapshotMetadata?, _ node: inout Node) {
    switch effect {
    case .writeHardState(let state, _): node.hardState = state
    case .writePromise(let position, _): node.promised = position
    case .writeEntries(let entries, _):
      node.entries.removeAll { $0.index >= entries[0].index }
      node.entries += entries
    case .installSnapshot(let metadata, _):
      node.snapshot = metadata
      node.base = metadata
      node.entries = []
      node.appliedIndex = metadata.index
    case .compact(let metadata, let through, _):
      node.snapshot = metadata
      if let base { node.base = base }
      node.entries.removeAll { $0.index <= through }
    default: break
    }
  }

  /// The process dies: writes under way are lost, and so are messages that waited for them; what it has sent arrives.
  mutating func crash(_ id: NodeID) {
    nodes[id]?.writes = []
    nodes[id]?.held = []
    nodes[id]?.isUp = false
    network.removeAll { $0.to == id }
  }

  /// The process starts again from what its disk holds.
  mutating func restart(_ id: NodeID) {
    guard var node = nodes[id] else { return }
    var terms = TermIndex(baseIndex: node.base.index, baseTerm: node.base.term)
    for entry in node.entries { terms.append(index: entry.index, term: entry.term) }
    let configurations = node.entries.compactMap { entry in
      entry.kind == .configuration ? Configuration(encoded: entry.payload).map { (entry.index, $0) } : nil
    }
    node.appliedIndex = node.snapshot.index
    var recovered = Raft.Recovered(
      hardState: node.hardState, snapshot: node.snapshot, terms: terms,
      baseConfiguration: node.base.configuration,
      configurations: configurations.map { (index: $0.0, configuration: $0.1) },
      commitIndex: node.snapshot.index, promised: node.promised)
    recovered.disk = node.disk
    node.raft = Raft(id: id, options: options, recovered: recovered, seed: id + 100, atMilliseconds: now)
    node.isUp = true
    nodes[id] = node
  }

  /// The disk of a crashed node loses entries that were durable. Noticed: the log remembers that it had them.
  mutating func lose(_ id: NodeID, from index: UInt64, noticed: Bool) {
    guard let node = nodes[id], let last = node.entries.last, index <= last.index else { return }
    nodes[id]?.entries.removeAll { $0.index >= index }
    guard noticed else { return }
    let position = LogPosition(index: last.index, term: last.term)
    nodes[id]?.promised = max(node.promised ?? position, position)
  }

  /// A crashed node gets another disk, on which there is nothing.
  mutating func replaceDisk(_ id: NodeID) {
    guard let node = nodes[id] else { return }
    let start = SnapshotMetadata(index: 0, term: 0, configuration: node.initial)
    nodes[id] = Node(
      core: node.core, disk: node.disk + 1, initial: node.initial, snapshot: start, base: start, isUp: false)
  }

  /// Delivers waiting messages from one node to another: the first `count`; also what they cause at the receiver.
  mutating func deliver(from: NodeID, to: NodeID, count: Int) throws -> [String] {
    var lines: [String] = []
    for _ in 0..<count {
      guard let position = network.firstIndex(where: { $0.from == from && $0.to == to }) else { break }
      let message = network.remove(at: position)
      lines += try step(to, .receive(message))
    }
    return lines
  }

  /// Delivers everything among running nodes until nothing is under way. Effects are not told.
  mutating func settle(except cut: Set<NodeID>) throws {
    var budget = 10_000
    while let position = network.firstIndex(where: { !cut.contains($0.from) && !cut.contains($0.to) }) {
      budget -= 1
      guard budget > 0 else { throw TraceError(description: "messages do not come to an end") }
      let message = network.remove(at: position)
      if nodes[message.to]?.isUp == true { _ = try step(message.to, .receive(message)) }
    }
  }

  private mutating func check(_ id: NodeID) throws {
    guard let node = nodes[id], node.raft.role == .leader else { return }
    if let other = leaders[node.raft.hardState.term], other != id {
      throw TraceError(description: "\(other) and \(id) both lead term \(node.raft.hardState.term)")
    }
    guard leaders[node.raft.hardState.term] == nil else { return }
    leaders[node.raft.hardState.term] = id
    // Leader completeness: whatever was applied anywhere is in the log of every later leader.
    for (index, entry) in applied.sorted(by: { $0.key < $1.key }) where index > node.raft.terms.baseIndex {
      guard node.raft.terms.term(at: index) == entry.term else {
        throw TraceError(description: "\(id) leads without entry \(index)/\(entry.term), which was applied")
      }
    }
  }

  /// What a leader applies is on the disks of a quorum at that moment.
  private func checkQuorum(_ index: UInt64, leader: Node) throws {
    guard let term = leader.raft.terms.term(at: index), index >= leader.raft.configurationIndex else { return }
    let isDurable = leader.raft.configuration.hasQuorum { id in
      let node = id == leader.raft.id ? leader : nodes[id]
      guard let node else { return false }
      if let promised = node.promised, promised >= LogPosition(index: index, term: term) { return true }
      return node.base.index >= index || node.entries.contains { $0.index == index && $0.term == term }
    }
    guard isDurable else { throw TraceError(description: "entry \(index) is applied, but not durable on a quorum") }
  }
}
