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
  private var prepared: [GlobalTransactionID: [UInt8]] = [:]

  init(_ tablet: TabletID, after index: UInt64) {
    self.tablet = tablet
    self.index = index
  }

  /// Entries come in order.
  mutating func read(_ entry: CommittedEntry) throws -> [Item] {
    index = entry.index
    parts.enter(term: entry.term)
    let shardEntry = try ShardEntry(encoded: entry.payload)
    switch shardEntry.kind {
    case .transactions(let members, let changesets, let preparation):
      return take(ShardEntry.Body(members: members, changesets: changesets, preparation: preparation))
    case .finish(let id, let outcome, _):
      guard let changes = prepared.removeValue(forKey: id), outcome == .commit else { return [] }
      return [.rows(changes)]
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
    prepared[preparation.id] = changes
    return []
  }
}
