/// What a leader knows of one other member.
///
/// Invariants: `matchIndex` < `nextIndex`; `matchIndex` is durable at the member; in `replicating`, entries below
/// `nextIndex` are on their way.
package struct Progress: Sendable, Equatable {
  /// How the member is served.
  package enum Mode: Sendable, Equatable {
    /// One message at a time, until it is known where the logs agree.
    case probing
    /// Messages follow each other without waiting.
    case replicating
    /// A snapshot is on its way.
    case snapshot
  }

  /// The member.
  package let id: NodeID
  /// The last entry that is known to be durable there.
  package var matchIndex: UInt64 = 0
  /// The next entry to send.
  package var nextIndex: UInt64
  /// How the member is served.
  package var mode = Mode.probing
  /// While probing: the probe is out.
  package var isProbeOut = false
  /// Entries for the member are being read from disk.
  package var isReading = false
  /// Whether messages can reach the member, as far as is known.
  package var isConnected = true
  /// When the member was last heard of, in milliseconds.
  package var lastContactMilliseconds: UInt64
  /// The latest round that the member has confirmed.
  package var confirmedRound: UInt64 = 0
  /// The commit index that was last sent.
  package var sentCommitIndex: UInt64 = 0
  /// Messages with entries that are not acknowledged.
  package var inflight = InflightWindow()

  init(id: NodeID, nextIndex: UInt64, nowMilliseconds: UInt64) {
    self.id = id
    self.nextIndex = nextIndex
    lastContactMilliseconds = nowMilliseconds
  }

  /// Goes back to finding out where the logs agree, beginning with the entry given.
  mutating func probe(from index: UInt64) {
    mode = .probing
    nextIndex = max(index, matchIndex + 1)
    isProbeOut = false
    isReading = false
    sentCommitIndex = 0
    inflight.removeAll()
  }

  /// Whether a message with entries may be sent now.
  func canSend(_ options: Options) -> Bool {
    guard isConnected, !isReading else { return false }
    switch mode {
    case .probing: return !isProbeOut
    case .replicating:
      return inflight.count < options.maximumInflightAppends && inflight.sizeBytes < options.maximumInflightBytes
    case .snapshot: return false
    }
  }
}

/// Messages with entries that are not acknowledged, oldest first.
package struct InflightWindow: Sendable, Equatable {
  private struct Item: Sendable, Equatable {
    var lastIndex: UInt64
    var sizeBytes: Int
  }
  private var items: [Item] = []
  /// The sum of the entries' sizes, in bytes.
  package private(set) var sizeBytes = 0

  /// How many messages are not acknowledged.
  package var count: Int { items.count }

  mutating func add(lastIndex: UInt64, sizeBytes: Int) {
    items.append(Item(lastIndex: lastIndex, sizeBytes: sizeBytes))
    self.sizeBytes += sizeBytes
  }

  mutating func acknowledge(through index: UInt64) {
    var done = 0
    while done < items.count, items[done].lastIndex <= index {
      sizeBytes -= items[done].sizeBytes
      done += 1
    }
    items.removeFirst(done)
  }

  mutating func removeAll() {
    items.removeAll(keepingCapacity: true)
    sizeBytes = 0
  }
}
