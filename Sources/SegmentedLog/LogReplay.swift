import Raft

/// Replays a log's records in their order, across damage.
///
/// Entries that are known to follow each other form a stretch. After a hole it is not known what the log was: the hole may
/// have held entries that replaced others. An entry then continues what came before only if that has, before its index, an
/// entry of its own term: two logs with that entry agree on all before it (log matching, Raft paper, section 5.3).
struct LogReplay {
  /// Entries that follow each other.
  struct Stretch {
    /// The terms; the base is the entry before the first.
    var terms: TermIndex
    /// Whether the base's term is known.
    var isBaseKnown: Bool
    var positions = EntryPositions()
    var configurations: [(index: UInt64, configuration: Configuration)] = []

    init(base: LogPosition, isKnown: Bool) {
      terms = TermIndex(baseIndex: base.index, baseTerm: isKnown ? base.term : 0)
      isBaseKnown = isKnown
    }

    /// The term of an entry, or of the base where it is known.
    func term(at index: UInt64) -> UInt64? {
      index == terms.baseIndex && !isBaseKnown ? nil : terms.term(at: index)
    }

    /// Whether a log that begins after the position continues in this stretch.
    func continues(_ position: SnapshotMetadata) -> Bool {
      guard position.index >= terms.baseIndex, position.index <= terms.lastIndex else { return false }
      return term(at: position.index).map { $0 == position.term } ?? true
    }

    mutating func truncate(after index: UInt64) {
      guard index < terms.lastIndex else { return }
      terms.truncate(from: index + 1)
      positions.truncate(from: index + 1)
      configurations.removeAll { $0.index > index }
    }
  }

  /// Oldest first; the last one is where the log ends.
  private(set) var stretches: [Stretch] = []
  /// Bytes that are damaged since the log's end was last known for certain.
  private(set) var uncertainBytes = 0
  private(set) var hardState = HardState()
  /// Damage since term and vote were last seen may have held later ones.
  private(set) var isHardStateCertain = true
  private(set) var base: LogBase?
  private(set) var promised: LogPosition?

  /// Bytes that were durable are not there.
  mutating func hole(bytes: Int) {
    uncertainBytes += bytes
    isHardStateCertain = false
  }

  /// The next record. False when it cannot be: an entry without the members that it should hold.
  mutating func take(_ record: LogRecord, segment: UInt64, offset: Int, endOffset: Int) -> Bool {
    switch record {
    case .header(let header):
      (hardState, isHardStateCertain) = (header.hardState, true)
      base = header.base
      promised = header.promised
      _ = endsAt(header.last)
    case .hardState(let state): (hardState, isHardStateCertain) = (state, true)
    case .entry(let entry): return place(entry, segment: segment, offset: offset, endOffset: endOffset)
    case .compaction(let base): self.base = base
    case .reset(let base):
      self.base = base
      stretches = [Stretch(base: LogPosition(index: base.base.index, term: base.base.term), isKnown: true)]
      uncertainBytes = 0
      settlePromise()
    case .mark(let position): _ = endsAt(position)
    case .promise(let position, let keeping):
      _ = endsAt(keeping)
      promised = position
      settlePromise()
    }
    return true
  }

  /// The log was known to end there. False when entries before that are missing.
  mutating func endsAt(_ position: LogPosition) -> Bool {
    defer { uncertainBytes = 0 }
    if connect(position) { return true }
    cut(after: position.index)
    stretches.append(Stretch(base: position, isKnown: true))
    return false
  }

  /// Drops all after a position that is known to be in the log; false when none is known.
  private mutating func connect(_ position: LogPosition) -> Bool {
    guard let found = stretches.firstIndex(where: { $0.term(at: position.index) == position.term }) else {
      return false
    }
    stretches.removeSubrange((found + 1)...)
    stretches[found].truncate(after: position.index)
    return true
  }

  /// Entries after the index are not in the log any more.
  private mutating func cut(after index: UInt64) {
    while let last = stretches.last, last.terms.baseIndex > index { stretches.removeLast() }
    if !stretches.isEmpty { stretches[stretches.count - 1].truncate(after: index) }
  }

  private mutating func place(_ entry: Entry, segment: UInt64, offset: Int, endOffset: Int) -> Bool {
    defer { uncertainBytes = 0 }
    var members: Configuration?
    if entry.kind == .configuration {
      guard let decoded = Configuration(encoded: entry.payload) else { return false }
      members = decoded
    }
    if !followsPlainly(entry), !connect(LogPosition(index: entry.index - 1, term: entry.term)) {
      cut(after: entry.index - 1)
      stretches.append(Stretch(base: LogPosition(index: entry.index - 1, term: 0), isKnown: false))
    }
    let current = stretches.count - 1
    stretches[current].truncate(after: entry.index - 1)
    stretches[current].terms.append(index: entry.index, term: entry.term)
    stretches[current].positions.append(
      index: entry.index, segment: segment, offset: UInt32(offset), endOffset: endOffset)
    if let members { stretches[current].configurations.append((entry.index, members)) }
    settlePromise()
    return true
  }

  private func followsPlainly(_ entry: Entry) -> Bool {
    guard uncertainBytes == 0, let current = stretches.last, entry.index > current.terms.baseIndex,
      entry.index <= current.terms.lastIndex + 1
    else { return false }
    return entry.term >= current.term(at: entry.index - 1) ?? 0
  }

  private mutating func settlePromise() {
    guard let promised, let current = stretches.last, current.terms.lastPosition >= promised else { return }
    self.promised = nil
  }
}
