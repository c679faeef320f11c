import Coordination
import EventLoop
import FoundationEssentials
import Metadata
import Metrics
import ProtocolStorage
import RPC
import SQLTypes
import StorageWire

/// The shards as a compute node reaches them: finds each shard's leader among the replicas that the image names, follows
/// redirects, and waits for an election to end.
///
/// What is asked again: a request that no leader has begun (whoever is asked says so), and a request that ends a transaction
/// by committing at once, because the shard remembers what it has committed. What is not: a request within a transaction
/// whose leader is gone, for the transaction is gone with it.
@LoopActor
package final class StorageClient: ShardAccess {
  /// How long a shard may be without a leader before its requests fail.
  package static let electionPatienceMilliseconds = 15_000
  /// How long a commit that a leader works on is waited for: a large transaction takes its time. A leader that is gone is
  /// noticed by its connection.
  private static let commitPatienceMilliseconds = 600_000
  /// How long a shard may take to say who waits there.
  private static let waitsMilliseconds = 200
  /// How long a shard may take to list its transactions.
  private static let transactionsMilliseconds = 2000
  /// How often the shards hear that the sessions of open transactions live.
  private static let keepAliveMilliseconds = 500

  private let clusterID: ClusterID
  private let tls: TLSConfiguration?
  private let image: @LoopActor () -> Image
  private var channels: [NodeID: (host: String, port: Int, channel: RPCChannel)] = [:]
  /// The node that last answered as leader, or was named as it.
  private var leaders: [ShardID: NodeID] = [:]
  /// Transactions that are open at a shard, and the node where.
  private var openTransactions: [ShardID: [[UInt8]: NodeID]] = [:]
  private var keepAliveTimer: LoopTimer?
  /// Shards whose leader is looked for before there is anything to ask of it.
  private var meeting: Set<ShardID> = []
  let statistics = StorageCallStatistics()

  /// - Parameters:
  ///   - image: the newest image of the metadata that is known here.
  ///   - tls: the node's own certificate, where nodes use TLS between them.
  package init(clusterID: ClusterID, tls: TLSConfiguration?, image: @escaping @LoopActor () -> Image) {
    self.clusterID = clusterID
    self.tls = tls
    self.image = image
    keepAliveTimer = LoopTimer(
      afterMilliseconds: Self.keepAliveMilliseconds, repeatMilliseconds: Self.keepAliveMilliseconds
    ) { [weak self] in self?.sendKeepAlive() }
  }

  /// Ends all connections; what is under way fails.
  package func close() {
    keepAliveTimer?.cancel()
    for entry in channels.values { entry.channel.close() }
    channels = [:]
  }

  package func execute(_ request: ShardRequest) -> any ShardCall {
    let call = StorageCall(client: self, request: request, message: StorageMessages.execute(request, clusterID))
    call.start()
    return call
  }

  package func commit(_ transactionID: [UInt8], on shardID: ShardID) async throws(ShardFailure) {
    defer { forget(transactionID, on: shardID) }
    let request = Kunlog_Storage_V1_CommitRequest.with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shardID.rawValue
      $0.transactionID = Data(transactionID)
    }
    try await askLeader(of: shardID, StorageMethods.commit, request) { response in
      switch response.kind {
      case .committedIndex: .answer(.success(()))
      case .failure(let failure): .answer(.failure(.statement(StorageMessages.error(failure), nil)))
      case .unknownTransaction: .answer(.failure(.transactionLost))
      case .notLeader(let redirect): .elsewhere(redirect)
      case nil: nil
      }
    }
  }

  package func prepare(
    _ transactionID: [UInt8], as id: GlobalTransactionID, participants: [ShardID], on shardID: ShardID
  ) async throws(ShardFailure) -> Bool {
    defer { forget(transactionID, on: shardID) }
    let request = Kunlog_Storage_V1_PrepareRequest.with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shardID.rawValue
      $0.transactionID = Data(transactionID)
      $0.globalTransaction = id.storageWire
      $0.participants = participants.map(\.rawValue)
    }
    return try await askLeader(of: shardID, StorageMethods.prepare, request) { response in
      switch response.kind {
      case .preparedIndex: .answer(.success(true))
      case .nothingWritten: .answer(.success(false))
      case .failure(let failure): .answer(.failure(.statement(StorageMessages.error(failure), nil)))
      case .unknownTransaction: .answer(.failure(.transactionLost))
      case .notLeader(let redirect): .elsewhere(redirect)
      case nil: nil
      }
    }
  }

  package func finish(
    _ transactionID: [UInt8], as id: GlobalTransactionID, _ outcome: TransactionOutcome, decisionIndex: UInt64,
    on shardID: ShardID
  ) async throws(ShardFailure) {
    defer { forget(transactionID, on: shardID) }
    let request = Kunlog_Storage_V1_FinishRequest.with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shardID.rawValue
      $0.globalTransaction = id.storageWire
      $0.transactionID = Data(transactionID)
      $0.commit = outcome == .commit
      $0.decisionIndex = decisionIndex
    }
    try await askLeader(of: shardID, StorageMethods.finish, request) { response in
      switch response.kind {
      case .finished: .answer(.success(()))
      case .failure(let failure): .answer(.failure(.statement(StorageMessages.error(failure), nil)))
      case .notLeader(let redirect): .elsewhere(redirect)
      case nil: nil
      }
    }
  }

  package func hold(_ name: [UInt8], on shardID: ShardID) async throws(ShardFailure) -> UInt64 {
    let request = Kunlog_Storage_V1_HoldRequest.with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shardID.rawValue
      $0.name = Data(name)
    }
    return try await askLeader(of: shardID, StorageMethods.hold, request) { response in
      switch response.kind {
      case .decisionIndex(let index): .answer(.success(index))
      case .failure(let failure): .answer(.failure(.statement(StorageMessages.error(failure), nil)))
      case .notLeader(let redirect): .elsewhere(redirect)
      case nil: nil
      }
    }
  }

  /// What an answer to a request that only the leader takes comes to; nil: it cannot be read.
  private enum LeaderAnswer<Value> {
    case answer(Result<Value, ShardFailure>)
    case elsewhere(Kunlog_Storage_V1_NotLeader)
  }

  /// Asks the shard's leader, again where it changes: for requests that do no harm when they come twice.
  private func askLeader<Request, Response, Value>(
    of shardID: ShardID, _ method: RPCMethod<Request, Response>, _ request: Request,
    read: (Response) -> LeaderAnswer<Value>?
  ) async throws(ShardFailure) -> Value {
    let search = LeaderSearch(deadlineMilliseconds: Self.electionPatienceMilliseconds)
    var wasAsked = false
    while true {
      guard let node = leader(of: shardID, search), let channel = channel(to: node) else {
        throw wasAsked ? .interrupted(search.reason) : .unavailable(search.reason)
      }
      let response: Response
      let askedAt = Loop.now
      do throws(RPCError) {
        response = try await channel.unary(method, request, timeoutMilliseconds: Self.commitPatienceMilliseconds)
      } catch {
        search.extend(byNanoseconds: Loop.now - askedAt)
        wasAsked = wasAsked || error.code != .unavailable
        search.reason = "node \(node): \(error)"
        lost(node, shardID)
        guard await search.pause() else { throw .interrupted(search.reason) }
        continue
      }
      switch read(response) {
      case .answer(let result):
        isLeading(node, shardID)
        return try result.get()
      case .elsewhere(let redirect):
        do throws(ShardFailure) {
          try await follow(redirect, from: node, shardID, search)
        } catch {
          guard wasAsked, case .unavailable(let reason) = error else { throw error }
          throw .interrupted(reason)
        }
      case nil: throw .interrupted("node \(node) answered with nothing")
      }
    }
  }

  package func transactions(onlyBlocking: Bool) async -> [ShardID: ShardTransactions] {
    let timeout = onlyBlocking ? Self.waitsMilliseconds : Self.transactionsMilliseconds
    let shards = image().shards.values.filter { !$0.replicas.isEmpty }
    let asking = shards.map { shard in
      Task { @LoopActor in
        // The known leader, else the replicas in turn.
        let known = leaders[shard.id].map { [$0] } ?? []
        return await ShardTransactions.ask(
          shard.id, of: clusterID, replicas: known + shard.replicas.filter { !known.contains($0) },
          onlyBlocking: onlyBlocking, timeoutMilliseconds: timeout, channel: { channel(to: $0) })
      }
    }
    var all: [ShardID: ShardTransactions] = [:]
    for (shard, task) in zip(shards, asking) { all[shard.id] = await task.value }
    return all
  }

  package func rollback(_ transactionID: [UInt8], on shardID: ShardID) {
    let node = openTransactions[shardID]?[transactionID] ?? leaders[shardID]
    forget(transactionID, on: shardID)
    // Where the leader has changed there is nothing to undo; where it cannot be reached it hears nothing of the transaction
    // any more, and undoes it.
    guard let node, let channel = channel(to: node) else { return }
    let request = Kunlog_Storage_V1_RollbackRequest.with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shardID.rawValue
      $0.transactionID = Data(transactionID)
    }
    Task {
      for _ in 0..<3 {
        if (try? await channel.unary(StorageMethods.rollback, request, timeoutMilliseconds: 5000)) != nil { return }
        try? await loopSleep(milliseconds: 200)
      }
    }
  }

  // MARK: Leaders

  /// Finds the leaders of shards that tablets are on their way to, so that statements that waited for a move need not: to meet a shard
  /// for the first time takes several times as long as they do.
  func meetTargets() {
    for migration in image().migrations.open.values where !migration.isPaused { meet(migration.follower) }
  }

  private func meet(_ shardID: ShardID) {
    guard leaders[shardID] == nil, image().shards[shardID] != nil, meeting.insert(shardID).inserted else { return }
    let request = ShardTransactions.request(shardID, of: clusterID, onlyBlocking: true)
    Task {
      // Where it fails, those who have something to ask are told.
      try? await askLeader(of: shardID, StorageMethods.transactions, request) { response in
        response.hasNotLeader ? .elsewhere(response.notLeader) : .answer(.success(()))
      }
      meeting.remove(shardID)
    }
  }

  /// A node to ask next: the leader where it is known, else the replicas in turn.
  func leader(of shardID: ShardID, _ search: LeaderSearch) -> NodeID? {
    // One that came in a moment ago may be named as the leader before the metadata have arrived here.
    if let known = leaders[shardID], image().nodes[known] != nil || channels[known] != nil { return known }
    guard let shard = image().shards[shardID], !shard.replicas.isEmpty else {
      search.reason = "shard \(shardID) has no replicas"
      return nil
    }
    return search.next(shard.replicas)
  }

  /// The node has answered as the shard's leader.
  func isLeading(_ node: NodeID, _ shardID: ShardID) { leaders[shardID] = node }

  /// The node did not answer.
  func lost(_ node: NodeID, _ shardID: ShardID) {
    if leaders[shardID] == node { leaders[shardID] = nil }
  }

  /// The node does not lead: asks the one that it names, or waits a little. Throws where the patience is over.
  func follow(
    _ redirect: Kunlog_Storage_V1_NotLeader, from node: NodeID, _ shardID: ShardID, _ search: LeaderSearch
  ) async throws(ShardFailure) {
    let named = NodeID(rawValue: redirect.leaderNodeID)
    if redirect.leaderNodeID != 0, named != node, search.follows(named) {
      leaders[shardID] = named
      return
    }
    leaders[shardID] = nil
    search.reason = "the shard has no leader"
    guard await search.pause() else { throw .unavailable(search.reason) }
  }

  /// The connection to a node; nil where the metadata does not know it.
  func channel(to node: NodeID) -> RPCChannel? {
    guard let definition = image().nodes[node] else {
      leaders = leaders.filter { $0.value != node }
      return channels[node]?.channel
    }
    if let open = channels[node] {
      if open.host == definition.host, open.port == definition.port { return open.channel }
      open.channel.close()
    }
    let channel = RPCChannel(host: definition.host, port: definition.port, tls: tls)
    channels[node] = (definition.host, definition.port, channel)
    return channel
  }

  // MARK: Open transactions

  /// The transaction is open at the node from now on.
  func remember(_ transactionID: [UInt8], on shardID: ShardID, at node: NodeID) {
    guard !transactionID.isEmpty else { return }
    openTransactions[shardID, default: [:]][transactionID] = node
  }

  /// The transaction is over.
  func forget(_ transactionID: [UInt8], on shardID: ShardID) {
    openTransactions[shardID]?[transactionID] = nil
  }

  private func sendKeepAlive() {
    for (shardID, transactions) in openTransactions where !transactions.isEmpty {
      for (node, entries) in Dictionary(grouping: transactions, by: \.value) {
        guard let channel = channel(to: node) else { continue }
        let request = Kunlog_Storage_V1_KeepAliveRequest.with {
          $0.clusterID = Data(clusterID.rawValue)
          $0.shardID = shardID.rawValue
          $0.transactionIds = entries.map { Data($0.key) }
        }
        // What fails is tried again at the next turn of the timer.
        _ = channel.unary(StorageMethods.keepAlive, request, timeoutMilliseconds: Self.keepAliveMilliseconds) { _ in }
      }
    }
  }
}

