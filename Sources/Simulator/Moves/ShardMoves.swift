import Coordination
import HashTreeCollections
import Metadata

// What a shard's log says of tablets that leave it and come to it, as `StorageNode/Moves` has it.
extension SimulatedShard {
  /// From its entry on a tablet takes no writes, or no reads either.
  struct Fence {
    var id: MigrationID
    var attempt: UInt32
    var index: UInt64
    var refusesReads = false
    /// Older metadata know nothing of it.
    var metadataIndex: UInt64
  }

  enum FenceAction { case writes, reads, lift }

  /// A tablet on its way into the shard.
  struct Arrival {
    var id: MigrationID
    /// The snapshot that it began with; empty: it was here, and follows where it went.
    var token: [UInt8]
    /// Where reading the other shard's log has to begin.
    var from: UInt64
    /// What was there at first contains the other shard's log up to this entry.
    var start: UInt64
    /// Stretches of rows that are there.
    var loaded = 0
    var isLoaded = false
    /// All up to this entry of the other shard's log is there.
    var position: UInt64
  }

  enum ArrivalStep {
    case begin(token: [UInt8], index: UInt64, from: UInt64, metadataIndex: UInt64)
    case rows(number: Int, [(cell: Int, value: Cell)])
    case loaded
    case changes(after: UInt64, upTo: UInt64, [(cell: Int, value: Cell)], from: UInt64 = 0)
    /// The tablet went away, and its copy here follows the other shard's log.
    case follow(from: UInt64, metadataIndex: UInt64)
    case ended(metadataIndex: UInt64)
  }

  /// Rows that a replica has fixed: they are lost with its process.
  struct Snapshot {
    var life: UInt32
    var attempt: UInt32
    var index: UInt64
    var from: UInt64
    var token: [UInt8]
    var cells: [(cell: Int, value: Cell)]
  }

  /// A stretch of a snapshot.
  struct MovedRows {
    var cells: [(cell: Int, value: Cell)]
    var index: UInt64
    var from: UInt64
    var isLast: Bool
  }

  /// What one entry of the source's log did to the tablet.
  struct MovedChange {
    var index: UInt64
    var cells: [(cell: Int, value: Cell)]
  }

  /// What was read of a log.
  struct MovedChanges {
    var list: [MovedChange]
    /// All up to this entry is in the list.
    var upTo: UInt64
    /// What comes after it needs the log from here on.
    var from: UInt64
  }
}

/// A step of a move at a leader.
struct MoveJob: Hashable {
  var id: MigrationID
  var attempt: UInt32
  var step: MigrationDriver.Step
}

