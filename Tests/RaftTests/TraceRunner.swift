@testable import Raft

/// Runs a trace: a text in which unindented lines are what happens, and the indented lines after each are the effects
/// that are expected of it. Lines that begin with `#` explain. The language, by example:
///
///     cluster 1 2 3              voters with empty logs          joiner 4     a node that knows no members
///     disks prompt               writes are durable at once      disks slow   only by `1 written` (the default)
///     unannounced                nodes made later do not tell at once what is committed
///     identities                 the disks of nodes made later have ids: 10 for node 1, 20 for node 2
///     1 blank                    (crashed) node 1 has a new disk, with the next id
///     time 600                   the clock shows 600 ms
///     1 tick                     the same for: campaign, written, crash, restart, status
///     1 propose a b              two commands
///     1 connected 2              also: disconnected 2, transfer 2
///     1 read 7                   a linearizable read with number 7
///     1 change add 4             also: promote 4, remove 3; several in one line
///     1 compact 5 keep 2         a snapshot at entry 5; the log keeps two entries before it
///     1 snapshot 2               node 1's snapshot reaches node 2
///     1 full                     the disk is full; `1 space`: it has space again
///     1 damage 3                 (crashed) entries from 3 on are damaged; `1 forget 3`: they are gone without a trace
///     deliver 1 2                the first waiting message from 1 to 2; `deliver 1 2 all`
///     drop 1 2                   all waiting messages from 1 to 2 are lost
///     settle                     everything is delivered until it is quiet; `settle without 3`
struct TraceRunner {
  private var cluster = TraceCluster()

  /// What a trace says, block by block, with the effects that really happened.
  static func run(_ text: String) throws -> (actual: String, isEqual: Bool) {
    var runner = TraceRunner()
    var output: [String] = []
    var isEqual = true
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
    while let line = lines.popFirst() {
      output.append(line)
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      var expected: [String] = []
      while let next = lines.first, next.hasPrefix("  ") {
        expected.append(String(next.dropFirst(2)))
        lines.removeFirst()
      }
      let actual: [String]
      do { actual = try runner.perform(line.split(separator: " ").map(String.init)) } catch {
        throw TraceError(description: "\(line): \(error)")
      }
      if actual != expected { isEqual = false }
      output += actual.map { "  " + $0 }
    }
    return (output.joined(separator: "\n"), isEqual)
  }

  private mutating func perform(_ words: [String]) throws -> [String] {
    switch words[0] {
    case "cluster":
      let voters = try words.dropFirst().map(number)
      for id in voters { cluster.add(id, voters: voters) }
    case "joiner": cluster.add(try number(words[1]), voters: [])
    case "disks": cluster.hasPromptDisks = words[1] == "prompt"
    case "identities": cluster.hasDiskIdentities = true
    case "time": cluster.now = try number(words[1])
    case "unannounced": cluster.options.announcesCommits = false
    case "window": cluster.options.maximumInflightAppends = Int(try number(words[1]))
    case "recent": cluster.options.recentBytes = Int(try number(words[1]))
    case "uncommitted": cluster.options.maximumUncommittedBytes = Int(try number(words[1]))
    case "deliver":
      return try cluster.deliver(
        from: number(words[1]), to: number(words[2]), count: words.count > 3 ? .max >> 40 : 1)
    case "drop":
      let (from, to) = (try number(words[1]), try number(words[2]))
      cluster.network.removeAll { $0.from == from && $0.to == to }
    case "settle": try cluster.settle(except: Set(words.dropFirst(2).map(number)))
    default: return try perform(words[1], Array(words.dropFirst(2)), on: number(words[0]))
    }
    return []
  }

  private mutating func perform(_ verb: String, _ rest: [String], on id: NodeID) throws -> [String] {
    switch verb {
    case "tick": return try cluster.step(id, .tick)
    case "campaign": return try cluster.step(id, .campaign)
    case "written": return try cluster.written(id)
    case "propose": return try cluster.step(id, .propose(rest.map { Array($0.utf8) }))
    case "connected": return try cluster.step(id, .connected(number(rest[0])))
    case "disconnected": return try cluster.step(id, .disconnected(number(rest[0])))
    case "transfer": return try cluster.step(id, .transferLeadership(to: number(rest[0])))
    case "read": return try cluster.step(id, .readIndex(id: number(rest[0])))
    case "change": return try cluster.step(id, .changeMembership(changes(rest)))
    case "compact":
      let index = try number(rest[0])
      guard let metadata = cluster.nodes[id]?.raft.snapshotMetadata(at: index) else {
        throw TraceError(description: "entry \(index) is not in the log")
      }
      return try cluster.step(
        id, .snapshotTaken(metadata, compactThrough: index - (rest.count > 2 ? number(rest[2]) : 0)))
    case "snapshot": return try sendSnapshot(from: id, to: number(rest[0]))
    case "full": return try cluster.step(id, .diskFull(true))
    case "space": return try cluster.step(id, .diskFull(false))
    case "crash": cluster.crash(id)
    case "restart": cluster.restart(id)
    case "damage": cluster.lose(id, from: try number(rest[0]), noticed: true)
    case "forget": cluster.lose(id, from: try number(rest[0]), noticed: false)
    case "blank": cluster.replaceDisk(id)
    case "status": return try status(id)
    default: throw TraceError(description: "nothing is called \(verb)")
    }
    return []
  }

  private mutating func sendSnapshot(from: NodeID, to: NodeID) throws -> [String] {
    guard let node = cluster.nodes[from] else { throw TraceError(description: "no node \(from)") }
    let term = node.raft.hardState.term
    let lines = try cluster.step(to, .snapshotReceived(node.snapshot, from: from, term: term))
    return try lines + cluster.step(from, .snapshotSent(to: to, term: term, index: node.snapshot.index))
  }

  private func status(_ id: NodeID) throws -> [String] {
    guard let node = cluster.nodes[id] else { throw TraceError(description: "no node \(id)") }
    return [
      "\(node.raft.role.rawValue) term \(node.raft.hardState.term) leader \(node.raft.leaderID.map { "\($0)" } ?? "none") "
        + "log \(node.raft.terms.baseIndex + 1)-\(node.raft.lastIndex) commit \(node.raft.commitIndex) applied \(node.appliedIndex) "
        + "\(TraceText.text(node.raft.configuration))"
        + (node.raft.promised.map { " promised \($0.index)/\($0.term)" } ?? "")
    ]
  }

  private func changes(_ words: [String]) throws -> [MembershipChange] {
    try stride(from: 0, to: words.count - 1, by: 2).map { position in
      let id = try number(words[position + 1])
      switch words[position] {
      case "add": return .addLearner(Member(id: id, address: "host:\(id)"))
      case "promote": return .promote(id)
      case "remove": return .remove(id)
      default: throw TraceError(description: "no change is called \(words[position])")
      }
    }
  }

  private func number(_ word: String) throws -> UInt64 {
    guard let value = UInt64(word) else { throw TraceError(description: "\(word) is not a number") }
    return value
  }
}
