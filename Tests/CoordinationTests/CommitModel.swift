import Coordination
import Metadata
import SQLTypes

/// A number after another, from a seed.
struct Draw {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next(_ bound: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 11) % bound
  }
  mutating func chance(_ percent: Int) -> Bool { next(100) < percent }
}

/// Coordinators, shards and the metadata log, with messages that come late, twice or never, and processes that die at every
/// step: transactions over several shards, from their names to the day when the log forgets them.
struct CommitModel {
  /// Mistakes that others have made, or that are near.
  enum Mutant: CaseIterable {
    /// A shard that has waited for too long aborts by itself, without the log.
    case abortsAlone
    /// The coordinator tells its shards to commit before the log has decided.
    case commitsBeforeDecision
    /// A decision that comes later than another is believed.
    case secondDecisionCounts
    /// What a shard had prepared is lost with its leader.
    case losesPrepared
    /// A decision is forgotten although a shard still holds the transaction.
    case resolvesEarly
    /// The coordinator takes the same names again after a restart.
    case reusesNames
  }

  private struct Shard {
    var isUp = true
    /// Volatile: begun here, by transaction.
    var open: Set<Int> = []
    /// Durable.
    var prepared: [GlobalTransactionID: (transaction: Int, participants: [ShardID])] = [:]
    var participant = CommitParticipant(patienceMilliseconds: 1000, decisionIndex: 0)
    /// Durable: what became of each transaction that was prepared here.
    var outcomes: [Int: TransactionOutcome] = [:]
  }

  private enum Message {
    case prepare(ShardID, GlobalTransactionID, Int, [ShardID])
    case answer(GlobalTransactionID, Int, CommitCoordinator.Input)
    case decide(GlobalTransactionID, TransactionOutcome, [ShardID], asker: Asker)
    case finish(ShardID, GlobalTransactionID, Int, TransactionOutcome, UInt64)
    case decision(ShardID, GlobalTransactionID, TransactionOutcome, UInt64)
    case past(ShardID, GlobalTransactionID)
  }
  private enum Asker {
    case coordinator(transaction: Int)
    case shard(ShardID)
  }

  private static let node = NodeID(rawValue: 9)
  private let mutant: Mutant?
  private var draw: Draw
  private var now: UInt64 = 0
  private var image: Image
  private var shards: [ShardID: Shard]
  private var messages: [Message] = []
  /// Of the present incarnation, by transaction.
  private var coordinators: [Int: CommitCoordinator] = [:]
  private var incarnation: UInt64 = 1
  private var sequence: UInt64 = 0
  private var lastTransaction = 0
  private var names: [Int: (id: GlobalTransactionID, shards: [ShardID])] = [:]
  /// What clients were told.
  private var answers: [Int: Bool] = [:]
  /// All shards that ever prepared a transaction.
  private var everPrepared: [Int: Set<ShardID>] = [:]
  /// Transactions of which something has changed since they were looked at.
  private var changed: Set<Int> = []
  private(set) var violations: [String] = []
  private(set) var committed = 0
  private(set) var aborted = 0
  private(set) var faults = 0

  init(seed: UInt64, mutant: Mutant? = nil) {
    self.mutant = mutant
    draw = Draw(seed: seed)
    image = Image()
    shards = [:]
    let cluster = ClusterDraft(
      id: ClusterID(rawValue: [UInt8](repeating: 1, count: 16)), name: "model", roleName: "abc", roleVerifier: nil)
    append([.createCluster(cluster)])
    append([
      .registerNode(
        NodeDefinition(id: Self.node, role: .compute, name: "c", host: "localhost", port: 9, postgresPort: 10))
    ])
    for number in 1...3 {
      let id = NodeID(rawValue: UInt64(number))
      append([
        .registerNode(NodeDefinition(id: id, role: .storage, name: "s\(number)", host: "localhost", port: number))
      ])
      append([.createShard(ShardDraft(replicas: [id]))])
      shards[ShardID(rawValue: UInt32(number))] = Shard()
    }
  }

  /// Turmoil, then calm in which all must end.
  mutating func run(steps: Int) {
    for _ in 0..<steps where violations.isEmpty { step(isCalm: false) }
    for id in shards.keys.sorted() where !shards[id]!.isUp { start(id) }
    for _ in 0..<2500 where violations.isEmpty { step(isCalm: true) }
    guard violations.isEmpty else { return }
    for id in shards.keys.sorted() where !shards[id]!.prepared.isEmpty {
      violations.append("shard \(id) still holds \(shards[id]!.prepared.keys.sorted())")
    }
    resolve(isComplete: true)
    if !image.transactions.open.isEmpty {
      violations.append("the log still holds \(image.transactions.open.count) decisions")
    }
    check()
  }

