/// The Merkle tree over the records (RFC 9162, section 2.1, with SHA-256; a leaf's data is the record's hash), folded: the roots of its
/// complete subtrees, from which it grows, and from which its root is made. Each record costs two digests.
///
/// Invariant: there is one peak for each bit of `count`, the largest subtree first.
package struct RecordTree: Sendable, Equatable {
  /// The first record of the tree; 0 where there is none.
  package private(set) var firstIndex: UInt64 = 0
  /// How many records it has.
  package private(set) var count: UInt64 = 0
  /// Roots of complete subtrees, the largest first.
  package private(set) var peaks: [RecordHash] = []
  /// The latest time that any of its records bears, in microseconds since 1970-01-01 UTC: it never goes back.
  package private(set) var latestTimeMicroseconds: Int64 = 0

  /// The tree without records.
  package init() {}

  /// A tree that was folded before; nil where its peaks are not as many as its count says.
  package init?(firstIndex: UInt64, count: UInt64, peaks: [RecordHash], latestTimeMicroseconds: Int64) {
    guard count.nonzeroBitCount == peaks.count else { return nil }
    self.firstIndex = firstIndex
    self.count = count
    self.peaks = peaks
    self.latestTimeMicroseconds = latestTimeMicroseconds
  }

  /// Adds the next record.
  package mutating func append(_ record: Record) {
    append(index: record.index, hash: record.hash)
    latestTimeMicroseconds = max(latestTimeMicroseconds, record.timeMicroseconds)
  }

  /// Adds the next record, by what it puts into the tree.
  package mutating func append(index: UInt64, hash: RecordHash) {
    append(index: index, hash: hash) { _ in }
  }

  /// The same; the body is given the inner nodes that are complete now, the lowest first.
  package mutating func append(index: UInt64, hash: RecordHash, onNode: (RecordHash) -> Void) {
    if count == 0 { firstIndex = index }
    var node = RecordHash.leaf(hash)
    for _ in 0..<(~count).trailingZeroBitCount {
      node = RecordHash.node(peaks.removeLast(), node)
      onNode(node)
    }
    peaks.append(node)
    count += 1
  }

  /// The root; of the tree without records SHA-256 of nothing.
  package var root: RecordHash {
    guard var root = peaks.last else { return RecordTree.emptyRoot }
    for peak in peaks.dropLast().reversed() { root = RecordHash.node(peak, root) }
    return root
  }

  private static var emptyRoot: RecordHash {
    var hasher = SHA256()
    return RecordHash(hasher.finish()) ?? .zero
  }
}
