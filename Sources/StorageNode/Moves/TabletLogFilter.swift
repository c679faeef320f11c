import Metadata
import Replica
import StorageEngine

/// Reads a shard's log for what concerns one tablet: changes at the entry with which they take effect, whether they came in
/// parts or were prepared before. It must begin before those that were under way at the moment of interest.
struct TabletLogFilter {
  enum Item: Equatable {
    case rows([UInt8])
    case schema(TabletChange)
  }

  let tablet: TabletID
  /// The last entry that was read.
  private(set) var index: UInt64
  private var parts = TransactionParts()
  private var prepared: [GlobalTransactionID: (changes: [UInt8], index: UInt64)] = [:]
  /// The first entry since which there have always been parts of transactions whose last one has not come.
  private var partsSince: UInt64?

  init(_ tablet: TabletID, after index: UInt64) {
    self.tablet = tablet
    self.index = index
  }

  /// After which entry one that goes on from here has to begin to read.
  var safeStart: UInt64 {
    let underWay = [partsSince, prepared.values.lazy.map(\.index).min()].compactMap(\.self).min()
    return underWay.map { $0 - 1 } ?? index
  }

  /// Entries come in order.
  mutating func read(_ entry: CommittedEntry) throws -> [Item] {
    index = entry.index
    defer { partsSince = parts.isEmpty ? nil : partsSince ?? entry.index }
    parts.enter(term: entry.term)
    let shardEntry = try ShardEntry(encoded: entry.payload)
    switch shardEntry.kind {
    case .transactions(let members, let changesets, let preparation):
      return take(ShardEntry.Body(members: members, changesets: changesets, preparation: preparation))
    case .finish(let id, let outcome, _):
      guard let known = prepared.removeValue(forKey: id), outcome == .commit else { return [] }
      return [.rows(known.changes)]
    case .schema(_, let changes): return changes.filter { $0.tabletID == tablet }.map { .schema($0) }
    case .part(let transaction, let number, let piece, let isLast):
      let key = TransactionParts.Key(
        nodeID: shardEntry.origin.nodeID, life: shardEntry.origin.life, transaction: transaction)
      guard isLast else {
        parts.add(piece, number: number, to: key, term: entry.term)
        return []
      }
      guard let pieces = parts.complete(piece, number: number, of: key) else { return [] }
      return take(try ShardEntry.body(pieces))
    case .abandoned(let transaction):
      parts.abandon(
        TransactionParts.Key(
          nodeID: shardEntry.origin.nodeID, life: shardEntry.origin.life, transaction: transaction))
      return []
    case .fence, .arrival: return []
    }
  }

  private mutating func take(_ body: ShardEntry.Body) -> [Item] {
    guard let changes = body.changesets.first(where: { $0.tabletID == tablet })?.bytes else { return [] }
    guard let preparation = body.preparation else { return [.rows(changes)] }
    prepared[preparation.id] = (changes, index)
    return []
  }
}
