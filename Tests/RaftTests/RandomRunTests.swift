import Foundation
import Testing

@testable import Raft

/// Random runs: messages are lost, repeated and late, nodes crash with writes under way, disks are slow, snapshots and
/// changes of members come in between. `TraceCluster` checks the invariants at every step; at the end everything heals,
/// and the group must go on.
@Suite("Random runs")
struct RandomRunTests {
  /// More with `RAFT_SEEDS=3000`.
  static let seeds = ProcessInfo.processInfo.environment["RAFT_SEEDS"].flatMap { Int($0) } ?? 150

  @Test("No run breaks an invariant, and a healed group goes on", arguments: 0..<seeds)
  func run(seed: Int) throws {
    var run = RandomRun(seed: UInt64(seed))
    do {
      for _ in 0..<1500 { try run.step() }
      try run.heal()
    } catch {
      Issue.record("seed \(seed), \(run.steps) steps: \(error)")
    }
  }

  @Test("The same seed gives the same run")
  func deterministic() throws {
    var texts: [[String]] = []
    for _ in 0..<2 {
      var run = RandomRun(seed: 42)
      run.isRecording = true
      for _ in 0..<1000 { try run.step() }
      texts.append(run.record)
    }
    #expect(texts[0] == texts[1])
  }
}

private struct RandomRun {
  var cluster = TraceCluster()
  var random: SplitMix64
  var steps = 0
  var proposals = 0
  var isRecording = false
  var record: [String] = []
  let changesMembers: Bool
  let losesMessages: Bool
  let crashesOften: Bool
  let damages: Bool

  init(seed: UInt64) {
    random = SplitMix64(seed: seed &* 0x9E37_79B9)
    changesMembers = seed % 3 == 0
    losesMessages = seed % 2 == 0
    crashesOften = seed % 3 == 1
    damages = seed % 2 == 1
    cluster.options.maximumInflightAppends = 1 + Int(random.next(below: 8))
    cluster.options.maximumAppendBytes = 40 + Int(random.next(below: 400))
    cluster.options.recentBytes = seed % 5 == 0 ? 100 : 4000
    cluster.hasDiskIdentities = seed % 7 < 3
    let voters: [NodeID] = seed % 4 == 0 ? [1, 2, 3, 4, 5] : [1, 2, 3]
    for id: NodeID in 1...5 { cluster.add(id, voters: voters.contains(id) ? voters : []) }
  }

  private var running: [NodeID] { cluster.nodes.filter { $0.value.isUp }.keys.sorted() }

  private mutating func pick<T>(_ values: [T]) -> T? {
    values.isEmpty ? nil : values[Int(random.next(below: UInt64(values.count)))]
  }

  private mutating func note(_ lines: [String]) { if isRecording { record += lines } }

  mutating func step() throws {
    steps += 1
    if crashesOften, random.next(below: 25) == 0, let id = pick(running) {
      // Soon back, and with a chance to campaign or to vote again at once.
      cluster.crash(id)
      // One disk at most is bad; of what it loses the others have a copy.
      if damages, id == 2 { damage(id) }
      cluster.restart(id)
      if random.next(below: 2) == 0 { note(try cluster.step(id, .campaign)) }
    }
    switch random.next(below: 100) {
    case 0..<45: try deliver()
    case 45..<65: if let id = pick(running) { note(try cluster.written(id)) }
    case 65..<78:
      cluster.now += random.next(below: 40)
      for id in running where (cluster.nodes[id]?.raft.nextDeadline ?? .max) <= cluster.now {
        note(try cluster.step(id, .tick))
      }
    case 78..<90:
      proposals += 1
      if let id = pick(running) { note(try cluster.step(id, .propose([Array("p\(proposals)".utf8)]))) }
    case 90..<92: if let id = pick(running) { note(try cluster.step(id, .readIndex(id: UInt64(steps)))) }
    case 92: if let id = pick(running), running.count > 1 { cluster.crash(id) }
    case 93..<96:
      if let id = pick(cluster.nodes.filter { !$0.value.isUp }.keys.sorted()) { cluster.restart(id) }
    case 96: try compact()
    case 97: try transferSnapshot(succeeds: random.next(below: 4) > 0)
    case 98: try connectionEvent()
    default: try changeMembers()
    }
  }

  private mutating func damage(_ id: NodeID) {
    guard let node = cluster.nodes[id], let first = node.entries.first, random.next(below: 3) > 0 else { return }
    let index = first.index + random.next(below: UInt64(node.entries.count))
    cluster.lose(id, from: index, noticed: true)
  }