  private mutating func step(isCalm: Bool) {
    now += 5
    switch draw.next(100) {
    case ..<4 where !isCalm: begin()
    case ..<5 where !isCalm: if draw.chance(30) { crashCoordinator() }
    case ..<6 where !isCalm: toggle(ShardID(rawValue: UInt32(1 + draw.next(3))))
    case ..<20: tick()
    case ..<24: resolve(isComplete: isCalm)
    default: deliver(isCalm: isCalm)
    }
    check()
  }

  // MARK: What happens

  private mutating func begin() {
    lastTransaction += 1
    let transaction = lastTransaction
    var chosen = shards.keys.sorted()
    if draw.chance(60) { chosen.remove(at: draw.next(3)) }
    for id in chosen where shards[id]!.isUp { shards[id]!.open.insert(transaction) }
    sequence += 1
    let id = GlobalTransactionID(coordinator: Self.node, incarnation: incarnation, sequence: sequence)
    names[transaction] = (id, chosen)
    let (machine, effects) = CommitCoordinator.begin(id, shards: chosen)
    coordinators[transaction] = machine
    run(effects, transaction)
  }

  private mutating func crashCoordinator() {
    faults += 1
    coordinators = [:]
    if mutant == .reusesNames { sequence = 0 } else { incarnation += 1; sequence = 0 }
  }

  private mutating func toggle(_ id: ShardID) {
    faults += 1
    guard shards[id]!.isUp else { return start(id) }
    shards[id]!.isUp = false
    shards[id]!.open = []
    if mutant == .losesPrepared, draw.chance(30) { shards[id]!.prepared = [:] }
  }

  private mutating func start(_ id: ShardID) {
    shards[id]!.isUp = true
    shards[id]!.participant = CommitParticipant(patienceMilliseconds: 1000, decisionIndex: 0)
    for (name, entry) in shards[id]!.prepared.sorted(by: { $0.key < $1.key }) {
      participate(id, .prepared(name, participants: entry.participants, tablets: []))
    }
  }

  private mutating func tick() {
    for id in shards.keys.sorted() where shards[id]!.isUp {
      if draw.chance(50) { participate(id, .metadata(image.transactions)) }
      participate(id, .tick)
    }
  }

  private mutating func resolve(isComplete: Bool) {
    var reports: [ShardID: ShardTransactions] = [:]
    for (id, shard) in shards where shard.isUp && (isComplete || draw.chance(80)) {
      let held = mutant == .resolvesEarly && draw.chance(30) ? [] : shard.prepared.keys.sorted()
      reports[id] = ShardTransactions(
        transactions: held.map { ShardTransaction(name: TransactionName([1]), id: $0) }, metadataIndex: image.index)
    }
    for id in CommitResolver.resolvable(image.transactions.open, reports) { append([.transaction(.resolve(id))]) }
  }

  private mutating func deliver(isCalm: Bool) {
    guard !messages.isEmpty else { return }
    let place = draw.next(messages.count)
    let message = messages[place]
    if !isCalm, draw.chance(5) {
      faults += 1
      // Once more, later.
    } else {
      messages.remove(at: place)
    }
    if !isCalm, draw.chance(3) {
      faults += 1
      return lost(message)
    }
    receive(message)
  }

  /// Who waits for an answer asks again, or knows nothing.
  private mutating func lost(_ message: Message) {
    switch message {
    case .prepare(let shard, let id, let transaction, _):
      messages.append(.answer(id, transaction, .refused(shard, certainly: false)))
    case .decide: messages.append(message)
    case .finish, .answer, .decision, .past: break
    }
  }

  private mutating func receive(_ message: Message) {
    switch message {
    case .prepare(let shard, let id, let transaction, let participants):
      prepare(shard, id, transaction, participants)
    case .answer(let id, let transaction, let input):
      guard coordinators[transaction]?.id == id else { return }
      run(coordinators[transaction]!.step(input), transaction)
    case .decide(let id, let outcome, let participants, let asker): decide(id, outcome, participants, asker)
    case .finish(let shard, let id, let transaction, let outcome, let index):
      guard shards[shard]!.isUp else { return messages.append(message) }
      if outcome == .abort { shards[shard]!.open.remove(transaction) }
      participate(shard, .decided(id, outcome, index: index))
      if shards[shard]!.prepared[id] == nil { messages.append(.answer(id, transaction, .finished(shard))) }
    case .decision(let shard, let id, let outcome, let index):
      if shards[shard]!.isUp { participate(shard, .decided(id, outcome, index: index)) }
    case .past(let shard, let id): if shards[shard]!.isUp { participate(shard, .past(id)) }
    }
  }

