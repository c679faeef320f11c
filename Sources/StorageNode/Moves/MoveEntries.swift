import FoundationEssentials
import Metadata
import ProtocolStorage
import StorageEngine

/// What the shard's log says of a tablet that moves away (`FenceEntry` in shard_log.proto).
struct FenceEntry: Equatable, Sendable {
  enum Action: Equatable, Sendable {
    /// No writes from now on.
    case writes
    /// No reads either.
    case reads
    case lift
  }
  var migrationID: MigrationID
  /// Of the migration, in which it was made.
  var attempt: UInt32
  var action: Action
  /// The metadata at which the leader made it.
  var metadataIndex: UInt64
}

/// What the shard's log says of a tablet that comes from another shard (`ArrivalEntry` in shard_log.proto).
struct ArrivalEntry: Equatable, Sendable {
  enum Step: Equatable, Sendable {
    /// `tablet`: how it is made.
    case begin(
      TabletChange, sourceIndex: UInt64, logFrom: UInt64, checksum: [UInt8], metadataIndex: UInt64)
    case rows(number: UInt64, changes: [UInt8])
    case loaded
    case changes(ArrivedChanges)
    case ended(metadataIndex: UInt64)
    /// The tablet went away and its copy is kept: it follows the other shard's log from an index on.
    case follow(from: UInt64, metadataIndex: UInt64)
  }
  var migrationID: MigrationID
  var step: Step
}

/// How much of the source's log a tablet contains.
struct MovePosition: Equatable, Comparable, Sendable {
  /// All before this entry.
  var index: UInt64
  /// So many pieces of the entry; `.max`: all of it.
  var pieces: UInt64

  init(index: UInt64, pieces: UInt64) {
    self.index = index
    self.pieces = pieces
  }

  /// All up to an entry.
  init(whole index: UInt64) { self.init(index: index, pieces: .max) }

  static func < (left: Self, right: Self) -> Bool { (left.index, left.pieces) < (right.index, right.pieces) }
}

/// A stretch of the source's log, as far as it concerns the tablet.
struct ArrivedChanges: Equatable, Sendable {
  enum Kind: Equatable, Sendable {
    case nothing
    case rows([UInt8])
    case schema(TabletChange)
  }
  var after: MovePosition
  var upTo: MovePosition
  var kind: Kind
  /// After which entry the log is read for what comes next; 0: as before.
  var logFrom: UInt64 = 0
}

/// A fence as the shard's state keeps it.
struct TabletFence: Equatable, Sendable {
  var migrationID: MigrationID
  var attempt: UInt32
  /// The entry from which on there are no changes.
  var index: UInt64
  var refusesReads: Bool
  /// Older metadata know nothing of it.
  var metadataIndex: UInt64
}

/// A tablet on its way into the shard.
struct TabletArrival: Equatable, Sendable {
  var migrationID: MigrationID
  /// The snapshot that it began with: its rows, and the index of the source's log.
  var checksum: [UInt8]
  var sourceIndex: UInt64
  /// After which entry the source's log is read: transactions that were under way at the snapshot began after it.
  var logFrom: UInt64
  /// Messages of rows that are there.
  var loaded: UInt64 = 0
  var isLoaded = false
  var position: MovePosition
}

extension ShardState {
  /// Takes a fence entry in; answers whether it changed something.
  mutating func apply(_ fence: FenceEntry, to tablet: TabletID, at index: UInt64) -> Bool {
    let known = fences[tablet]
    let isSame = known?.migrationID == fence.migrationID && known?.attempt == fence.attempt
    switch fence.action {
    case .writes:
      // One that comes after its tablet has gone would stay for ever.
      guard !isSame, fence.metadataIndex >= metadataIndex else { return false }
      fences[tablet] = TabletFence(
        migrationID: fence.migrationID, attempt: fence.attempt, index: index, refusesReads: false,
        metadataIndex: fence.metadataIndex)
    case .reads:
      guard isSame else { return false }
      fences[tablet]!.refusesReads = true
    case .lift:
      guard isSame else { return false }
      // The tablet may have got a copy elsewhere: a leader that does not know it yet must not let in who does not either.
      metadataIndex = max(metadataIndex, fence.metadataIndex)
      fences[tablet] = nil
    }
    return true
  }

