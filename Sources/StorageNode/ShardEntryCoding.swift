import FoundationEssentials
import Metadata
import ProtocolStorage
import SQLTypes
import StorageEngine
import StorageWire
import SwiftProtobuf

/// An entry of the shard's log.
struct ShardEntry: Equatable {
  /// Who made it; by this its maker knows it again.
  struct Origin: Equatable {
    static let lengthBytes = 24
    var nodeID: UInt64
    /// A number for the node's present life.
    var life: UInt64
    var sequence: UInt64
  }
  enum Kind: Equatable {
    /// They commit; or, with a preparation, are prepared.
    case transactions([Member], [TabletChangeset], Preparation? = nil)
    /// The decision on a prepared transaction.
    case finish(GlobalTransactionID, TransactionOutcome, decisionIndex: UInt64)
    case schema(metadataIndex: UInt64, [TabletChange])
    /// A piece of `transactions` that are too large for one entry, as `body` encodes them.
    case part(transaction: UInt64, number: UInt32, piece: [UInt8], isLast: Bool)
    /// The parts of the transaction will not be completed.
    case abandoned(transaction: UInt64)
    /// A tablet that moves away.
    case fence(TabletID, FenceEntry)
    /// A tablet that comes from another shard.
    case arrival(TabletID, ArrivalEntry)
  }
  /// One of the transactions that commit with an entry.
  struct Member: Equatable {
    var id: TransactionID
    var affected: [UInt64]
  }
  /// The first phase of a transaction over several shards.
  struct Preparation: Equatable, Sendable {
    var id: GlobalTransactionID
    var participants: [ShardID]
    /// The leader's clock, microseconds since 1970.
    var timeMicroseconds: Int64
  }

  var origin: Origin
  var kind: Kind
}

/// Bytes that no version of this program has written as an entry or a state.
struct DamagedEntry: Error, CustomStringConvertible {
  var reason: String
  var description: String { "an entry of the shard's log cannot be read: \(reason)" }
}

extension ShardEntry {
  /// The bytes of the log's entry (proto/kunlog/storage/v1/shard_log.proto).
  func encoded() throws -> [UInt8] {
    var bytes: [UInt8] = []
    for number in [origin.nodeID, origin.life, origin.sequence] {
      withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    let message = Kunlog_Storage_V1_ShardEntry.with {
      switch kind {
      case .transactions(let members, let changesets, let preparation):
        $0.transaction = Self.message(members, changesets, preparation)
      case .finish(let id, let outcome, let decisionIndex):
        $0.finish.globalTransaction = id.storageWire
        $0.finish.commit = outcome == .commit
        $0.finish.decisionIndex = decisionIndex
      case .part(let transaction, let number, let piece, let isLast):
        $0.part.transaction = transaction
        $0.part.number = number
        $0.part.piece = Data(piece)
        $0.part.isLast = isLast
      case .abandoned(let transaction):
        $0.abandoned = transaction
      case .fence(let tablet, let fence): $0.fence = fence.message(tablet)
      case .arrival(let tablet, let arrival): $0.arrival = arrival.message(tablet)
      case .schema(let metadataIndex, let changes):
        $0.schema.metadataIndex = metadataIndex
        $0.schema.changes = changes.map(TabletChangeCoding.message)
      }
    }
    bytes += try message.serializedBytes() as [UInt8]
    return bytes
  }

  /// Who made the entry, without reading the rest.
  static func origin(of bytes: [UInt8]) throws -> Origin {
    guard bytes.count >= Origin.lengthBytes else { throw DamagedEntry(reason: "it is too short") }
    return bytes.withUnsafeBytes { bytes in
      func number(_ place: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self))
      }
      return Origin(nodeID: number(0), life: number(1), sequence: number(2))
    }
  }

  init(encoded bytes: [UInt8]) throws {
    origin = try Self.origin(of: bytes)
    let message = try Kunlog_Storage_V1_ShardEntry(serializedBytes: Array(bytes[Origin.lengthBytes...]))
    switch message.kind {
    case .transaction(let entry):
      let body = Self.body(of: entry)
      kind = .transactions(body.members, body.changesets, body.preparation)
    case .finish(let finish):
      kind = .finish(
        GlobalTransactionID(wire: finish.globalTransaction), finish.commit ? .commit : .abort,
        decisionIndex: finish.decisionIndex)
    case .part(let part):
      kind = .part(
        transaction: part.transaction, number: part.number, piece: Array(part.piece), isLast: part.isLast)
    case .abandoned(let transaction):
      kind = .abandoned(transaction: transaction)
    case .fence(let fence):
      kind = .fence(TabletID(rawValue: fence.tabletID), try FenceEntry(fence))
    case .arrival(let arrival):
      kind = .arrival(TabletID(rawValue: arrival.tabletID), try ArrivalEntry(arrival))
    case .schema(let entry):
      kind = .schema(metadataIndex: entry.metadataIndex, try entry.changes.map(TabletChangeCoding.change))
    case nil:
      throw DamagedEntry(reason: "it is of a kind that this version does not know")
    }
  }
}

// Transactions without their entry: what is cut into parts.
extension ShardEntry {
  /// What `transactions` holds.
  struct Body: Equatable, Sendable {
    var members: [Member]
    var changesets: [TabletChangeset]
    var preparation: Preparation?
  }

  /// The bytes of transactions.
  static func encoded(_ body: Body) throws -> [UInt8] {
    try message(body.members, body.changesets, body.preparation).serializedBytes()
  }

  /// Transactions from their pieces.
  static func body(_ pieces: [[UInt8]]) throws -> Body {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
    for piece in pieces { bytes.append(contentsOf: piece) }
    return body(of: try Kunlog_Storage_V1_TransactionEntry(serializedBytes: bytes))
  }