  private mutating func prepare(
    _ shard: ShardID, _ id: GlobalTransactionID, _ transaction: Int, _ participants: [ShardID]
  ) {
    var input = CommitCoordinator.Input.refused(shard, certainly: true)
    if !shards[shard]!.isUp {
      input = .refused(shard, certainly: draw.chance(50))
    } else if let known = shards[shard]!.prepared[id] {
      if known.transaction == transaction { input = .prepared(shard) }
    } else if shards[shard]!.open.remove(transaction) != nil {
      shards[shard]!.prepared[id] = (transaction, participants)
      everPrepared[transaction, default: []].insert(shard)
      participate(shard, .prepared(id, participants: participants, tablets: []))
      input = .prepared(shard)
    }
    messages.append(.answer(id, transaction, input))
  }

  private mutating func decide(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ participants: [ShardID], _ asker: Asker
  ) {
    append([.transaction(.decide(id, outcome, participants: participants))])
    let standing = image.transactions.open[id]
    var answer = standing.map { ($0.outcome, $0.index) }
    if mutant == .secondDecisionCounts, answer != nil { answer!.0 = outcome }
    switch asker {
    case .coordinator(let transaction):
      guard let answer else { return }
      messages.append(.answer(id, transaction, .decided(answer.0, index: answer.1)))
    case .shard(let shard):
      if let answer {
        messages.append(.decision(shard, id, answer.0, answer.1))
      } else if image.transactions.isPast(id) {
        messages.append(.past(shard, id))
      } else {
        participate(shard, .unanswered(id))
      }
    }
  }

  private mutating func append(_ commands: [Command]) {
    guard case .success(let events) = decide(AppendRequest(principal: "model", commands: commands)), !events.isEmpty
    else { return }
    image.apply(
      Record(
        index: image.index + 1, term: 1, previousIndex: image.index, timeMicroseconds: 0, principal: "model",
        events: events, previousHash: image.hash, hash: .zero))
  }

  private func decide(_ request: AppendRequest) -> Result<[Event], Rejection> { Metadata.decide(request, image) }

  // MARK: Effects

  private mutating func run(_ effects: [CommitCoordinator.Effect], _ transaction: Int) {
    let (id, all) = names[transaction]!
    for effect in effects {
      switch effect {
      case .prepare(let shard): messages.append(.prepare(shard, id, transaction, all))
      case .decide(let outcome, let participants):
        if mutant == .commitsBeforeDecision, outcome == .commit {
          for shard in participants { messages.append(.finish(shard, id, transaction, .commit, image.index + 1)) }
        }
        messages.append(.decide(id, outcome, participants, asker: .coordinator(transaction: transaction)))
      case .answer(let answer):
        answers[transaction] = answer == .committed
        changed.insert(transaction)
      case .finish(let shard, let outcome, let index):
        messages.append(.finish(shard, id, transaction, outcome, index))
      case .resolve: append([.transaction(.resolve(id))])
      case .unused: break
      }
    }
  }

  private mutating func participate(_ shard: ShardID, _ input: CommitParticipant.Input) {
    for effect in shards[shard]!.participant.step(input, now: now) {
      switch effect {
      case .finish(let id, let outcome, _):
        // The shard's log may have no quorum at the moment.
        if draw.chance(10) { participate(shard, .notFinished(id)) } else { finish(shard, id, outcome) }
      case .askToAbort(let id, let participants):
        if mutant == .abortsAlone {
          finish(shard, id, .abort)
        } else {
          messages.append(.decide(id, .abort, participants, asker: .shard(shard)))
        }
      case .ready, .held, .reached: break
      }
    }
  }

  private mutating func finish(_ shard: ShardID, _ id: GlobalTransactionID, _ outcome: TransactionOutcome) {
    guard let entry = shards[shard]!.prepared.removeValue(forKey: id) else { return }
    shards[shard]!.outcomes[entry.transaction] = outcome
    changed.insert(entry.transaction)
    if outcome == .commit { committed += 1 } else { aborted += 1 }
    participate(shard, .finished(id, decisionIndex: 5))
  }

  // MARK: What must hold

  private mutating func check() {
    defer { changed = [] }
    for transaction in changed {
      let outcomes = shards.compactMapValues { $0.outcomes[transaction] }
      let kinds = Set(outcomes.values)
      if kinds.count > 1 { violations.append("transaction \(transaction) committed and aborted: \(outcomes)") }
      guard kinds.contains(.commit) else { continue }
      if answers[transaction] == false {
        violations.append("transaction \(transaction) committed although its client was told that it had not")
      }
      if everPrepared[transaction] != Set(names[transaction]!.shards) {
        violations.append("transaction \(transaction) committed although not all had prepared")
      }
    }
    for transaction in changed where answers[transaction] == true {
      for shard in names[transaction]!.shards {
        let isThere =
          shards[shard]!.outcomes[transaction] == .commit
          || shards[shard]!.prepared.values.contains { $0.transaction == transaction }
        if !isThere { violations.append("transaction \(transaction) was acknowledged and is lost at shard \(shard)") }
      }
    }
  }
}