  /// Takes an arrival entry in; answers what the engine has to do. nil: it does not follow what is there.
  mutating func apply(_ entry: ArrivalEntry, of tablet: TabletID) -> ArrivalEffect? {
    if case .begin(let change, let sourceIndex, let logFrom, let checksum, let metadataIndex) = entry.step {
      guard metadataIndex >= self.metadataIndex else { return nil }
      self.metadataIndex = metadataIndex
      arrivals[tablet] = TabletArrival(
        migrationID: entry.migrationID, checksum: checksum, sourceIndex: sourceIndex, logFrom: logFrom,
        position: MovePosition(whole: sourceIndex))
      return .schema(change)
    }
    if case .follow(let from, let metadataIndex) = entry.step {
      // The tablet may have come back meanwhile: what it would follow is older than what it holds.
      guard arrivals[tablet]?.migrationID != entry.migrationID, metadataIndex >= self.metadataIndex else { return nil }
      self.metadataIndex = metadataIndex
      arrivals[tablet] = TabletArrival(
        migrationID: entry.migrationID, checksum: [], sourceIndex: from, logFrom: from, isLoaded: true,
        position: MovePosition(whole: from))
      return ArrivalEffect.none
    }
    guard var arrival = arrivals[tablet], arrival.migrationID == entry.migrationID else { return nil }
    defer { if arrivals[tablet] != nil { arrivals[tablet] = arrival } }
    switch entry.step {
    case .begin, .follow: return nil
    case .rows(let number, let changes):
      guard number == arrival.loaded, !arrival.isLoaded else { return nil }
      arrival.loaded += 1
      return .rows(changes)
    case .loaded:
      arrival.isLoaded = true
      return ArrivalEffect.none
    case .changes(let changes):
      guard arrival.isLoaded, changes.after == arrival.position, changes.upTo > changes.after else { return nil }
      arrival.position = changes.upTo
      arrival.logFrom = max(arrival.logFrom, changes.logFrom)
      switch changes.kind {
      case .nothing: return ArrivalEffect.none
      case .rows(let bytes): return .rows(bytes)
      case .schema(let change): return .schema(change)
      }
    case .ended(let metadataIndex):
      self.metadataIndex = max(self.metadataIndex, metadataIndex)
      arrivals[tablet] = nil
      return ArrivalEffect.none
    }
  }

  /// The tablet is no more.
  mutating func dropped(_ tablet: TabletID) {
    fences[tablet] = nil
    arrivals[tablet] = nil
  }
}

/// What an arrival entry means for the engine.
enum ArrivalEffect: Equatable {
  case none
  case rows([UInt8])
  case schema(TabletChange)
}

// As messages.

extension FenceEntry {
  init(_ message: Kunlog_Storage_V1_FenceEntry) throws {
    migrationID = MigrationID(rawValue: message.migrationID)
    attempt = message.attempt
    metadataIndex = message.metadataIndex
    switch message.action {
    case .writes: action = .writes
    case .reads: action = .reads
    case .lift: action = .lift
    case .UNRECOGNIZED: throw DamagedEntry(reason: "its fence is of a kind that this version does not know")
    }
  }

  func message(_ tablet: TabletID) -> Kunlog_Storage_V1_FenceEntry {
    .with {
      $0.tabletID = tablet.rawValue
      $0.migrationID = migrationID.rawValue
      $0.attempt = attempt
      $0.metadataIndex = metadataIndex
      $0.action =
        switch action {
        case .writes: .writes
        case .reads: .reads
        case .lift: .lift
        }
    }
  }
}

