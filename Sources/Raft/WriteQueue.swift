/// The writes that the shell was given and has not reported as durable, and what of the log is durable therefore.
///
/// Invariants: sequences rise; `durableIndex` never names an entry whose bytes have been replaced by a later write.
struct WriteQueue: Sendable {
  private struct Write: Sendable {
    var sequence: UInt64
    // The end of the log once the write is durable; lowered when a later write replaces entries.
    var lastIndex: UInt64
    var issuedMilliseconds: UInt64
  }
  private var writes: [Write] = []
  /// The number of the last write that was given out.
  private(set) var lastSequence: UInt64 = 0
  /// The last write that is durable.
  private(set) var writtenSequence: UInt64 = 0
  /// The last entry of the log that is durable here.
  private(set) var durableIndex: UInt64

  init(durableIndex: UInt64) { self.durableIndex = durableIndex }

  // When a write last became durable, and how long it took.
  private var writtenMilliseconds: UInt64 = 0
  private var tookMilliseconds: UInt64 = 0

  /// For how long nothing has become durable although a write is due.
  func stalledMilliseconds(at now: UInt64) -> UInt64 {
    guard let oldest = writes.first else { return 0 }
    return now - min(now, max(oldest.issuedMilliseconds, writtenMilliseconds))
  }

  /// How long the disk takes for a write.
  func latencyMilliseconds(at now: UInt64) -> UInt64 { max(tookMilliseconds, stalledMilliseconds(at: now)) }

  /// Numbers a write after which the log ends at `lastIndex`, and which replaced entries from `replacedFrom` on.
  mutating func issue(lastIndex: UInt64, replacedFrom: UInt64? = nil, at now: UInt64) -> UInt64 {
    if let replacedFrom {
      durableIndex = min(durableIndex, replacedFrom - 1)
      for position in writes.indices { writes[position].lastIndex = min(writes[position].lastIndex, replacedFrom - 1) }
    }
    lastSequence += 1
    writes.append(Write(sequence: lastSequence, lastIndex: lastIndex, issuedMilliseconds: now))
    return lastSequence
  }

  /// Takes note that writes are durable.
  mutating func written(through sequence: UInt64, at now: UInt64) {
    precondition(sequence <= lastSequence, "a write that was never given out cannot be durable")
    guard sequence > writtenSequence else { return }
    writtenSequence = sequence
    if let oldest = writes.first { tookMilliseconds = now - min(now, oldest.issuedMilliseconds) }
    writtenMilliseconds = now
    var done = 0
    while done < writes.count, writes[done].sequence <= sequence {
      durableIndex = max(durableIndex, writes[done].lastIndex)
      done += 1
    }
    writes.removeFirst(done)
  }
}
