/// What the shards know a transaction by. A compute node's names are its number, the start of its process and a counter, each of 8
/// bytes, and are used once; others are a shard's own, for single writes that it runs together.
package struct TransactionName: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var bytes: [UInt8]
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Whether it means the same on all shards.
  package var isComputeNodes: Bool { bytes.count == 24 }

  /// `node:start:number` of a compute node's.
  package var description: String {
    guard isComputeNodes else { return String(decoding: bytes, as: UTF8.self) }
    return stride(from: 0, to: 24, by: 8).map { start in
      "\(bytes[start..<(start + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })"
    }.joined(separator: ":")
  }

  package static func < (left: Self, right: Self) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
}
