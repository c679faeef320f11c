import EventLoop
import FoundationEssentials
import Logging
import Metadata
import ProtocolStorage
import RPC
import Replica
import SQLTypes
import StorageEngine
import StorageWire

/// The service `kunlog.storage.v1.Storage` of one replica.
@LoopActor
final class StorageService {
  /// How long a request without deadline may wait for the metadata.
  static let patienceMilliseconds = 30_000
  /// Requests at work at a time; more are refused.
  static let maximumRequests = 4096

  let configuration: StorageNodeConfiguration
  let feed: any MetadataFeed
  let machine: ShardStateMachine
  let replica: Replica<ShardStateMachine>
  let reconciler: SchemaReconciler
  let engine: any StorageEngine
  let transactions: OpenTransactions
  let prepared: PreparedTransactions
  let moves: MoveDesk
  private(set) var batcher: WriteBatcher!
  /// Writes on their own that are at work, by name: a retry waits for the first.
  var writesAtWork: Set<TransactionID> = []
  /// Transactions of one request: they hold their rows for a moment only.
  var briefTransactions: Set<TransactionID> = []
  var requestsAtWork = 0
  let statistics = ExecuteStatistics()
  private var readCounter: UInt64 = 0

  init(
    configuration: StorageNodeConfiguration, feed: any MetadataFeed, machine: ShardStateMachine,
    replica: Replica<ShardStateMachine>, reconciler: SchemaReconciler, logger: Logger
  ) {
    self.configuration = configuration
    self.feed = feed
    self.machine = machine
    self.replica = replica
    self.reconciler = reconciler
    engine = machine.engine
    moves = MoveDesk(
      configuration: configuration, feed: feed, machine: machine, replica: replica, reconciler: reconciler,
      logger: logger)
    transactions = OpenTransactions(engine: machine.engine)
    prepared = PreparedTransactions(machine: machine, feed: feed) { (payload) async throws(ReplicaError) in
      try await replica.propose(payload)
    }
    batcher = WriteBatcher(
      engine: machine.engine,
      commit: { [unowned self] (id, members, changes) async throws(ReplicaError) in
        try await log(id, ShardEntry.Body(members: members, changesets: changes))
      },
      confirm: { () async throws(ReplicaError) in try await replica.readIndex() })
  }