extension ArrivalEntry {
  init(_ message: Kunlog_Storage_V1_ArrivalEntry) throws {
    let tablet = TabletID(rawValue: message.tabletID)
    migrationID = MigrationID(rawValue: message.migrationID)
    switch message.step {
    case .begin(let begin):
      step = .begin(
        try TabletChangeCoding.create(tablet, begin.tablet), sourceIndex: begin.sourceIndex, logFrom: begin.logFrom,
        checksum: Array(begin.checksum), metadataIndex: begin.metadataIndex)
    case .rows(let rows): step = .rows(number: rows.number, changes: Array(rows.changes))
    case .loaded: step = .loaded
    case .changes(let changes): step = .changes(try ArrivedChanges(changes))
    case .ended(let ended): step = .ended(metadataIndex: ended.metadataIndex)
    case .follow(let follow): step = .follow(from: follow.from, metadataIndex: follow.metadataIndex)
    case nil: throw DamagedEntry(reason: "its arrival is of a kind that this version does not know")
    }
  }

  func message(_ tablet: TabletID) -> Kunlog_Storage_V1_ArrivalEntry {
    .with {
      $0.tabletID = tablet.rawValue
      $0.migrationID = migrationID.rawValue
      switch step {
      case .begin(let change, let sourceIndex, let logFrom, let checksum, let metadataIndex):
        $0.begin.tablet = TabletChangeCoding.message(change).create
        $0.begin.sourceIndex = sourceIndex
        $0.begin.logFrom = logFrom
        $0.begin.checksum = Data(checksum)
        $0.begin.metadataIndex = metadataIndex
      case .rows(let number, let changes):
        $0.rows.number = number
        $0.rows.changes = Data(changes)
      case .loaded: $0.loaded = true
      case .changes(let changes): $0.changes = changes.message
      case .ended(let metadataIndex): $0.ended.metadataIndex = metadataIndex
      case .follow(let from, let metadataIndex):
        $0.follow.from = from
        $0.follow.metadataIndex = metadataIndex
      }
    }
  }
}

extension MovePosition {
  init(_ message: Kunlog_Storage_V1_MovePosition) {
    self.init(index: message.index, pieces: message.pieces)
  }

  var message: Kunlog_Storage_V1_MovePosition {
    .with {
      $0.index = index
      $0.pieces = pieces
    }
  }
}

extension ArrivedChanges {
  init(_ message: Kunlog_Storage_V1_ArrivedChanges) throws {
    after = MovePosition(message.after)
    upTo = MovePosition(message.upTo)
    logFrom = message.logFrom
    switch message.kind {
    case .changes(let bytes): kind = .rows(Array(bytes))
    case .schema(let change): kind = .schema(try TabletChangeCoding.change(change))
    case nil: kind = .nothing
    }
  }

  var message: Kunlog_Storage_V1_ArrivedChanges {
    .with {
      $0.after = after.message
      $0.upTo = upTo.message
      $0.logFrom = logFrom
      switch kind {
      case .nothing: break
      case .rows(let bytes): $0.changes = Data(bytes)
      case .schema(let change): $0.schema = TabletChangeCoding.message(change)
      }
    }
  }
}

extension TabletFence {
  init(_ message: Kunlog_Storage_V1_TabletFence) {
    self.init(
      migrationID: MigrationID(rawValue: message.migrationID), attempt: message.attempt, index: message.index,
      refusesReads: message.reads, metadataIndex: message.metadataIndex)
  }

  func message(_ tablet: TabletID) -> Kunlog_Storage_V1_TabletFence {
    .with {
      $0.tabletID = tablet.rawValue
      $0.migrationID = migrationID.rawValue
      $0.attempt = attempt
      $0.index = index
      $0.reads = refusesReads
      $0.metadataIndex = metadataIndex
    }
  }
}

extension TabletArrival {
  init(_ message: Kunlog_Storage_V1_TabletArrival) {
    self.init(
      migrationID: MigrationID(rawValue: message.migrationID), checksum: Array(message.checksum),
      sourceIndex: message.sourceIndex, logFrom: message.logFrom, loaded: message.loaded, isLoaded: message.isLoaded,
      position: MovePosition(message.position))
  }

  func message(_ tablet: TabletID) -> Kunlog_Storage_V1_TabletArrival {
    .with {
      $0.tabletID = tablet.rawValue
      $0.migrationID = migrationID.rawValue
      $0.checksum = Data(checksum)
      $0.sourceIndex = sourceIndex
      $0.logFrom = logFrom
      $0.loaded = loaded
      $0.isLoaded = isLoaded
      $0.position = position.message
    }
  }
}