/// How long the shards took to answer.
@LoopActor
final class StorageCallStatistics {
  private struct Shard {
    var latency = Histogram()
    var failures: UInt64 = 0
  }
  private var shards: [ShardID: Shard] = [:]

  nonisolated init() {}

  func ended(_ shard: ShardID, isGood: Bool, startedAt: UInt64) {
    let nanoseconds = Loop.now - min(startedAt, Loop.now)
    if isGood {
      shards[shard, default: Shard()].latency.record(nanoseconds)
    } else {
      shards[shard, default: Shard()].failures &+= 1
    }
  }

  func add(to set: inout MetricSet) {
    for (id, shard) in shards.sorted(by: { $0.key < $1.key }) {
      set.histogram(
        "kunlog_storage_call_seconds", "From a request to a shard until all of its answer was taken.", shard.latency,
        ("shard", "\(id)"))
      set.counter(
        "kunlog_storage_call_failures_total", "Requests to a shard that failed, errors of statements among them.",
        shard.failures, ("shard", "\(id)"))
    }
  }
}

/// The search for a shard's leader on behalf of one request: whom to ask next, and until when.
@LoopActor
final class LeaderSearch {
  private var deadline: UInt64
  private var place: Int?
  private var redirects = 0
  private var extensions = 0
  private var pauseMilliseconds = 10
  /// Why there is no leader yet, for the error.
  var reason = "no replica has answered"

  init(deadlineMilliseconds: Int) { deadline = Loop.now + UInt64(deadlineMilliseconds) * 1_000_000 }

  /// A node may have worked on the request for so long: that was no search. Nodes that cannot be reached cost time too, so
  /// this is believed a few times only.
  func extend(byNanoseconds time: UInt64) {
    guard extensions < 3, time > 1_000_000_000 else { return }
    extensions += 1
    deadline += time
  }

  /// The replicas in turn, from a random one on.
  func next(_ replicas: [NodeID]) -> NodeID {
    let chosen = place.map { ($0 + 1) % replicas.count } ?? Int.random(in: 0..<replicas.count)
    place = chosen
    return replicas[chosen]
  }

  /// Whether a redirect is followed at once: replicas that name each other in a circle are given time to agree.
  func follows(_ node: NodeID) -> Bool {
    redirects += 1
    return redirects % 4 != 0
  }

  /// Waits, each time a little longer; false where the time is up.
  func pause() async -> Bool {
    guard Loop.now < deadline, !Task.isCancelled else { return false }
    try? await loopSleep(milliseconds: pauseMilliseconds)
    pauseMilliseconds = min(pauseMilliseconds * 2, 250)
    return true
  }
}
