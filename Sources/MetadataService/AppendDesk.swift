import AccessControl
import EventLoop
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import RPC
import Replica
import SQLTypes

/// Appends: decided against the speculative image, proposed in the same turn, answered once they are committed. In callback
/// form, since all of a cluster's changes pass here.
@LoopActor
final class AppendDesk {
  typealias Request = Kunlog_Metadata_V1_AppendRequest
  typealias Response = Kunlog_Metadata_V1_AppendResponse
  typealias Completion = @LoopActor (Result<Response, RPCError>) -> Void

  /// Who asks.
  struct Asker {
    let caller: AccessCaller
    let address: String
  }

  /// Decides who may append what; nil: everybody all.
  var gate: AccessGuard?
  private let clusterID: ClusterID
  private let replica: Replica<MetadataMachine>
  private var machine: MetadataMachine { replica.machine }
  /// Answers that record nothing, whose ground is still in flight; their indexes ascend.
  private var settling: [(Settlement, @LoopActor (RPCError?) -> Void)] = []

  init(clusterID: ClusterID, replica: Replica<MetadataMachine>) {
    self.clusterID = clusterID
    self.replica = replica
  }

  /// Decides a request; calls back with the answer, or with why there is none.
  /// - Parameter asker: nil for this node itself, and where nobody can be told from anybody else.
  func append(_ wire: Request, from asker: Asker?, then: @escaping Completion) {
    let request: AppendRequest
    do throws(RPCError) { request = try read(wire, from: asker) } catch { return then(.failure(error)) }
    // Decisions that stand are told even where the asker wants no events, unless they are what it asked for.
    let omission = EventOmission(request, isWanted: wire.omitEvents)
    switch machine.decide(request) {
    case .notLeader: then(refusal)
    case .propose(let proposal):
      replica.propose(
        proposal.body, onAppended: { [machine] index in machine.appended(proposal, at: index) },
        then: { [self] result in
          switch result {
          case .success(let applied): then(.success(Response(proposal.answer(index: applied.index), omission)))
          case .failure(.notLeader): then(.success(notLeader))
          case .failure(let error): then(.failure(RPCError(error)))
          }
        })
    case .settle(let answer, let settlement):
      confirm(settlement) { error in then(error.map(Result.failure) ?? .success(Response(answer, omission))) }
    case .firstResult(let index, let settlement):
      confirm(settlement) { [self] error in
        if let error { return then(.failure(error)) }
        LoopActor.start { then(await self.firstResult(index, request, omission)) }
      }
    }
  }

  private func read(_ wire: Request, from asker: Asker?) throws(RPCError) -> AppendRequest {
    guard wire.clusterID.isEmpty || clusterID.rawValue.elementsEqual(wire.clusterID) else {
      throw RPCError(.failedPrecondition, "this meta node belongs to another cluster")
    }
    var request: AppendRequest
    do throws(WireError) { request = try AppendRequest(wire: wire) } catch {
      throw RPCError(.invalidArgument, error.description)
    }
    if let asker {
      try gate?.admit(request.commands, of: asker.caller, peerAddress: asker.address)
      request.principal = asker.caller.identity.principal(claimed: request.principal)
    } else if request.principal.isEmpty {
      request.principal = "unknown"
    }
    guard request.principal.utf8.count <= 128 else {
      throw RPCError(.invalidArgument, "the principal's name is longer than 128 bytes")
    }
    return request
  }

  /// Who leads; where nobody does because the disks are full, that.
  private var refusal: Result<Response, RPCError> {
    let status = replica.status
    guard status.isDiskFull, status.leaderID == nil else { return .success(notLeader) }
    return .failure(RPCError(ReplicaError.diskFull(replica.configuration.dataDirectory)))
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

  /// Calls back once what was decided against is committed, and this replica is known to have led until after the decision.
  private func confirm(_ settlement: Settlement, then: @escaping @LoopActor (RPCError?) -> Void) {
    replica.readIndex { [self] error in
      if let error { return then(RPCError(error)) }
      settling.append((settlement, then))
      settle()
    }
  }

  /// Gives the answers whose ground is committed by now; to be called after each change of the image or of the leadership.
  func settle() {
    while let (settlement, then) = settling.first {
      switch machine.state.progress(of: settlement) {
      case .waiting: return
      case .reached:
        settling.removeFirst()
        then(nil)
      case .lost:
        settling.removeFirst()
        then(RPCError(.unavailable, "leadership was lost before the decision was final"))
      }
    }
  }

  /// The result of a request that was asked before.
  private func firstResult(
    _ index: UInt64, _ request: AppendRequest, _ omission: EventOmission
  ) async -> Result<Response, RPCError> {
    func response(_ answer: AppendAnswer) -> Result<Response, RPCError> {
      .success(Response(machine.state.completed(answer, request), omission))
    }
    var record = machine.state.recent.element(at: index)?.record
    do {
      if record == nil,
        let entry = try await replica.entries(from: index, limitBytes: 1, readsArchive: true).first,
        entry.index == index
      {
        record = try MetadataState.decode(index: index, term: entry.term, body: entry.payload)
      }
    } catch ReplicaError.compacted {
      // The index is all that is known of it.
    } catch let error as ReplicaError {
      return .failure(RPCError(error))
    } catch {
      return .failure(RPCError(.dataLoss, "\(error)"))
    }
    guard let record else { return response(AppendAnswer(compactedResultAt: index)) }
    guard request.mayHaveBecome(record) else {
      return .success(Response(.rejected(Self.otherContent(request.requestID, index)), omission))
    }
    return response(AppendAnswer(firstResult: record))
  }

  private static func otherContent(_ id: RequestID?, _ index: UInt64) -> Rejection {
    Rejection(
      SQLState(rawValue: "08P01"),
      "request \(id?.sequence ?? 0) of \(id?.client ?? "") was asked before with other content",
      detail: "It has become record \(index). What is asked for now was not carried out.",
      hint: "A request that is not a repetition needs a sequence number of its own.")
  }
}

/// Which answers go without their events.
struct EventOmission: Sendable {
  private let isWanted: Bool
  /// Set where the request decides transactions.
  private let decisions: AppendRequest?

  init(_ request: AppendRequest, isWanted: Bool) {
    self.isWanted = isWanted
    decisions = isWanted && request.decidesTransactions ? request : nil
  }

  func omits(_ events: [Event]) -> Bool { isWanted && (decisions?.agrees(with: events) ?? true) }
}

extension Kunlog_Metadata_V1_AppendResponse {
  /// An answer as the protocol has it.
  init(_ answer: AppendAnswer, _ omission: EventOmission) {
    self.init()
    switch answer {
    case .appended(let index, let events, let areEventsCompacted):
      appended = .with {
        $0.index = index
        if !omission.omits(events) { $0.events = events.map(\.wire) }
        $0.eventsCompacted = areEventsCompacted
      }
    case .rejected(let rejection): rejected = rejection.wire
    }
  }
}

extension AppendDesk.Asker {
  /// Who calls; nil where the server runs without TLS.
  @LoopActor
  init?(_ context: RPCContext) {
    guard let caller = context.identity as? AccessCaller else { return nil }
    self.init(caller: caller, address: context.peerAddress)
  }
}
