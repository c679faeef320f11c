import EventLoop
import Replica
import StorageEngine

// How a transaction gets into the shard's log: as one entry, or as many where it is large, so that no turn of the loop and no
// message is long and the leader's heartbeats go on.
extension StorageService {
  /// How long the log may refuse a part for having too much to do.
  private static let partPatienceMilliseconds = 30_000

  /// Logs the changes of a transaction that is open in the engine; answers once they are applied, or prepared, here.
  func log(_ id: TransactionID, _ body: ShardEntry.Body) async throws(ReplicaError) -> UInt64 {
    guard body.changesets.reduce(0, { $0 + $1.bytes.count }) <= TransactionParts.pieceBytes else {
      return try await logInParts(id, body)
    }
    let payload: [UInt8]
    let sequence: UInt64
    do {
      (payload, sequence) = try machine.hold(id, body)
    } catch {
      await engine.rollback(id)
      throw .failed("\(error)")
    }
    do throws(ReplicaError) {
      return try await replica.propose(payload)
    } catch {
      await failed(error, sequence, id)
      throw error
    }
  }

  /// The entry that commits an open transaction was not logged, or it is not known whether it was.
  private func failed(_ error: ReplicaError, _ sequence: UInt64, _ id: TransactionID) async {
    switch error {
    case .lostLeadership, .stopped, .failed:
      // It may be in the log: the engine's transactions are undone with the leadership.
      break
    default:
      machine.forget(sequence)
      await engine.rollback(id)
    }
  }

  // MARK: In parts

  private func logInParts(_ id: TransactionID, _ body: ShardEntry.Body) async throws(ReplicaError) -> UInt64 {
    let leadership = machine.leadership
    let number = machine.newPartsNumber()
    let last: (payload: [UInt8], sequence: UInt64)
    do {
      let pieces = try await machine.pieces(body)
      for (place, piece) in pieces.dropLast().enumerated() {
        _ = try await proposePart(machine.part(piece, number: place, of: number), in: leadership)
      }
      guard isLeading(leadership) else { throw ReplicaError.lostLeadership }
      last = try machine.holdLast(
        pieces[pieces.count - 1], number: pieces.count - 1, of: number, id, body)
    } catch {
      await engine.rollback(id)
      abandon(number, leadership)
      throw error as? ReplicaError ?? .failed("\(error)")
    }
    do throws(ReplicaError) {
      let index = try await proposePart(last.payload, in: leadership)
      if index > 0 { return index }
    } catch {
      await failed(error, last.sequence, id)
      abandon(number, leadership)
      throw error
    }
    // Another leader was in between: its replicas have dropped the parts, as this one has.
    await engine.rollback(id)
    throw .lostLeadership
  }

  /// Whether this node still leads, without interruption since that leadership.
  func isLeading(_ leadership: UInt64) -> Bool { machine.isLeader && machine.leadership == leadership }

  /// Logs a part; waits where the log has too much to do.
  private func proposePart(_ payload: [UInt8], in leadership: UInt64) async throws(ReplicaError) -> UInt64 {
    let deadline = Loop.now + UInt64(Self.partPatienceMilliseconds) * 1_000_000
    while true {
      guard isLeading(leadership) else { throw .lostLeadership }
      do throws(ReplicaError) {
        return try await replica.propose(payload)
      } catch {
        guard case .overloaded = error, Loop.now < deadline else { throw error }
        try? await loopSleep(milliseconds: 20)
      }
    }
  }

  /// Frees the parts on all replicas. With a lost leadership they are freed by the next leader's first entry.
  private func abandon(_ number: UInt64, _ leadership: UInt64) {
    Task {
      guard let payload = try? machine.abandon(number) else { return }
      _ = try? await proposePart(payload, in: leadership)
    }
  }
}
