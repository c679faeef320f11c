import StorageEngine

/// The transactions that committed last, so that a retry is answered with what happened. Part of the replicated state: every
/// replica has the same. Bounded: a retry comes within the seconds of an election, during which nothing commits.
struct RecentTransactions: Equatable, Sendable {
  struct Transaction: Equatable, Sendable {
    var id: TransactionID
    /// In the shard's log.
    var index: UInt64
    /// Rows changed by each fragment, where execution and commit were one request.
    var affected: [UInt64]
  }

  static let capacity = 8192

  /// The oldest first, from `first` on; then around.
  private var ring: [Transaction] = []
  private var first = 0
  private var places: [TransactionID: Int] = [:]

  subscript(id: TransactionID) -> Transaction? { places[id].map { ring[$0] } }

  mutating func append(_ transaction: Transaction) {
    if let place = places[transaction.id] {
      ring[place] = transaction
      return
    }
    if ring.count < Self.capacity {
      places[transaction.id] = ring.count
      ring.append(transaction)
    } else {
      places[ring[first].id] = nil
      ring[first] = transaction
      places[transaction.id] = first
      first = (first + 1) % Self.capacity
    }
  }

  /// The oldest first.
  var all: [Transaction] { Array(ring[first...] + ring[..<first]) }
}
