import EventLoop
import Metadata
import ProtocolStorage
import RPC
import SQLTypes
import StorageWire

/// One request to a shard and its answers.
@LoopActor
final class StorageCall: ShardCall {
  private enum State {
    case created
    case open(RPCReader<Kunlog_Storage_V1_ExecuteResponse>, NodeID)
    case ended
  }

  private let client: StorageClient
  private let request: ShardRequest
  private let message: Kunlog_Storage_V1_ExecuteRequest
  private let search = LeaderSearch(deadlineMilliseconds: StorageClient.electionPatienceMilliseconds)
  private var state = State.created
  /// Answers of the last message that were not taken yet.
  private var pending: [ShardAnswer] = []
  private var first = 0
  /// How the call ends once `pending` is taken.
  private var outcome: Result<Void, ShardFailure>?
  private var isCancelled = false
  /// Rows were given away: the request cannot be repeated unseen.
  private var hasAnswered = false
  private let startedAt = Loop.now
  private var isCounted = false

  init(client: StorageClient, request: ShardRequest, message: Kunlog_Storage_V1_ExecuteRequest) {
    self.client = client
    self.request = request
    self.message = message
  }

  func next() async throws(ShardFailure) -> ShardAnswer? {
    do throws(ShardFailure) {
      let answer = try await nextAnswer()
      if answer == nil { ended(isGood: true) }
      return answer
    } catch {
      ended(isGood: false)
      throw error
    }
  }

  /// Counts the call, once.
  private func ended(isGood: Bool) {
    guard !isCounted else { return }
    isCounted = true
    client.statistics.ended(request.shardID, isGood: isGood, startedAt: startedAt)
  }

  private func nextAnswer() async throws(ShardFailure) -> ShardAnswer? {
    while true {
      if isCancelled { throw .cancelled }
      if first < pending.count {
        defer { first += 1 }
        hasAnswered = true
        return pending[first]
      }
      pending.removeAll(keepingCapacity: true)
      first = 0
      if let outcome {
        try outcome.get()
        return nil
      }
      try await advance()
    }
  }

  func cancel() {
    guard !isCancelled else { return }
    isCancelled = true
    if case .open(let reader, _) = state { reader.cancel() }
    if outcome == nil { client.forget(request.transactionID, on: request.shardID) }
  }

  /// Sends the request, so that the requests of a statement are at work side by side, whichever answer is taken first. Where nobody
  /// is known to ask, `next` says so.
  func start() {
    if case .created = state { _ = send() }
  }

  private func send() -> Bool {
    guard let node = client.leader(of: request.shardID, search), let channel = client.channel(to: node) else {
      return false
    }
    state = .open(channel.serverStream(StorageMethods.execute, message), node)
    if !request.commits { client.remember(request.transactionID, on: request.shardID, at: node) }
    return true
  }

  /// Takes the next message, or sends the request (again).
  private func advance() async throws(ShardFailure) {
    switch state {
    case .created: guard send() else { throw .unavailable(search.reason) }
    case .open(let reader, let node):
      do throws(RPCError) {
        guard let response = try await reader.next() else {
          finish(.success(()))
          return
        }
        try await take(response, from: node)
      } catch {
        try await failed(error, node)
      }
    case .ended:
      throw .interrupted("the shard ended its answer early")
    }
  }

  private func take(_ response: Kunlog_Storage_V1_ExecuteResponse, from node: NodeID) async throws(RPCError) {
    if response.hasNotLeader {
      do throws(ShardFailure) {
        try await redirected(response.notLeader, node)
      } catch {
        finish(.failure(error))
      }
      return
    }
    client.isLeading(node, request.shardID)
    for rows in response.rows {
      pending.append(
        .rows(fragment: Int(rows.fragment), rowCount: Int(rows.rowCount), values: Array(rows.values)))
    }
    for done in response.done {
      pending.append(.done(fragment: Int(done.fragment), affected: Int(done.affected)))
    }
    if response.hasFailure {
      finish(.failure(StorageMessages.failure(response.failure)))
    } else if response.hasStaleRoute {
      finish(.failure(.staleRoute(requiredIndex: response.staleRoute.requiredMetadataIndex)))
    } else if response.hasCommitted {
      pending.append(.committed)
    }
  }

  private func finish(_ result: Result<Void, ShardFailure>) {
    state = .ended
    outcome = result
  }

  /// The node does not lead. A transaction that was open there is gone; all else is asked of the next.
  private func redirected(
    _ redirect: Kunlog_Storage_V1_NotLeader, _ node: NodeID
  ) async throws(ShardFailure) {
    client.lost(node, request.shardID)
    if request.isContinuation { throw .transactionLost }
    if hasAnswered { throw .interrupted("the shard changed its leader amid the answer") }
    try await client.follow(redirect, from: node, request.shardID, search)
    if isCancelled { throw .cancelled }
    state = .created
  }

  /// The connection broke, or the node refused the call.
  private func failed(_ error: RPCError, _ node: NodeID) async throws(ShardFailure) {
    if isCancelled { throw .cancelled }
    client.lost(node, request.shardID)
    search.reason = "node \(node): \(error)"
    switch error.code {
    case .unavailable, .cancelled, .deadlineExceeded, .aborted, .unknown, .unimplemented:
      guard !hasAnswered, isRepeatable else {
        if request.isContinuation { throw .transactionLost }
        throw .interrupted(search.reason)
      }
      guard await search.pause() else { throw .unavailable(search.reason) }
      if isCancelled { throw .cancelled }
      state = .created
    case .resourceExhausted:
      throw .unavailable(search.reason)
    default:
      throw .interrupted(search.reason)
    }
  }

  /// Whether asking again does no harm: a first request of a transaction (one that was begun without our knowledge is undone
  /// where nothing is heard of it), a read alone, or a request that commits, which the shard remembers.
  private var isRepeatable: Bool { !request.isContinuation }
}
