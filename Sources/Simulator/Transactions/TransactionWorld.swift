import Coordination
import Metadata

/// Transactions over several shards beside the simulated metadata group: compute nodes that run them, shards that hold what they
/// write, and a manager. Their commits are driven by the real state machines of `Coordination`, and decided by the real log of the
/// simulated group; locks, tablets and connections are modelled.
final class TransactionWorld {
  // Ends of the network, above those of nodes and clients.
  static let computeEnds = [16, 17]
  static let shardEnds = [18, 19, 20]
  static let managerEnd = 21
  /// The first number of a client of the metadata group that is one of these.
  static let firstClient = computeEnds[0] - World.nodeSlots

  unowned let world: World
  let mutants: CoordinationMutants
  let shards: [SimulatedShard]
  var computes: [SimulatedCompute] = []
  let managers = (0..<2).map { SimulatedManager(number: $0, process: SimulatedProcess(end: managerEnd)) }
  /// Who has tablets moved.
  let mover = SimulatedProcess(end: managerEnd)
  /// The shard that each tablet is on, as the log says.
  var owners = (0..<Cells.tabletCount).map { Cells.home($0) }
  var moves = MoveHistory()
  var history = TransactionHistory()
  var chance: Chance
  /// How long a shard waits for a decision, in milliseconds.
  let patience: UInt64
  private var timers: [UInt32: () -> Void] = [:]
  private var lastTimer: UInt32 = 0
  private var lastCall: UInt32 = 0
  private var lastAttempt: UInt32 = 0
  /// Whether the metadata know the nodes and shards.
  var isFounded = false
  /// Transfers begin with one of the first so many accounts.
  let hotAccounts: Int
  /// Transactions that are yet to come in quick succession.
  var burst = 0
  /// Lists that transactions append to at the moment: from this one on.
  var firstList = Cells.firstList

  init(_ world: World) {
    self.world = world
    mutants = world.settings.coordinationMutants
    chance = Chance(seed: world.options.seed, purpose: 7)
    patience = [300, 600, 600, 1_000][chance.below(4)]
    hotAccounts = chance.below(2) == 0 ? 3 : Cells.accountCount
    shards = Self.shardEnds.enumerated().map { SimulatedShard(number: $0.offset, end: $0.element) }
    computes = Self.computeEnds.enumerated().map {
      SimulatedCompute(number: $0.offset, process: SimulatedProcess(end: $0.element))
    }
  }

  /// The metadata group is about to begin: so are these.
  func begin() {
    for shard in shards { elect(shard, after: 100_000) }
    for compute in computes { start(compute) }
    for manager in managers { start(manager) }
    if world.options.profile.hasMoves {
      // Shorter than that of a storage node, so that it is met often.
      moves.longestCut = [300_000, 1_000_000, 5_000_000][chance.below(3)]
      moveTablets()
    }
  }

  /// What is to be appended next for the metadata to know the nodes and shards: the first client's work.
  func foundingRequest() -> [Command]? {
    guard !isFounded, let image = world.leader?.state.image else { return nil }
    let storage = shards.map { shard in
      shard.replicas.indices.map { Self.nodeID(shard: shard.number, replica: $0) }
    }
    guard image.nodes[storage[0][0]] != nil else {
      var nodes = Self.computeEnds.indices.map { number in
        NodeDefinition(
          id: Self.nodeID(compute: number), role: .compute, name: "c\(number)", host: "h", port: 100 + number,
          postgresPort: 200 + number)
      }
      for id in storage.joined() {
        nodes.append(
          NodeDefinition(id: id, role: .storage, name: "s\(id)", host: "h", port: Int(id.rawValue)))
      }
      for manager in managers {
        nodes.append(
          NodeDefinition(
            id: manager.nodeID, role: .manager, name: "m\(manager.number)", host: "h", port: 300 + manager.number))
      }
      return nodes.map { .registerNode($0) }
    }
    guard !image.shards.isEmpty else { return storage.map { .createShard(ShardDraft(replicas: $0)) } }
    guard !image.tablets.isEmpty else {
      return (0..<Cells.tabletCount).map { tablet in
        .createTable(
          TableDraft(
            schemaID: WellKnown.publicSchema, name: "t\(tablet)", ownerID: WellKnown.firstRole,
            columns: [ColumnDraft(name: "cell", type: .int8)], shardID: shards[Cells.home(tablet)].id))
      }
    }
    isFounded = true
    return nil
  }

  /// A record of the metadata log was committed.
  func recorded(_ record: Record) {
    for event in record.events {
      switch event {
      case .transaction(let event): history.recorded(event, at: world.now)
      case .migration(let event): recorded(event)
      default: break
      }
    }
  }

  static func nodeID(compute number: Int) -> NodeID { NodeID(rawValue: UInt64(100 + number)) }

  // MARK: Time

  /// Does something in a process after so many microseconds, if it still lives then.
  func after(_ microseconds: UInt64, _ process: SimulatedProcess, _ body: @escaping () -> Void) {
    let life = process.life
    after(microseconds, end: process.end) {
      guard process.life == life else { return }
      process.run(body)
    }
  }

  /// Does something after so many microseconds, whoever lives.
  func after(_ microseconds: UInt64, end: Int, _ body: @escaping () -> Void) {
    lastTimer &+= 1
    timers[lastTimer] = body
    world.add(.transaction, at: end, after: max(1, microseconds), value: Int(lastTimer))
  }

  /// Something went wrong: clients may well come in a crowd.
  func disturb() {
    if chance.below(3) == 0 { burst = max(burst, 12) }
  }

