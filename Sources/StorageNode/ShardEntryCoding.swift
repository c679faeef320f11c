import FoundationEssentials
import Metadata
import ProtocolStorage
import SQLTypes
import StorageEngine
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
    case transactions([Member], [TabletChangeset])
    case schema(metadataIndex: UInt64, [TabletChange])
    /// A piece of `transactions` that are too large for one entry, as `body` encodes them.
    case part(transaction: UInt64, number: UInt32, piece: [UInt8], isLast: Bool)
    /// The parts of the transaction will not be completed.
    case abandoned(transaction: UInt64)
  }
  /// One of the transactions that commit with an entry.
  struct Member: Equatable {
    var id: TransactionID
    var affected: [UInt64]
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
      case .transactions(let members, let changesets):
        $0.transaction = Self.message(members, changesets)
      case .part(let transaction, let number, let piece, let isLast):
        $0.part.transaction = transaction
        $0.part.number = number
        $0.part.piece = Data(piece)
        $0.part.isLast = isLast
      case .abandoned(let transaction):
        $0.abandoned = transaction
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
      let (members, changesets) = Self.transactions(entry)
      kind = .transactions(members, changesets)
    case .part(let part):
      kind = .part(
        transaction: part.transaction, number: part.number, piece: Array(part.piece), isLast: part.isLast)
    case .abandoned(let transaction):
      kind = .abandoned(transaction: transaction)
    case .schema(let entry):
      kind = .schema(metadataIndex: entry.metadataIndex, try entry.changes.map(TabletChangeCoding.change))
    case nil:
      throw DamagedEntry(reason: "it is of a kind that this version does not know")
    }
  }
}

// Transactions without their entry: what is cut into parts.
extension ShardEntry {
  /// The bytes of transactions.
  static func body(_ members: [Member], _ changesets: [TabletChangeset]) throws -> [UInt8] {
    try message(members, changesets).serializedBytes()
  }

  /// Transactions from their pieces.
  static func transactions(_ pieces: [[UInt8]]) throws -> (members: [Member], changesets: [TabletChangeset]) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
    for piece in pieces { bytes.append(contentsOf: piece) }
    return transactions(try Kunlog_Storage_V1_TransactionEntry(serializedBytes: bytes))
  }

  private static func message(
    _ members: [Member], _ changesets: [TabletChangeset]
  ) -> Kunlog_Storage_V1_TransactionEntry {
    .with {
      $0.transactions = members.map { member in
        .with {
          $0.transactionID = Data(member.id.bytes)
          $0.affected = member.affected
        }
      }
      $0.changesets = changesets.map { changeset in
        .with {
          $0.tabletID = changeset.tabletID.rawValue
          $0.changes = Data(changeset.bytes)
        }
      }
    }
  }

  private static func transactions(
    _ entry: Kunlog_Storage_V1_TransactionEntry
  ) -> (members: [Member], changesets: [TabletChangeset]) {
    (
      entry.transactions.map { Member(id: TransactionID(bytes: Array($0.transactionID)), affected: $0.affected) },
      entry.changesets.map { TabletChangeset(tabletID: TabletID(rawValue: $0.tabletID), bytes: Array($0.changes)) }
    )
  }
}

/// The state of a shard beside its tablets.
struct ShardState: Equatable, Sendable {
  /// The metadata index of the last schema entry.
  var metadataIndex: UInt64 = 0
  var recent = RecentTransactions()
  var parts = TransactionParts()
}

extension ShardState {
  func encoded() throws -> [UInt8] {
    try Kunlog_Storage_V1_ShardState.with {
      $0.metadataIndex = metadataIndex
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
    }.serializedBytes()
  }

  /// Empty bytes are the state at the beginning.
  init(encoded bytes: [UInt8]) throws {
    let message = try Kunlog_Storage_V1_ShardState(serializedBytes: bytes)
    metadataIndex = message.metadataIndex
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
  }
}
