import EventLoop
import Metadata
import SQLTypes

/// Values of sequences that this compute node has reserved in the log and not yet handed out, shared by its sessions.
///
/// The first reservation of a sequence takes one value, so that a single session sees 1, 2, 3 …, and each next one
/// follows the demand up to `maximumRange`; what is reserved and not used when the process ends is a gap, as in
/// PostgreSQL. A sequence that is changed (ALTER SEQUENCE, setval) loses its reserved values at every node.
@LoopActor
final class SequenceCache {
  /// Values that one record of the log may reserve ahead of need.
  private static let maximumRange: Int64 = 1024

  private struct Range {
    var next: Int64
    var remaining: Int64
    var increment: Int64
    /// The size of the next reservation.
    var nextCount: Int64
    /// The sequence's definition without its counters: a change voids the range.
    var definition: SequenceDefinition
    /// When it was reserved, on `Loop.now`'s clock: quick demand makes the next range larger.
    var reservedAt: UInt64
  }

  private let metadata: any MetadataAccess
  private var ranges: [ObjectID: Range] = [:]
  /// Sequences with a reservation under way: others wait for it rather than to reserve a range each.
  private var waiting: [ObjectID: [UnsafeContinuation<Void, Never>]] = [:]

  init(metadata: any MetadataAccess) { self.metadata = metadata }

  /// The next value, from memory where there is one; nil where the log must be asked.
  func cached(_ id: ObjectID) -> Int64? {
    guard var range = ranges[id], range.remaining > 0, let sequence = metadata.image.sequences[id],
      range.definition == Self.essence(sequence)
    else { return nil }
    let value = range.next
    range.remaining -= 1
    if range.remaining > 0 { range.next += range.increment }
    ranges[id] = range
    return value
  }

  /// The next value. Throws 2200H at the sequence's end.
  ///
  /// - Parameter demand: how many values the statement is about to take: reserved together.
  func next(_ id: ObjectID, principal: String, demand: Int64 = 1) async throws(SQLError) -> Int64 {
    while true {
      if let value = cached(id) { return value }
      if waiting[id] != nil {
        await withUnsafeContinuation { waiting[id]?.append($0) }
        continue
      }
      waiting[id] = []
      defer {
        for continuation in waiting.removeValue(forKey: id) ?? [] { continuation.resume() }
      }
      try await reserve(id, principal: principal, demand: demand)
    }
  }

  private func reserve(_ id: ObjectID, principal: String, demand: Int64) async throws(SQLError) {
    guard let sequence = metadata.image.sequences[id] else {
      throw SQLError(.undefinedTable, "could not open relation with OID \(id)")
    }
    let count = max(demand, sequence.cache, nextCount(id))
    let answer = try await metadata.append(
      AppendRequest(principal: principal, commands: [.reserveSequence(id, count: count)]))
    for event in answer.events {
      guard case .sequenceReserved(id, let first, _, let reserved) = event,
        let current = metadata.image.sequences[id]
      else { continue }
      ranges[id] = Range(
        next: first, remaining: reserved, increment: current.increment, nextCount: min(count * 2, Self.maximumRange),
        definition: Self.essence(current), reservedAt: Loop.now)
    }
  }

  /// Twice the last range where that was used up within a second, else one: idle sequences leave no gaps.
  private func nextCount(_ id: ObjectID) -> Int64 {
    guard let range = ranges[id], range.remaining == 0, Loop.now < range.reservedAt + 1_000_000_000 else { return 1 }
    return range.nextCount
  }

  /// setval: `isCalled` as in PostgreSQL's third argument.
  func set(_ id: ObjectID, to value: Int64, isCalled: Bool, principal: String) async throws(SQLError) {
    _ = try await metadata.append(
      AppendRequest(principal: principal, commands: [.setSequenceValue(id, value: value, isCalled: isCalled)]))
    ranges[id] = nil
  }

  /// What makes reserved values void when it changes. `resumesAt` changes with setval and RESTART.
  private static func essence(_ sequence: SequenceDefinition) -> SequenceDefinition {
    var essence = sequence
    essence.lastReserved = nil
    return essence
  }
}
