/// Pieces of transactions that are too large for one entry of the log, until the last one comes. Part of the replicated
/// state: what is kept and what is dropped depends on the entries alone.
///
/// A transaction's pieces come in order and from one leader in one term: pieces of an earlier term than that of the last entry
/// will never be completed, as their leader has lost its place and undone the transaction.
struct TransactionParts: Equatable, Sendable {
  /// Who makes the parts, and its number for them.
  struct Key: Hashable, Sendable {
    var nodeID: UInt64
    var life: UInt64
    var transaction: UInt64
  }
  struct Pending: Equatable, Sendable {
    var term: UInt64
    var pieces: [[UInt8]]
  }

  /// A piece is so long, but for the last.
  static let pieceBytes = 256 << 10

  private(set) var pending: [Key: Pending] = [:]

  var isEmpty: Bool { pending.isEmpty }

  /// An entry of the term was met.
  mutating func enter(term: UInt64) {
    guard !pending.isEmpty else { return }
    pending = pending.filter { $0.value.term >= term }
  }

  /// Keeps a piece. One that does not follow the one before it makes the whole void.
  mutating func add(_ piece: [UInt8], number: UInt32, to key: Key, term: UInt64) {
    if number == 0 {
      pending[key] = Pending(term: term, pieces: [piece])
    } else if pending[key]?.pieces.count == Int(number) {
      pending[key]!.pieces.append(piece)
    } else {
      pending[key] = nil
    }
  }

  /// All pieces, the last one being this; nil where one is missing. They are not kept any longer.
  mutating func complete(_ piece: [UInt8], number: UInt32, of key: Key) -> [[UInt8]]? {
    guard let before = pending.removeValue(forKey: key), before.pieces.count == Int(number) else { return nil }
    return before.pieces + [piece]
  }

  mutating func abandon(_ key: Key) { pending[key] = nil }

  /// As it was encoded.
  mutating func restore(_ key: Key, _ parts: Pending) { pending[key] = parts }

  /// In a fixed order.
  var all: [(key: Key, parts: Pending)] {
    pending.sorted {
      ($0.key.nodeID, $0.key.life, $0.key.transaction) < ($1.key.nodeID, $1.key.life, $1.key.transaction)
    }
    .map { ($0.key, $0.value) }
  }
}
