import Raft

/// One leader per term (reliability.md, 1).
struct ElectionChecker {
  // By term: the slot and the identity of its leader. Terms rise by few at a time.
  private var leaders: [MemberID] = []
  /// The highest term that had a leader.
  private(set) var highestTerm: UInt64 = 0
  /// How many terms had a leader.
  private(set) var count: UInt64 = 0

  /// A node leads; the other one that led the same term, if there is one.
  mutating func leads(_ id: MemberID, term: UInt64) -> MemberID? {
    highestTerm = max(highestTerm, term)
    while leaders.count <= Int(term) { leaders.append(0) }
    let other = leaders[Int(term)]
    if other == 0 {
      leaders[Int(term)] = id
      count += 1
    }
    return other == 0 || other == id ? nil : other
  }

  /// A survivor was forced to go on alone: who led terms that it does not know is gone, and never comes back.
  mutating func forget(above term: UInt64) {
    highestTerm = min(highestTerm, term)
    while leaders.count > Int(term) + 1 { leaders.removeLast() }
  }

  /// Who led a term; 0: nobody.
  func leader(of term: UInt64) -> MemberID { Int(term) < leaders.count ? leaders[Int(term)] : 0 }
}
