/// Proofs of a `RecordTree` (RFC 9162, sections 2.1.3 and 2.1.4), made from the nodes of its complete subtrees.
package enum TreeProof {
  /// Gives the node over the leaves from `place` · 2^`level` on, 2^`level` of them.
  package typealias Nodes<Failure: Error> = (_ level: Int, _ place: UInt64) throws(Failure) -> RecordHash

  /// From a leaf to the root of the tree with `count` leaves. The leaf must be one of them.
  package static func inclusion<Failure: Error>(
    of leaf: UInt64, count: UInt64, nodes: Nodes<Failure>
  ) throws(Failure) -> [RecordHash] {
    precondition(leaf < count, "a leaf that is not in the tree")
    var path: [RecordHash] = []
    var (start, end) = (UInt64(0), count)
    // From the root down; the path is from the leaf up.
    while end - start > 1 {
      let middle = start + split(end - start)
      if leaf < middle {
        path.append(try root(middle, end, nodes))
        end = middle
      } else {
        path.append(try root(start, middle, nodes))
        start = middle
      }
    }
    return path.reversed()
  }

  /// That the tree with `first` leaves is the beginning of the one with `second`; `first` is above 0 and not above `second`.
  package static func consistency<Failure: Error>(
    from first: UInt64, to second: UInt64, nodes: Nodes<Failure>
  ) throws(Failure) -> [RecordHash] {
    precondition(first > 0 && first <= second, "not an earlier tree")
    var path: [RecordHash] = []
    var (start, end) = (UInt64(0), second)
    var isKnown = true
    while first != end {
      let middle = start + split(end - start)
      if first <= middle {
        path.append(try root(middle, end, nodes))
        end = middle
      } else {
        path.append(try root(start, middle, nodes))
        start = middle
        isKnown = false
      }
    }
    if !isKnown { path.append(try root(start, end, nodes)) }
    return path.reversed()
  }

  /// The root over leaves from an aligned start on.
  package static func root<Failure: Error>(
    _ start: UInt64, _ end: UInt64, _ nodes: Nodes<Failure>
  ) throws(Failure) -> RecordHash {
    let count = end - start
    if count.nonzeroBitCount == 1 {
      let level = count.trailingZeroBitCount
      return try nodes(level, start >> UInt64(level))
    }
    let middle = start + split(count)
    return RecordHash.node(try root(start, middle, nodes), try root(middle, end, nodes))
  }

  /// The largest power of two below a count of at least 2.
  private static func split(_ count: UInt64) -> UInt64 { 1 << UInt64(63 - (count - 1).leadingZeroBitCount) }

  /// The root that follows from a record and its path; nil where the path is not as long as it must be.
  package static func root(
    of record: RecordHash, leaf: UInt64, count: UInt64, path: [RecordHash]
  ) -> RecordHash? {
    guard leaf < count else { return nil }
    var (place, last) = (leaf, count - 1)
    var node = RecordHash.leaf(record)
    for sibling in path {
      guard last > 0 else { return nil }
      if place & 1 == 1 || place == last {
        node = RecordHash.node(sibling, node)
        while place & 1 == 0, place != 0 { (place, last) = (place >> 1, last >> 1) }
      } else {
        node = RecordHash.node(node, sibling)
      }
      (place, last) = (place >> 1, last >> 1)
    }
    return last == 0 ? node : nil
  }

  /// Whether a path proves that the tree with the first root is the beginning of the one with the second.
  package static func isConsistent(
    _ first: (count: UInt64, root: RecordHash), _ second: (count: UInt64, root: RecordHash), path: [RecordHash]
  ) -> Bool {
    guard first.count > 0, first.count <= second.count else { return false }
    if first.count == second.count { return path.isEmpty && first.root == second.root }
    var path = path[...]
    if first.count.nonzeroBitCount == 1 { path.insert(first.root, at: path.startIndex) }
    guard var older = path.popFirst() else { return false }
    var newer = older
    var (place, last) = (first.count - 1, second.count - 1)
    while place & 1 == 1 { (place, last) = (place >> 1, last >> 1) }
    for sibling in path {
      guard last > 0 else { return false }
      if place & 1 == 1 || place == last {
        older = RecordHash.node(sibling, older)
        newer = RecordHash.node(sibling, newer)
        while place & 1 == 0, place != 0 { (place, last) = (place >> 1, last >> 1) }
      } else {
        newer = RecordHash.node(newer, sibling)
      }
      (place, last) = (place >> 1, last >> 1)
    }
    return last == 0 && older == first.root && newer == second.root
  }
}
