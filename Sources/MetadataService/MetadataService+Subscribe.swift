import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// Subscriptions. Each has a cursor and the credit that gRPC's flow control gives it; what it has not taken stays in the log.
extension MetadataService {
  typealias Writer = RPCWriter<Kunlog_Metadata_V1_SealedSubscribeResponse>

  static let maximumSubscribers = 4096
  private static let bookmarkMilliseconds = 1_000
  /// A replica that has had no leader for so long sends its subscribers elsewhere: it may be cut off.
  private static let leaderlessMilliseconds = 3_000
  private static let batchRecords = 64
  private static let batchBytes = 256 * 1024

  private enum Batch {
    case records([(Record, Kunlog_Metadata_V1_SealedRecord)])
    case compacted(firstIndex: UInt64)
    /// The cursor is at the present.
    case none
  }

  func subscribe(
    _ request: Kunlog_Metadata_V1_SubscribeRequest, _ writer: Writer, _ context: RPCContext
  ) async throws {
    try check(request.clusterID)
    let filter = try SubscriptionFilter(request)
    guard subscribers < Self.maximumSubscribers else {
      throw RPCError(.resourceExhausted, "this meta node has \(subscribers) subscribers already")
    }
    subscribers += 1
    defer { subscribers -= 1 }
    // The end of the call ends the wait for changes.
    context.onCancel { [machine] in machine.changes.fire() }
    var cursor = request.afterIndex
    if request.wantImage {
      cursor = try await sendImage(to: writer)
    } else {
      try await awaitIndex(cursor)
    }
    let end = request.endAtPresent ? machine.image.index : nil
    var lastSent = Loop.now
    var leaderlessSince: UInt64?
    while !context.isCancelled {
      switch try await batch(after: cursor) {
      case .records(let records):
        for (record, sealed) in records {
          if let end, record.index > end { return }
          if filter.passes(record) {
            try await writer.send(.with { $0.record = sealed })
            lastSent = Loop.now
          }
          cursor = record.index
        }
      case .compacted(let first):
        guard request.allowImage else {
          throw RPCError(.outOfRange, "records before index \(first) have been compacted")
        }
        cursor = try await sendImage(to: writer)
        lastSent = Loop.now
      case .none:
        if let end, cursor >= end { return }
        _ = await machine.changes.wait(milliseconds: Self.bookmarkMilliseconds)
      }
      if Loop.now - lastSent >= UInt64(Self.bookmarkMilliseconds) * 1_000_000 {
        try checkLeader(since: &leaderlessSince)
        try await writer.send(.with { $0.bookmark = cursor })
        lastSent = Loop.now
      }
    }
  }

  private func sendImage(to writer: Writer) async throws -> UInt64 {
    let image = machine.image
    for part in try ImageEncoder.parts(of: image) {
      try await writer.send(.with { $0.image = .init(part) })
    }
    return image.index
  }

  /// The subscriber may have followed a replica that was ahead of this one: it catches up, or is of no use.
  private func awaitIndex(_ index: UInt64) async throws(RPCError) {
    let giveUp = Loop.now + 3_000_000_000
    while machine.image.index < index {
      guard Loop.now < giveUp else {
        throw RPCError(.unavailable, "this meta node is at index \(machine.image.index), behind \(index)")
      }
      _ = await machine.changes.wait(milliseconds: 500)
    }
  }

  private func batch(after cursor: UInt64) async throws -> Batch {
    guard cursor < machine.image.index else { return .none }
    if let recent = machine.recent.records(after: cursor, count: Self.batchRecords) {
      return .records(recent.map { ($0.record, $0.sealed) })
    }
    let entries: [CommittedEntry]
    do throws(ReplicaError) {
      entries = try await replica.entries(from: cursor + 1, limitBytes: Self.batchBytes)
    } catch {
      guard case .compacted(let first) = error else { throw RPCError(error) }
      return .compacted(firstIndex: first)
    }
    // Applied here, but not yet reported so by the replica.
    guard !entries.isEmpty else {
      try await loopSleep(milliseconds: 5)
      return .records([])
    }
    var records: [(Record, Kunlog_Metadata_V1_SealedRecord)] = []
    for entry in entries {
      do throws(WireError) {
        let record = try Record(body: entry.payload, index: entry.index, term: entry.term)
        records.append((record, Kunlog_Metadata_V1_SealedRecord(record, body: entry.payload)))
      } catch { throw RPCError(.dataLoss, "entry \(entry.index) of the log: \(error)") }
    }
    return .records(records)
  }

  private func checkLeader(since leaderlessSince: inout UInt64?) throws(RPCError) {
    let status = replica.status
    guard status.leaderID == nil else {
      leaderlessSince = nil
      return
    }
    let since = leaderlessSince ?? Loop.now
    leaderlessSince = since
    guard Loop.now - since < UInt64(Self.leaderlessMilliseconds) * 1_000_000 else {
      throw RPCError(.unavailable, "this meta node knows no leader")
    }
  }
}
