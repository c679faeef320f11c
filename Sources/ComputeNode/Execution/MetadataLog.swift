import EventLoop
import Metadata
import MetadataClient
import SQLTypes

/// The metadata log as the execution of statements sees it, through the node's client.
@LoopActor
final class MetadataLog: MetadataAccess {
  private let client: MetadataClient
  private(set) var schemaIndex: UInt64 = 0

  init(_ client: MetadataClient) {
    self.client = client
    schemaIndex = client.image.index
    client.observe { [weak self] change in self?.changed(change) }
  }

  var image: Image { client.image }

  private func changed(_ change: MetadataClient.Change) {
    if change.record == nil || change.events.contains(where: \.concernsTablets) { schemaIndex = change.after.index }
  }

  func wait(for index: UInt64) async throws(SQLError) {
    do {
      try await client.wait(for: index)
    } catch {
      throw error.sqlError
    }
  }

  func append(_ request: AppendRequest) async throws(SQLError) -> (index: UInt64, events: [Event]) {
    do {
      let result = try await client.append(request)
      return (result.index, result.events)
    } catch {
      throw error.sqlError
    }
  }

  func decide(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, participants: [ShardID]
  ) async throws(MetadataError) -> (outcome: TransactionOutcome, index: UInt64)? {
    try await client.decide(id, outcome, participants: participants)
  }

  func appendTransactions(_ commands: [Command]) async throws(MetadataError) { _ = try await client.append(commands) }
}

extension Event {
  /// Whether a shard must know of it before it runs a statement that was planned afterwards.
  fileprivate var concernsTablets: Bool {
    switch self {
    case .sequenceCreated, .sequenceAltered, .sequenceDropped, .sequenceReserved, .sequenceValueSet, .viewCreated,
      .viewReplaced, .viewDropped, .columnDefaultChanged, .tableOptionsChanged, .databaseCreated, .schemaCreated,
      .schemaDropped:
      false
    case .migration(.routed): true
    default: family == .catalog || family == .placement
    }
  }
}

extension MetadataError {
  /// As a client of PostgreSQL sees it.
  var sqlError: SQLError {
    switch self {
    case .rejected(let rejection): rejection.sqlError
    case .unavailable(let reason), .compacted(let reason), .inFuture(let reason), .refused(let reason),
      .malformed(let reason):
      SQLError(
        .connectionFailure, "the metadata log cannot be reached", detail: reason,
        hint: "Nothing was changed. Repeat the statement once a majority of the meta nodes runs.")
    case .outcomeUnknown(let reason):
      SQLError(
        SQLState(rawValue: "08007"), "it is unknown whether the change was recorded", detail: reason,
        hint: "Look whether it is there before you repeat it.")
    case .overloaded: SQLError(.insufficientResources, "too many changes wait for the metadata log")
    case .outdated(let reason): SQLError(.adminShutdown, "the compute node is older than its cluster", detail: reason)
    case .timedOut: SQLError(.cannotConnectNow, description, hint: "Repeat the statement.")
    case .stopped: SQLError(.adminShutdown, "the compute node is shutting down")
    }
  }
}
