import EventLoop
import Metadata
import SQLTypes
import StorageEngine

// Statements that meet a tablet which is about to move: they wait until it has moved, and are planned anew, or until it stays.
extension ExecuteCall {
  /// How long a statement waits for a fence to be lifted.
  private static let patienceNanoseconds: UInt64 = 15_000_000_000

  /// Returns when no fence is in the way of the request.
  func passFences() async throws(Stop) {
    guard isFenced else { return }
    service.moves.metFence()
    let deadline = Loop.now + Self.patienceNanoseconds
    while isFenced {
      guard Loop.now < deadline else {
        throw .failure(
          Failures.message(
            SQLError(
              .serializationFailure, "a table of the statement is moving to another shard and has not arrived in time",
              hint: "Retry the statement; see kunlog migration list.")))
      }
      await service.moves.wait()
      if context.isCancelled { throw .gone }
      guard service.machine.isLeader else { throw .notLeader }
      try checkRoutes()
    }
  }

  private var isFenced: Bool {
    request.fragments.contains { fragment in
      fragment.tablets.enumerated().contains { place, reference in
        service.moves.refuses(TabletID(rawValue: reference.tabletID), isWrite: fragment.isWrite && place == 0)
      }
    }
  }

  /// A failure that comes from a move: waits for its end, then throws `staleRoute`. Nothing may have been done.
  func replanWhereMoved(_ failure: EngineFailure) async throws(Stop) {
    switch failure.error.sqlState {
    case .tabletFenced:
      try await passFences()
      try checkRoutes()
    case .undefinedTable:
      // It was dropped after the request had been checked.
      try checkRoutes()
      return
    default: return
    }
    // It stays here: the statement begins anew.
    let tablet = request.fragments.first?.tablets.first?.tabletID ?? 0
    throw .staleRoute(TabletID(rawValue: tablet), requiredIndex: service.feed.image.index)
  }
}

extension EngineFailure {
  /// What is known within the storage node only, in the terms of clients.
  var forClients: EngineFailure {
    guard error.sqlState == .tabletFenced else { return self }
    var failure = self
    failure.error = SQLError(
      .serializationFailure, "a table moved to another shard while the statement ran", hint: "Repeat the transaction.")
    return failure
  }
}
