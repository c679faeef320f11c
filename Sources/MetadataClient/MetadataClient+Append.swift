import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// What an append has become.
package struct AppendResult: Sendable, Hashable {
  /// The record; where nothing had to change, the state that was found so.
  package var index: UInt64
  /// Empty where nothing had to change, or where `areEventsCompacted`.
  package var events: [Event]
  /// A retry found its first result, but so late that the events have been compacted.
  package var areEventsCompacted: Bool
  package init(index: UInt64, events: [Event], areEventsCompacted: Bool = false) {
    self.index = index
    self.events = events
    self.areEventsCompacted = areEventsCompacted
  }
}

/// Appends and linearizable reads.
extension MetadataClient {
  /// Appends commands as one record; returns once the local image contains it. Retries, under the same request id, until the
  /// time is over.
  package func append(
    _ commands: [Command], principal: String? = nil, cause: UInt64? = nil, preconditions: [Precondition] = [],
    timeoutMilliseconds: Int? = nil
  ) async throws(MetadataError) -> AppendResult {
    let request = AppendRequest(
      principal: principal ?? configuration.principal, cause: cause, preconditions: preconditions, commands: commands)
    return try await append(request, timeoutMilliseconds: timeoutMilliseconds)
  }

  /// The same; a request without an id is given one.
  package func append(
    _ request: AppendRequest, timeoutMilliseconds: Int? = nil
  ) async throws(MetadataError) -> AppendResult {
    let deadline = Deadline(milliseconds: timeoutMilliseconds ?? configuration.appendTimeoutMilliseconds)
    let result = try await appendUnfollowed(request, deadline)
    try await follow(to: result.index, timeoutMilliseconds: max(deadline.remainingMilliseconds, 5_000))
    return result
  }

  /// Asks the log for the decision on a transaction over several shards; answers the one that stands, and the record that holds
  /// it, at once: the local image may not contain it yet. nil: it is past, because all participants had finished.
  package func decide(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, participants: [ShardID], timeoutMilliseconds: Int? = nil
  ) async throws(MetadataError) -> (outcome: TransactionOutcome, index: UInt64)? {
    let request = AppendRequest(
      principal: configuration.principal, commands: [.transaction(.decide(id, outcome, participants: participants))])
    let deadline = Deadline(milliseconds: timeoutMilliseconds ?? configuration.appendTimeoutMilliseconds)
    do throws(MetadataError) {
      let result = try await appendUnfollowed(request, deadline)
      for case .transaction(.decided(id, let outcome, _)) in result.events { return (outcome, result.index) }
      throw MetadataError.malformed("the answer to a decision holds none")
    } catch {
      if case .rejected(let rejection) = error, rejection.sqlState.rawValue == "08007" { return nil }
      throw error
    }
  }

  /// Appends; the local image may not contain the record yet.
  private func appendUnfollowed(
    _ request: AppendRequest, _ deadline: Deadline
  ) async throws(MetadataError) -> AppendResult {
    try await appends.enter(featureLevel: image.featureLevel)
    defer { appends.leave() }
    var request = request
    if request.requestID == nil {
      lastSequence += 1
      request.requestID = RequestID(client: requestClient, sequence: lastSequence)
    }
    let wire = request.wire(clusterID: configuration.clusterID)
    var mayHaveHappened = false
    let response = try await askLeader(deadline) {
      (endpoint, milliseconds) async throws(RPCError) -> LeaderAnswer<Kunlog_Metadata_V1_AppendResponse> in
      do throws(RPCError) {
        let response = try await unary(MetadataMethods.append, wire, at: endpoint, milliseconds)
        if case .notLeader(let other) = response.kind { return .elsewhere(other.leaderAddress) }
        return .answer(response)
      } catch {
        // A node that has no room says so before it has done anything.
        if error.code != .resourceExhausted { mayHaveHappened = true }
        throw error
      }
    } onTimeout: { reason in
      mayHaveHappened ? .outcomeUnknown(reason) : .unavailable(reason)
    }
    switch response.kind {
    case .appended(let appended): return try result(appended)
    case .rejected(let rejected): throw .rejected(Rejection(wire: rejected))
    case .notLeader, nil: throw .malformed("an answer of an unknown kind")
    }
  }