  private static func message(
    _ members: [Member], _ changesets: [TabletChangeset], _ preparation: Preparation?
  ) -> Kunlog_Storage_V1_TransactionEntry {
    .with {
      $0.transactions = members.map { member in
        .with {
          $0.transactionID = Data(member.id.bytes)
          $0.affected = member.affected
        }
      }
      $0.changesets = changesets.map(message)
      if let preparation { $0.preparation = message(preparation) }
    }
  }

  private static func body(of entry: Kunlog_Storage_V1_TransactionEntry) -> Body {
    Body(
      members: entry.transactions.map {
        Member(id: TransactionID(bytes: Array($0.transactionID)), affected: $0.affected)
      },
      changesets: entry.changesets.map(changeset),
      preparation: entry.hasPreparation ? preparation(entry.preparation) : nil)
  }

  fileprivate static func message(_ changeset: TabletChangeset) -> Kunlog_Storage_V1_LoggedChangeset {
    .with {
      $0.tabletID = changeset.tabletID.rawValue
      $0.changes = Data(changeset.bytes)
    }
  }

  fileprivate static func changeset(_ message: Kunlog_Storage_V1_LoggedChangeset) -> TabletChangeset {
    TabletChangeset(tabletID: TabletID(rawValue: message.tabletID), bytes: Array(message.changes))
  }

  fileprivate static func message(_ preparation: Preparation) -> Kunlog_Storage_V1_Preparation {
    .with {
      $0.globalTransaction = preparation.id.storageWire
      $0.participants = preparation.participants.map(\.rawValue)
      $0.timeMicroseconds = preparation.timeMicroseconds
    }
  }

  fileprivate static func preparation(_ message: Kunlog_Storage_V1_Preparation) -> Preparation {
    Preparation(
      id: GlobalTransactionID(wire: message.globalTransaction),
      participants: message.participants.map { ShardID(rawValue: $0) }, timeMicroseconds: message.timeMicroseconds)
  }
}

/// The state of a shard beside its tablets.
struct ShardState: Equatable, Sendable {
  /// The metadata index of the last schema entry.
  var metadataIndex: UInt64 = 0
  var recent = RecentTransactions()
  var parts = TransactionParts()
  /// Transactions whose decision has not come yet.
  var prepared: [GlobalTransactionID: PreparedTransaction] = [:]
  /// The latest record of the metadata log whose decision to commit was carried out here.
  var decisionIndex: UInt64 = 0
  /// Tablets that move away and are not written, or not read either, any more.
  var fences: [TabletID: TabletFence] = [:]
  /// Tablets that come from other shards.
  var arrivals: [TabletID: TabletArrival] = [:]
}

/// A transaction that is durable here, and undecided.
struct PreparedTransaction: Equatable, Sendable {
  var transaction: TransactionID
  var preparation: ShardEntry.Preparation
  var changesets: [TabletChangeset]
  /// The entry that prepared it.
  var index: UInt64
}

extension ShardState {
  func encoded() throws -> [UInt8] {
    try Kunlog_Storage_V1_ShardState.with {
      $0.metadataIndex = metadataIndex
      $0.decisionIndex = decisionIndex
      $0.recent = recent.all.map { transaction in
        .with {
          $0.transactionID = Data(transaction.id.bytes)
          $0.index = transaction.index
          $0.affected = transaction.affected
        }
      }
      $0.pending = parts.all.map { key, parts in
        .with {
          $0.nodeID = key.nodeID
          $0.life = key.life
          $0.transaction = key.transaction
          $0.term = parts.term
          $0.pieces = parts.pieces.map { Data($0) }
        }
      }
      $0.prepared = prepared.values.sorted { $0.index < $1.index }.map { prepared in
        .with {
          $0.transactionID = Data(prepared.transaction.bytes)
          $0.preparation = ShardEntry.message(prepared.preparation)
          $0.changesets = prepared.changesets.map(ShardEntry.message)
          $0.index = prepared.index
        }
      }
      $0.fences = fences.sorted { $0.key < $1.key }.map { $0.value.message($0.key) }
      $0.arrivals = arrivals.sorted { $0.key < $1.key }.map { $0.value.message($0.key) }
    }.serializedBytes()
  }

  /// Empty bytes are the state at the beginning.
  init(encoded bytes: [UInt8]) throws {
    let message = try Kunlog_Storage_V1_ShardState(serializedBytes: bytes)
    metadataIndex = message.metadataIndex
    decisionIndex = message.decisionIndex
    for transaction in message.recent {
      recent.append(
        RecentTransactions.Transaction(
          id: TransactionID(bytes: Array(transaction.transactionID)), index: transaction.index,
          affected: transaction.affected))
    }
    for pending in message.pending {
      parts.restore(
        TransactionParts.Key(nodeID: pending.nodeID, life: pending.life, transaction: pending.transaction),
        TransactionParts.Pending(term: pending.term, pieces: pending.pieces.map { Array($0) }))
    }
    for entry in message.prepared {
      let preparation = ShardEntry.preparation(entry.preparation)
      prepared[preparation.id] = PreparedTransaction(
        transaction: TransactionID(bytes: Array(entry.transactionID)), preparation: preparation,
        changesets: entry.changesets.map(ShardEntry.changeset), index: entry.index)
    }
    for fence in message.fences { fences[TabletID(rawValue: fence.tabletID)] = TabletFence(fence) }
    for arrival in message.arrivals { arrivals[TabletID(rawValue: arrival.tabletID)] = TabletArrival(arrival) }
  }
}
