import Metadata
import MetadataLog
import Raft

/// One who appends and reads, one operation at a time, and does not give up: an append is tried again, under the same request
/// id, until it is known what became of it.
struct Client {
  /// What it is doing.
  enum Work {
    case idle
    case append(AppendRequest, expected: Expected?)
    case read(sequence: Int)
  }

  /// What an append expects of a sequence.
  struct Expected {
    var sequence: Int
    var version: UInt64
  }

  let number: Int
  let name: String
  var work = Work.idle
  /// The last request id that was given out.
  var requests: UInt64 = 0
  /// Counts what was sent, so that late answers are known as such.
  var attempt: UInt32 = 0
  /// Attempts at the present operation.
  var tries = 0
  /// The slot that it asks next.
  var target = 0
  /// What was known to everybody when the present operation was asked first.
  var floor: UInt64 = 0
  var begun: UInt64 = 0
  /// It asked a node that is broken for good: how long that took says nothing about the others.
  var askedBroken = false
  /// The version of a sequence as it was read last.
  var known: Expected?
  /// The mean pause between operations, in microseconds.
  var pause: UInt64
  /// Out of a hundred operations, how many are reads, and how many are appends with an expected version.
  var reads: Int
  var comparisons: Int
  /// Operations that are left of a burst.
  var burst = 0
  /// Its last settled value, by which its records are told apart.
  var last: UInt64 = 0
}

/// The clients' side of appends and reads.
extension World {
  static let sequences = 3

  func makeClients() {
    let count = options.clients ?? (options.profile.hasTransactions ? 2 : 2 + setupChance.below(4))
    let ends = options.profile.hasTransactions ? TransactionWorld.computeEnds[0] : Network.ends
    for number in 0..<max(1, min(count, ends - Self.nodeSlots)) {
      clients.append(
        Client(
          number: number, name: "client\(number)", target: setupChance.below(settings.memberCount),
          pause: UInt64(count) * setupChance.between(500_000, 2_000_000),
          reads: 20 + setupChance.below(40), comparisons: 10 + setupChance.below(30)))
      add(.clientTimer, at: number, after: 1_000_000 + setupChance.below(1_000_000))
    }
    versions.expect(clients: clients.count)
  }

  /// The client's pause is over (attempt 0), or an answer did not come.
  func clientTimer(_ number: Int, _ attempt: UInt32) {
    if case .idle = clients[number].work {
      guard attempt == 0 else { return }
      return beginOperation(number)
    }
    guard attempt == clients[number].attempt else { return }
    tryAgain(number, hint: 0)
  }

  private func beginOperation(_ number: Int) {
    clients[number].tries = 0
    clients[number].begun = now
    clients[number].askedBroken = false
    clients[number].floor = order.floor()
    clients[number].work = nextWork(number)
    attempt(number)
  }

  private func nextWork(_ number: Int) -> Client.Work {
    if let request = bootstrap(number) { return .append(request, expected: nil) }
    let kind = workChance.below(100)
    let client = clients[number]
    if kind < client.reads {
      // Any node answers reads; one that is cut off must not answer them with what is past.
      if workChance.below(3) == 0 { clients[number].target = workChance.below(settings.memberCount) }
      return .read(sequence: workChance.below(Self.sequences))
    }
    if kind < client.reads + client.comparisons {
      guard let known = client.known, let id = versions.id(of: known.sequence) else {
        return .read(sequence: workChance.below(Self.sequences))
      }
      clients[number].known = nil
      return .append(
        request(
          number, [.setSequenceValue(id, value: Int64(client.requests + 1), isCalled: true)],
          [Precondition(objectID: id, version: known.version)]), expected: known)
    }
    if hasVersions, number == 0, faults.isTurmoil, workChance.below(40) == 0 {
      return .append(request(number, [.raiseFeatureLevel(nil)], []), expected: nil)
    }
    let value = "\(client.name)/\(client.requests + 1)"
    if hasVersions, workChance.below(3) == 0 {
      return .append(request(number, [.recordNote(topic: "t", content: Array(value.utf8))], []), expected: nil)
    }
    return .append(
      request(number, [.setSetting(name: "k\(workChance.below(8))", value: value)], []), expected: nil)
  }

  /// The first client makes the cluster and what the others work with.
  private func bootstrap(_ number: Int) -> AppendRequest? {
    if log.records.isEmpty {
      guard number == 0 else { return request(number, [.setSetting(name: "early", value: "\(now)")], []) }
      return request(
        number,
        [
          .createCluster(
            ClusterDraft(
              id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "simulated", roleName: "root",
              roleVerifier: nil))
        ], [])
    }
    guard number == 0 else { return nil }
    guard let missing = versions.firstMissing else {
      return transactions?.foundingRequest().map { request(number, $0, []) }
    }
    return request(
      number,
      [
        .createSequence(
          SequenceDraft(schemaID: WellKnown.publicSchema, name: "s\(missing)", ownerID: WellKnown.firstRole))
      ],
      [])
  }