  /// The index that everything committed until now has; waits until the local image contains it. What is read from the image
  /// afterwards is linearizable.
  @discardableResult
  package func catchUp(timeoutMilliseconds: Int = 5_000) async throws(MetadataError) -> UInt64 {
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    let request = Kunlog_Metadata_V1_ReadIndexRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
    }
    let response = try await askLeader(deadline) {
      (endpoint, milliseconds) async throws(RPCError) -> LeaderAnswer<Kunlog_Metadata_V1_ReadIndexResponse> in
      .answer(try await unary(MetadataMethods.readIndex, request, at: endpoint, milliseconds))
    } onTimeout: {
      .unavailable($0)
    }
    try await follow(to: response.index, timeoutMilliseconds: max(deadline.remainingMilliseconds, 1))
    return response.index
  }

  private func result(_ wire: Kunlog_Metadata_V1_Appended) throws(MetadataError) -> AppendResult {
    do throws(WireError) {
      var events: [Event] = []
      for event in wire.events { events.append(try Event(wire: event)) }
      return AppendResult(index: wire.index, events: events, areEventsCompacted: wire.eventsCompacted)
    } catch { throw error.isOutdated ? .outdated("a meta node sent \(error)") : .malformed(error.description) }
  }

  private enum LeaderAnswer<Response> {
    case answer(Response)
    /// Who leads, `host:port`; empty where that is not known.
    case elsewhere(String)
  }

  /// Asks the leader, following where it is said to be, until the time is over.
  private func askLeader<Response>(
    _ deadline: Deadline,
    _ ask: @LoopActor (MetadataEndpoint, Int) async throws(RPCError) -> LeaderAnswer<Response>,
    onTimeout: @LoopActor (String) -> MetadataError
  ) async throws(MetadataError) -> Response {
    var reason = "no meta node was asked"
    // A node that lacks the means says more than one that knows no leader.
    var shortage: String?
    var attempt = 0
    while deadline.remainingMilliseconds > 0 {
      let endpoint = channels.nextToAsk(attempt: attempt)
      attempt += 1
      do throws(RPCError) {
        switch try await ask(endpoint, min(deadline.remainingMilliseconds, 3_000)) {
        case .answer(let response):
          channels.leader = endpoint
          return response
        case .elsewhere(let address):
          let leader = MetadataEndpoint(address)
          reason = leader.map { "\(endpoint) says that \($0) leads" } ?? "\(endpoint) knows no leader"
          let isNews = leader != nil && leader != endpoint && leader != channels.leader
          channels.leader = leader == endpoint ? nil : leader
          if isNews { continue }
        }
      } catch {
        let failure = MetadataError(error)
        if case .refused = failure { throw failure }
        reason = "\(endpoint): \(error)"
        if error.code == .resourceExhausted { shortage = reason }
        // Another one may have been found meanwhile, by the watch or by another request.
        if let leader = channels.leader, leader != endpoint { continue }
        channels.leader = nil
      }
      try await pause(attempt, deadline)
    }
    throw onTimeout(shortage ?? reason)
  }

  /// One request, watched for a node that falls silent.
  private func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, at endpoint: MetadataEndpoint, _ milliseconds: Int
  ) async throws(RPCError) -> Response {
    var number: UInt64 = 0
    let result: Result<Response, RPCError> = await withUnsafeContinuation { continuation in
      let call = channels.channel(endpoint).unary(method, request, timeoutMilliseconds: milliseconds) {
        continuation.resume(returning: $0)
      }
      number = watch.begin(call, to: endpoint)
    }
    watch.end(number)
    return try result.get()
  }

  private func pause(_ attempt: Int, _ deadline: Deadline) async throws(MetadataError) {
    let milliseconds = min(10 << min(attempt, 3), max(deadline.remainingMilliseconds, 1))
    do { try await loopSleep(milliseconds: milliseconds) } catch { throw .stopped }
  }
}

/// A point in time on the loop's clock.
struct Deadline: Sendable {
  private let time: UInt64

  init(milliseconds: Int) { time = Loop.now + UInt64(max(0, milliseconds)) * 1_000_000 }

  var remainingMilliseconds: Int {
    let now = Loop.now
    return now < time ? Int((time - now) / 1_000_000) : 0
  }
}