  func register(on server: RPCServer) {
    moves.register(on: server)
    server.handleStream(StorageMethods.execute) { [unowned self] request, writer, context in
      try check(request.clusterID, request.shardID)
      guard requestsAtWork < Self.maximumRequests else {
        throw RPCError(.resourceExhausted, "the shard has too much to do")
      }
      requestsAtWork += 1
      defer { requestsAtWork -= 1 }
      let call = ExecuteCall(service: self, request: request, writer: writer, context: context)
      await call.run()
      statistics.ended(
        isWrite: request.fragments.contains(where: \.isWrite), call.result, startedAt: context.startedAt)
      if call.result == .ok { statistics.used(request.fragments) }
    }
    server.handle(StorageMethods.commit) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return await commit(TransactionID(bytes: Array(request.transactionID)))
    }
    server.handle(StorageMethods.prepare) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return await prepare(request)
    }
    server.handle(StorageMethods.finish) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return await finish(request)
    }
    server.handle(StorageMethods.hold) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return await hold(Array(request.name))
    }
    server.handle(StorageMethods.transactions) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return await list(onlyBlocking: request.onlyBlocking)
    }
    server.handle(StorageMethods.rollback) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      if let entry = transactions[TransactionID(bytes: Array(request.transactionID))] {
        await transactions.rollback(entry)
      }
      return Kunlog_Storage_V1_RollbackResponse()
    }
    server.handle(StorageMethods.keepAlive) { [unowned self] request, context in
      try check(request.clusterID, request.shardID)
      for id in request.transactionIds {
        transactions[TransactionID(bytes: Array(id))]?.heard(on: context.connectionProbe)
      }
      return .with { $0.silenceMilliseconds = UInt32(OpenTransactions.silenceMilliseconds) }
    }
    server.handle(StorageMethods.status) { [unowned self] request, _ in
      request.onlySpace ? space() : await status(usage: request.usage)
    }
  }

  func leadershipChanged(_ isLeader: Bool) {
    if !isLeader { transactions.forgetAll() }
    prepared.leadershipChanged(isLeader)
    moves.leadershipChanged(isLeader)
  }

  func stop() async {
    transactions.stop()
    prepared.stop()
    moves.stop()
  }

  /// Who leads, for those who asked the wrong replica.
  var notLeader: Kunlog_Storage_V1_NotLeader {
    let status = replica.status
    return .with {
      // A leader that does not serve yet is no better address than any other.
      guard let leader = status.leaderID, leader != configuration.nodeID.rawValue else { return }
      $0.leaderNodeID = leader
      $0.leaderAddress = status.leaderAddress ?? ""
    }
  }

  private func check(_ clusterID: Data, _ shardID: UInt32) throws(RPCError) {
    guard Array(clusterID) == configuration.clusterID.rawValue else {
      throw RPCError(.failedPrecondition, "this node belongs to another cluster")
    }
    guard shardID == configuration.shardID.rawValue else {
      throw RPCError(
        .failedPrecondition, "this node holds a replica of shard \(configuration.shardID), not of shard \(shardID)")
    }
  }

  /// A name for a read that is a transaction of its own; compute nodes' names are longer.
  func readID() -> TransactionID {
    readCounter += 1
    return TransactionID(bytes: Array("read \(readCounter)".utf8))
  }

  // MARK: Committing

  /// Commits an open transaction, or tells what became of one that is not open.
  private func commit(_ id: TransactionID) async -> Kunlog_Storage_V1_CommitResponse {
    if let entry = transactions[id], entry.isBusy { await transactions.rested(entry) }
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    if let done = machine.state.recent[id] { return .with { $0.committedIndex = done.index } }
    guard let entry = transactions[id] else {
      return await unknown(id)
    }
    entry.isBusy = true
    return await commit(entry, affected: [])
  }

  /// Commits an open transaction that the caller has marked busy, and closes it.
  func commit(_ entry: OpenTransactions.Entry, affected: [UInt64]) async -> Kunlog_Storage_V1_CommitResponse {
    defer { transactions.close(entry) }
    do {
      let changes = try await engine.changes(of: entry.id)
      guard !changes.isEmpty else {
        await engine.rollback(entry.id)
        return .with { $0.committedIndex = 0 }
      }
      entry.isCommitting = true
      let member = ShardEntry.Member(id: entry.id, affected: affected)
      let index = try await log(entry.id, ShardEntry.Body(members: [member], changesets: changes))
      return .with { $0.committedIndex = index }
    } catch let error as SQLError {
      await engine.rollback(entry.id)
      return .with { $0.failure = Failures.message(error) }
    } catch {
      return replicaFailure(error)
    }
  }

  /// What a failed proposal means for the one who asked for the commit: not the leader, so ask again, there.
  func replicaFailure(_ error: any Error) -> Kunlog_Storage_V1_CommitResponse {
    switch error as? ReplicaError {
    case .notLeader, .lostLeadership, .stopped: return .with { $0.notLeader = notLeader }
    case .diskFull(let path):
      return .with {
        $0.failure = Failures.message(
          SQLError(.diskFull, "the disk of \(path) is full; the transaction was rolled back"))
      }
    case .overloaded:
      return .with {
        $0.failure = Failures.message(
          SQLError(.insufficientResources, "the shard has too much to do; the transaction was rolled back"))
      }
    default:
      return .with { $0.failure = Failures.message(SQLError(.internalError, "the shard cannot commit: \(error)")) }
    }
  }

  /// A transaction that is neither open nor among those that committed last. That holds only for who leads still.
  private func unknown(_ id: TransactionID) async -> Kunlog_Storage_V1_CommitResponse {
    do throws(ReplicaError) {
      try await replica.readIndex()
    } catch {
      return .with { $0.notLeader = notLeader }
    }
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    if let done = machine.state.recent[id] { return .with { $0.committedIndex = done.index } }
    return .with { $0.unknownTransaction = true }
  }

  // MARK: Status

  /// Without a look at the tablets: they may be many.
  private func space() -> Kunlog_Storage_V1_StatusResponse {
    .with {
      $0.role = "\(replica.status.role)"
      setSpace(&$0)
    }
  }

  private func setSpace(_ response: inout Kunlog_Storage_V1_StatusResponse) {
    guard let space = try? FileSystem.space(configuration.dataDirectory) else { return }
    response.diskFreeBytes = space.freeBytes
    response.diskTotalBytes = space.totalBytes
  }

  private func status(usage: Bool) async -> Kunlog_Storage_V1_StatusResponse {
    let statistics = await engine.statistics()
    let status = replica.status
    return .with {
      setSpace(&$0)
      $0.featureLevel = FeatureLevel.current
      $0.shardID = configuration.shardID.rawValue
      $0.nodeID = configuration.nodeID.rawValue
      $0.role = "\(status.role)"
      $0.term = status.term
      $0.leaderNodeID = status.leaderID ?? 0
      $0.commitIndex = status.commitIndex
      $0.appliedIndex = status.appliedIndex
      $0.lastIndex = status.lastIndex
      $0.metadataIndex = machine.isLeader ? reconciler.consumedIndex : machine.state.metadataIndex
      $0.tablets = UInt64(statistics.tablets)
      $0.sizeBytes = statistics.sizeBytes
      $0.openTransactions = UInt32(clamping: transactions.count)
      if usage {
        $0.usage = statistics.sizes.sorted { $0.key < $1.key }.map { tablet, size in
          let uses = self.statistics.uses[tablet] ?? (0, 0)
          return .with {
            $0.tabletID = tablet.rawValue
            $0.sizeBytes = size
            $0.reads = uses.reads
            $0.writes = uses.writes
          }
        }
      }
    }
  }
}