  private func request(
    _ number: Int, _ commands: [Command], _ preconditions: [Precondition]
  ) -> AppendRequest {
    clients[number].requests += 1
    return AppendRequest(
      principal: "c", requestID: RequestID(client: clients[number].name, sequence: clients[number].requests),
      preconditions: preconditions, commands: commands)
  }

  private func attempt(_ number: Int) {
    clients[number].attempt &+= 1
    if clients[number].attempt == 0 { clients[number].attempt = 1 }
    clients[number].tries += 1
    let client = clients[number]
    let packet: Packet
    switch client.work {
    case .idle: return
    case .append(let request, let expected):
      if client.tries == 1 { versions.asked(client: number, request.requestID?.sequence ?? 0, expected) }
      packet = .append(AppendCall(client: UInt8(number), attempt: client.attempt, request: request))
    case .read(let sequence):
      packet = .read(ReadCall(client: UInt8(number), attempt: client.attempt, sequence: UInt8(sequence)))
    }
    let isOutside = leader.map { $0.core.raft.configuration.member(nodes[client.target].id) == nil } ?? false
    if steward.broken.contains(client.target) || isOutside || nodes[client.target].status != .running {
      clients[number].askedBroken = true
    }
    hash.mix(UInt64(client.attempt) << 8 ^ UInt64(client.target))
    send(packet, from: Self.nodeSlots + number, to: client.target)
    let patience = settings.replica.raft.electionTimeoutMilliseconds * 1_000 + workChance.below(500_000)
    add(.clientTimer, at: number, after: patience, value: Int(client.attempt))
  }

  /// Asks another node, or the one that was named.
  private func tryAgain(_ number: Int, hint: MemberID) {
    if let slot = slot(of: hint) {
      clients[number].target = slot
    } else {
      clients[number].target = workChance.below(Self.nodeSlots)
      for _ in 0..<8 where nodes[clients[number].target].status == .absent {
        clients[number].target = workChance.below(Self.nodeSlots)
      }
    }
    attempt(number)
  }

  func clientReply(_ number: Int, _ reply: Reply) {
    guard reply.attempt == clients[number].attempt else { return }
    let client = clients[number]
    switch (client.work, reply.outcome) {
    case (.idle, _): return
    case (_, .notLeader(let hint)):
      // A node that knows no leader is asked again after a while, by the timer.
      if hint != 0, client.tries % 8 != 0 { tryAgain(number, hint: hint) }
      return
    case (_, .unknown): return
    case (.append(let request, let expected), .appended(let index)):
      result.appends += 1
      if !client.askedBroken { cost.acknowledged(latency: now - client.begun) }
      liveness.acknowledged(at: now)
      let id = request.requestID?.sequence ?? 0
      if let violation = order.appended(id: id, at: index, by: UInt64(number), floor: client.floor) {
        violated("9 linearizable", violation.description)
      }
      checkAnswered(client: number, sequence: id, index: index)
      // Its version is known now: the next comparison may build on it.
      if let expected { clients[number].known = Client.Expected(sequence: expected.sequence, version: index) }
    case (.append(let request, let expected), .conflict):
      checkConflict(client: number, sequence: request.requestID?.sequence ?? 0, expected)
    // A refusal is not recorded: an earlier attempt that arrives late is decided anew, and may succeed by then.
    case (.append, .rejected): break
    case (_, .unchanged(let index)): checkRead(number, index)
    case (.read(let sequence), .state(let index, let version)):
      result.reads += 1
      checkRead(number, index)
      clients[number].known = version == 0 ? nil : Client.Expected(sequence: sequence, version: version)
    default: return
    }
    finishOperation(number)
  }

  private func checkRead(_ number: Int, _ index: UInt64) {
    if let violation = order.read(upTo: index, by: UInt64(number), floor: clients[number].floor) {
      violated("9 linearizable", violation.description)
    }
  }

  private func finishOperation(_ number: Int) {
    if now - clients[number].begun > 100_000 {
      tell("client \(number) waited \((now - clients[number].begun) / 1_000) ms, \(clients[number].tries) tries")
    }
    clients[number].work = .idle
    // The timer of the present attempt must not begin the next operation early.
    clients[number].attempt &+= 1
    var pause = workChance.wait(mean: clients[number].pause)
    if clients[number].burst > 0 {
      clients[number].burst -= 1
      pause = workChance.below(20_000)
    } else if workChance.below(400) == 0 {
      clients[number].burst = 20 + workChance.below(60)
    }
    add(.clientTimer, at: number, after: pause)
  }
}
