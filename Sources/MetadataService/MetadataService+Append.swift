import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC
import Replica
import SQLTypes

/// Appends: decided against the speculative image, proposed in the same turn, answered once they are committed.
extension MetadataService {
  typealias Response = Kunlog_Metadata_V1_AppendResponse

  /// A record's body beyond this is refused: it would hold up all others.
  static let maximumRecordBytes = 8 * 1024 * 1024

  func append(_ wire: Kunlog_Metadata_V1_AppendRequest, _ context: RPCContext) async throws -> Response {
    try check(wire.clusterID)
    var request: AppendRequest
    do throws(WireError) {
      request = try AppendRequest(wire: wire)
    } catch { throw RPCError(.invalidArgument, error.description) }
    if request.principal.isEmpty { request.principal = context.peerCommonName ?? "unknown" }
    guard request.principal.utf8.count <= 128 else {
      throw RPCError(.invalidArgument, "the principal's name is longer than 128 bytes")
    }
    guard let speculation = machine.speculation, replica.isLeader else { return notLeader }
    if let id = request.requestID {
      switch speculation.requests.lookup(id) {
      case .new: break
      case .answered(let index): return try await firstResult(index)
      case .forgotten:
        return .with {
          $0.rejected =
            Rejection(
              SQLState(rawValue: "08007"),
              "request \(id.sequence) of \(id.client) is so old that whether it was carried out is not known any more"
            ).wire
        }
      }
    }
    switch decide(request, speculation) {
    case .failure(let rejection):
      try await settle(speculation.index)
      return .with { $0.rejected = rejection.wire }
    case .success(let events) where events.isEmpty:
      try await settle(speculation.index)
      return .with { $0.appended = .with { $0.index = speculation.index } }
    case .success(let events):
      return try await record(events, request, after: speculation)
    }
  }

  private var notLeader: Response {
    let status = replica.status
    return .with {
      $0.notLeader = .with {
        $0.leaderNodeID = status.role == .leader ? 0 : status.leaderID ?? 0
        $0.leaderAddress = status.role == .leader ? "" : status.leaderAddress ?? ""
      }
    }
  }

  /// Proposes a record. From the decision to here nothing has waited: the speculative image is still what was decided against.
  private func record(
    _ events: [Event], _ request: AppendRequest, after speculation: Image
  ) async throws -> Response {
    let body: [UInt8]
    do throws(WireError) {
      body = try RecordBody(
        after: speculation, timeMicroseconds: Loop.wallClockMicroseconds(), principal: request.principal,
        requestID: request.requestID, cause: request.cause, events: events
      ).encoded()
    } catch { throw RPCError(.internalError, error.description) }
    guard body.count <= Self.maximumRecordBytes else {
      return .with {
        $0.rejected =
          Rejection(
            .programLimitExceeded,
            "the definition is too large: \(body.count) bytes, at most \(Self.maximumRecordBytes)"
          ).wire
      }
    }
    let term = machine.leadershipTerm
    let result: Result<MetadataMachine.Applied, ReplicaError> = await withUnsafeContinuation { continuation in
      replica.propose(
        body,
        onAppended: { [machine] index in
          machine.speculate(
            Record(
              index: index, term: term, previousIndex: speculation.index, timeMicroseconds: 0,
              principal: request.principal, requestID: request.requestID, cause: request.cause, events: events,
              previousHash: speculation.hash, hash: RecordHash.of(index: index, term: term, body: body)))
        },
        then: { continuation.resume(returning: $0) })
    }
    switch result {
    case .success(let applied):
      return .with {
        $0.appended = .with {
          $0.index = applied.index
          $0.events = events.map(\.wire)
        }
      }
    case .failure(.notLeader): return notLeader
    case .failure(let error): throw RPCError(error)
    }
  }

  /// Waits until what was decided against is committed, and this replica is known to lead still: only then is a refusal final.
  private func settle(_ index: UInt64) async throws(RPCError) {
    let term = machine.leadershipTerm
    while machine.image.index < index {
      guard machine.speculation != nil, machine.leadershipTerm == term else {
        throw RPCError(.unavailable, "leadership was lost before the decision was final")
      }
      _ = await machine.changes.wait(milliseconds: 1_000)
    }
    try await confirm()
  }

  /// The result of a request that was asked before.
  private func firstResult(_ index: UInt64) async throws -> Response {
    try await settle(index)
    if let record = machine.recent.record(at: index) { return response(record) }
    do {
      let entries = try await replica.entries(from: index, limitBytes: 1)
      if let entry = entries.first, entry.index == index {
        return response(try Record(body: entry.payload, index: entry.index, term: entry.term))
      }
    } catch ReplicaError.compacted {
      // The index is all that is known of it.
    } catch let error as ReplicaError {
      throw RPCError(error)
    }
    return .with {
      $0.appended = .with {
        $0.index = index
        $0.eventsCompacted = true
      }
    }
  }

  private func response(_ record: Record) -> Response {
    .with {
      $0.appended = .with {
        $0.index = record.index
        $0.events = record.events.map(\.wire)
      }
    }
  }
}
