import Metadata

/// Which copy of a mirror table a query reads.
package enum CopyChoice: Sendable, Hashable {
  /// The first, where writers come first: what a transaction reads under REPEATABLE READ is of one moment, and what is found to be
  /// changed is what was locked.
  case first
  /// The one on the shard where the rest of the query's tables are, so that all of it runs there; else any, by the number.
  case nearest(Int)

  /// The tablets of each relation, each of a mirror table on the shard whose copy is read.
  func chosen(of remaining: [[TabletTarget]]) -> [[TabletTarget]] {
    guard case .nearest(let number) = self, remaining.contains(where: { $0.contains { !$0.copies.isEmpty } }) else {
      return remaining
    }
    let mirrors = remaining.joined().filter { !$0.copies.isEmpty }
    var common = mirrors.first?.copies ?? []
    for mirror in mirrors.dropFirst() { common.removeAll { !mirror.copies.contains($0) } }
    let others = Set(remaining.joined().filter(\.copies.isEmpty).map(\.shardID))
    let wanted =
      others.count == 1
      ? others.first : common.isEmpty ? nil : common[Int(UInt(bitPattern: number) % UInt(common.count))]
    return remaining.map { tablets in
      tablets.map { tablet in
        guard let wanted, tablet.copies.contains(wanted) else { return tablet }
        return tablet.on(wanted)
      }
    }
  }
}

extension TabletTarget {
  /// The copy on that shard.
  func on(_ shard: ShardID) -> TabletTarget {
    var target = self
    target.shardID = shard
    return target
  }
}

extension Fragment {
  /// A writing fragment for each copy of the tablet that it writes, the first one's first: itself alone where that is no mirror table's.
  package var forAllCopies: [Fragment] {
    guard let written = tablets.first, !written.copies.isEmpty else { return [self] }
    return written.copies.enumerated().map { place, shard in
      var fragment = self
      fragment.shardID = shard
      fragment.tablets[0] = written.on(shard)
      fragment.isCopy = place > 0
      return fragment
    }
  }
}