extension SimulatedShard.State {
  func rows(of tablet: Int) -> [(cell: Int, value: Cell)] {
    (tablets[tablet] ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Of the rows: 32 bytes.
  func checksum(of tablet: Int, salt: UInt64 = 0) -> [UInt8] {
    var hash = TraceHash()
    hash.mix(salt)
    for (cell, value) in rows(of: tablet) {
      hash.mix(UInt64(cell))
      switch value {
      case .balance(let balance): hash.mix(UInt64(bitPattern: balance))
      case .list(let list): for element in list { hash.mix(UInt64(element) | 1 << 40) }
      }
    }
    let sum = hash.value
    return (0..<32).map { UInt8(truncatingIfNeeded: sum >> UInt64($0 % 8 * 8)) }
  }

  mutating func apply(
    _ action: SimulatedShard.FenceAction, to tablet: Int, _ id: MigrationID, _ attempt: UInt32, metadataIndex: UInt64
  ) {
    let isSame = fences[tablet]?.id == id && fences[tablet]?.attempt == attempt
    switch action {
    case .writes where !isSame && metadataIndex >= self.metadataIndex:
      fences[tablet] = SimulatedShard.Fence(id: id, attempt: attempt, index: index, metadataIndex: metadataIndex)
    case .reads where isSame: fences[tablet]?.refusesReads = true
    case .lift where isSame:
      self.metadataIndex = max(self.metadataIndex, metadataIndex)
      fences[tablet] = nil
    default: break
    }
  }

  mutating func apply(_ step: SimulatedShard.ArrivalStep, to tablet: Int, _ id: MigrationID, _ mutants: ShellMutants) {
    if case .begin(let token, let start, let from, let metadataIndex) = step {
      guard metadataIndex >= self.metadataIndex else { return }
      self.metadataIndex = metadataIndex
      tablets[tablet] = [:]
      versions[tablet] = index
      arrivals[tablet] = SimulatedShard.Arrival(id: id, token: token, from: from, start: start, position: start)
      return
    }
    if case .follow(let from, let metadataIndex) = step {
      guard arrivals[tablet]?.id != id, metadataIndex >= self.metadataIndex || mutants.contains(.followsAgain) else {
        return
      }
      self.metadataIndex = max(self.metadataIndex, metadataIndex)
      arrivals[tablet] = SimulatedShard.Arrival(
        id: id, token: [], from: from, start: from, isLoaded: true, position: from)
      return
    }
    guard var arrival = arrivals[tablet], arrival.id == id else { return }
    var cells: [(cell: Int, value: Cell)] = []
    switch step {
    case .begin, .follow: return
    case .ended(let metadataIndex):
      self.metadataIndex = max(self.metadataIndex, metadataIndex)
      arrivals[tablet] = nil
      return
    case .rows(let number, let rows):
      guard number == arrival.loaded, !arrival.isLoaded else { return }
      arrival.loaded += 1
      cells = rows
    case .loaded: arrival.isLoaded = true
    case .changes(let after, let upTo, let changes, let from):
      let isNext = after == arrival.position && upTo > after
      guard arrival.isLoaded, isNext || mutants.contains(.appliesChangesTwice) else { return }
      arrival.position = max(arrival.position, upTo)
      arrival.from = max(arrival.from, from)
      cells = changes
    }
    arrivals[tablet] = arrival
    for (cell, value) in cells {
      tablets[tablet]?[cell] = value
      versions[tablet] = index
    }
  }

  mutating func apply(created: [Int], dropped: [Int], metadataIndex: UInt64) {
    self.metadataIndex = max(self.metadataIndex, metadataIndex)
    for tablet in created where tablets[tablet] == nil { tablets[tablet] = [:] }
    for tablet in dropped {
      tablets[tablet] = nil
      fences[tablet] = nil
      arrivals[tablet] = nil
    }
  }
}

extension SimulatedShard {
  /// An entry is in the log and applied: what must be kept of the states and of the log.
  func note(_ entry: Entry, needed: @autoclosure () -> UInt64) {
    log.append(entry)
    past.append(state)
    if past.count > 12 { past.removeFirst() }
    guard log.count > 400 else { return }
    let needed = needed()
    let count = min(log.count - 150, Int(needed > logStart ? needed - logStart : 0))
    guard count > 0 else { return }
    log.removeFirst(count)
    logStart += UInt64(count)
  }

  /// What the log did to a tablet after an entry; nil: it does not go back so far. Reading begins after `from`: transactions that
  /// were prepared by then are known from their entries.
  func changes(of tablet: Int, after: UInt64, from: UInt64, upTo: UInt64, limit: Int) -> MovedChanges? {
    guard from >= logStart else { return nil }
    var changes: [MovedChange] = []
    var prepared: [GlobalTransactionID: (index: UInt64, writes: [(cell: Int, value: Cell)])] = [:]
    func read(_ upTo: UInt64) -> MovedChanges {
      let underWay = prepared.values.map { $0.index - 1 }.min() ?? upTo
      return MovedChanges(list: changes, upTo: upTo, from: min(underWay, upTo))
    }
    var index = from
    for entry in log[Int(from - logStart)...] where index < upTo {
      index += 1
      var written: [(cell: Int, value: Cell)] = []
      switch entry {
      case .commit(_, let writes): written = writes
      case .prepare(let transaction): prepared[transaction.id] = (index, transaction.writes)
      case .finish(let id, let outcome, _):
        let writes = prepared.removeValue(forKey: id)?.writes ?? []
        if outcome == .commit { written = writes }
      case .schema, .fence, .arrival: break
      }
      guard index > after else { continue }
      let cells = written.filter { Cells.tablet($0.cell) == tablet }
      guard !cells.isEmpty else { continue }
      changes.append(MovedChange(index: index, cells: cells))
      if changes.count == limit { return read(index) }
    }
    return read(max(after, upTo))
  }
}