  private mutating func deliver() throws {
    guard !cluster.network.isEmpty else { return }
    let position = Int(random.next(below: min(UInt64(cluster.network.count), losesMessages ? 20 : 1)))
    let message = cluster.network[position]
    let fate = losesMessages ? random.next(below: 20) : 10
    if fate != 0 { cluster.network.remove(at: position) }
    if fate == 1 { return }
    if cluster.nodes[message.to]?.isUp == true { note(try cluster.step(message.to, .receive(message))) }
    if cluster.network.count > 500 { cluster.network.removeFirst(250) }
  }

  private mutating func compact() throws {
    guard let id = pick(running), let node = cluster.nodes[id] else { return }
    let index = node.appliedIndex
    guard index > node.raft.snapshot.index, let metadata = node.raft.snapshotMetadata(at: index) else { return }
    note(
      try cluster.step(
        id, .snapshotTaken(metadata, compactThrough: index - min(index, random.next(below: 10)))))
  }

  private mutating func transferSnapshot(succeeds: Bool) throws {
    guard !cluster.snapshotRequests.isEmpty else { return }
    let (from, to, term) = cluster.snapshotRequests.removeFirst()
    guard let snapshot = cluster.nodes[from]?.snapshot, cluster.nodes[from]?.isUp == true else { return }
    if succeeds, cluster.nodes[to]?.isUp == true {
      note(try cluster.step(to, .snapshotReceived(snapshot, from: from, term: term)))
      note(try cluster.step(from, .snapshotSent(to: to, term: term, index: snapshot.index)))
    } else {
      note(try cluster.step(from, .snapshotSent(to: to, term: term, index: nil)))
    }
  }

  private mutating func connectionEvent() throws {
    guard let id = pick(running), let peer = pick(Array(cluster.nodes.keys.sorted())), id != peer else { return }
    note(try cluster.step(id, random.next(below: 2) == 0 ? .disconnected(peer) : .connected(peer)))
  }

  private mutating func changeMembers() throws {
    guard let id = pick(running), let node = cluster.nodes[id], node.raft.role == .leader else { return }
    guard let other = pick(cluster.nodes.keys.sorted()) else { return }
    if !changesMembers || random.next(below: 3) == 0 {
      note(try cluster.step(id, .transferLeadership(to: other)))
      return
    }
    var changes: [MembershipChange] = []
    if node.raft.configuration.learners.contains(other) {
      changes.append(.promote(other))
      if random.next(below: 2) == 0, node.raft.configuration.voters.count > 2,
        let voter = pick(node.raft.configuration.voters)
      {
        changes.append(.remove(voter))
      }
    } else if node.raft.configuration.voters.contains(other) {
      if node.raft.configuration.voters.count > 2 { changes.append(.remove(other)) }
    } else {
      changes.append(.addLearner(Member(id: other, address: "host:\(other)")))
    }
    note(try cluster.step(id, .changeMembership(changes)))
  }

  /// Everything works again: within some election timeouts a proposal is applied by every voter.
  mutating func heal() throws {
    for id in cluster.nodes.keys.sorted() where cluster.nodes[id]?.isUp == false { cluster.restart(id) }
    cluster.hasPromptDisks = true
    for id in running {
      _ = try cluster.written(id)
      for peer in running where peer != id { _ = try cluster.step(id, .connected(peer)) }
    }
    let marker = Array("healed".utf8)
    for _ in 0..<400 {
      cluster.now += 20
      for id in running where (cluster.nodes[id]?.raft.nextDeadline ?? .max) <= cluster.now {
        _ = try cluster.step(id, .tick)
      }
      try cluster.settle(except: [])
      while !cluster.snapshotRequests.isEmpty { try transferSnapshot(succeeds: true) }
      try cluster.settle(except: [])
      guard let leader = running.first(where: { cluster.nodes[$0]?.raft.role == .leader }) else { continue }
      if !cluster.applied.values.contains(where: { $0.payload == marker }) {
        _ = try cluster.step(leader, .propose([marker]))
      } else if let node = cluster.nodes[leader],
        node.raft.configuration.voters.allSatisfy({ cluster.nodes[$0]?.appliedIndex == node.raft.lastIndex })
      {
        return
      }
    }
    throw TraceError(description: "the healed group does not go on: \(state)")
  }

  private var state: String {
    cluster.nodes.sorted { $0.key < $1.key }.map { id, node in
      "\(id) \(node.raft.role) term \(node.raft.hardState.term) log \(node.raft.terms.baseIndex)-\(node.raft.lastIndex) "
        + "commit \(node.raft.commitIndex) \(TraceText.text(node.raft.configuration)) "
        + "\(node.raft.progress.map { "[\($0.id) \($0.mode) \($0.matchIndex) \($0.nextIndex) \($0.isConnected)]" })"
    }.joined(separator: "\n")
  }
}