  /// Forgets what waits: it holds on to all of this.
  func close() {
    timers = [:]
    for process in managers.map(\.process) + [mover] + computes.map(\.process) + shards.flatMap(\.replicas) {
      process.crash()
    }
    for shard in shards {
      for leader in shard.deposed + [shard.leader].compactMap({ $0 }) { leader.close() }
    }
    for compute in computes { compute.close() }
  }

  func timer(_ number: UInt32) { timers.removeValue(forKey: number)?() }

  // MARK: Messages

  /// Asks a replica of a shard; nil where no answer comes in time.
  func call(
    _ process: SimulatedProcess, _ shard: SimulatedShard, _ replica: Int, _ body: ShardCall.Body,
    timeout: UInt64, _ answered: @escaping (ShardAnswer?) -> Void
  ) {
    lastCall &+= 1
    let number = lastCall
    process.calls[number] = answered
    world.send(
      .shardCall(
        ShardCall(
          caller: UInt8(process.end), callerLife: process.life, number: number, shard: UInt8(shard.number),
          replica: UInt8(replica), replicaLife: shard.replicas[replica].life, body: body)),
      from: process.end, to: shard.end)
    after(timeout, process) { process.calls.removeValue(forKey: number)?(nil) }
  }

  func arrived(_ packet: Packet, at end: Int) {
    switch packet {
    case .shardCall(let call):
      let shard = shards[Int(call.shard)]
      let process = shard.replicas[Int(call.replica)]
      guard process.life == call.replicaLife, process.seen.insert(call.number).inserted else { return }
      process.run { self.serve(call, shard) }
    case .shardAnswer(let answer):
      guard let process = processes(at: end).first(where: { $0.calls[answer.number] != nil && $0.life == answer.life })
      else { return }
      process.run { process.calls.removeValue(forKey: answer.number)?(answer) }
    case .reply(let reply):
      guard let process = asker(reply.attempt, at: end) else { return }
      process.run { self.heard(reply, process) }
    default: break
    }
  }

  private func processes(at end: Int) -> [SimulatedProcess] {
    if end == Self.managerEnd { return managers.map(\.process) + [mover] }
    return shards.first { $0.end == end }?.replicas ?? computes.filter { $0.process.end == end }.map(\.process)
  }

  /// Who has asked the metadata group; several share an end.
  private func asker(_ attempt: UInt32, at end: Int) -> SimulatedProcess? {
    processes(at: end).first { $0.asks[attempt] != nil }
  }

  // MARK: The metadata group

  /// Looks at the metadata of one of its nodes, as a subscription would bring them.
  func follow(_ process: SimulatedProcess) {
    guard process.deafUntil <= world.now else { return }
    for _ in 0..<3 {
      let node = world.nodes[chance.below(World.nodeSlots)]
      guard node.isRunning, node.busyUntil <= world.now, world.isReachable(node.slot, process.end) else { continue }
      if node.state.image.index > process.image.index { process.image = node.state.image }
    }
  }

  /// Asks the metadata group until it answers, or the time is over.
  func ask(
    _ process: SimulatedProcess, _ commands: [Command], decides: GlobalTransactionID? = nil,
    managerEpoch: UInt64? = nil, patience: UInt64, _ done: @escaping (MetadataAnswer) -> Void
  ) {
    attempt(
      process,
      MetadataAsk(
        AppendRequest(principal: "t", managerEpoch: managerEpoch, commands: commands), decides: decides,
        deadline: world.now + patience, done: done)
    )
  }

  private func attempt(_ process: SimulatedProcess, _ ask: MetadataAsk) {
    guard world.now < ask.deadline else { return ask.done(.unknown) }
    lastAttempt &+= 1
    let attempt = lastAttempt
    process.asks[attempt] = ask
    world.send(
      .append(
        AppendCall(client: UInt8(process.end - World.nodeSlots), attempt: attempt, request: ask.request)),
      from: process.end, to: process.metadataTarget)
    after(800_000, process) {
      guard process.asks.removeValue(forKey: attempt) != nil else { return }
      self.lookElsewhere(process)
      self.attempt(process, ask)
    }
  }

  private func lookElsewhere(_ process: SimulatedProcess) {
    for _ in 0..<8 {
      process.metadataTarget = chance.below(World.nodeSlots)
      if world.nodes[process.metadataTarget].status != .absent { return }
    }
  }

  private func heard(_ reply: Reply, _ process: SimulatedProcess) {
    guard let ask = process.asks.removeValue(forKey: reply.attempt) else { return }
    switch reply.outcome {
    case .decision(let outcome, let index): ask.done(.decision(outcome, index: index))
    case .past: ask.done(.past)
    case .appended, .unchanged: ask.done(.appended)
    case .rejected, .conflict: ask.done(.rejected)
    case .notLeader(let hint):
      if let slot = world.slot(of: hint) { process.metadataTarget = slot } else { lookElsewhere(process) }
      after(hint == 0 ? 50_000 : 1_000, process) { self.attempt(process, ask) }
    case .unknown, .state: after(50_000, process) { self.attempt(process, ask) }
    }
  }

  /// What a node's answer to one of these comes to: where a decision was asked for, the one that stands.
  func outcome(_ outcome: Reply.Outcome, of attempt: UInt32, from client: UInt8, at node: Node) -> Reply.Outcome {
    switch outcome {
    case .appended, .unchanged: break
    default: return outcome
    }
    guard let id = asker(attempt, at: Int(client) + World.nodeSlots)?.asks[attempt]?.decides else { return outcome }
    guard let standing = node.state.image.transactions.open[id] else { return .unknown }
    return .decision(standing.outcome, standing.index)
  }
}
