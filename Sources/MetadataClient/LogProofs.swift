import Metadata
import MetadataWire
import ProtocolMetadata

/// That a record belongs to the log that a head stands for.
package struct RecordProof: Sendable {
  package var head: LogHead
  package var record: Record
  /// The record's body as it was logged: what its hash is made over.
  package var body: [UInt8]
  /// The record's number in the tree, from 0.
  package var leaf: UInt64
  /// From the leaf to the root.
  package var path: [RecordHash]

  /// The record's hash has been found to be its content's.
  init(wire: Kunlog_Metadata_V1_RecordProof) throws(WireError) {
    head = try LogHead(wire: wire.head)
    record = try wire.record.opened()
    body = [UInt8](wire.record.body)
    leaf = wire.leaf
    path = try hashes(wire.path.map { [UInt8]($0) })
  }

  /// Whether the path leads from the record to the head's root.
  package var isValid: Bool {
    TreeProof.root(of: record.hash, leaf: leaf, count: head.count, path: path) == head.root
  }
}

/// That the log of an earlier head is the beginning of that of a later one.
package struct ConsistencyProof: Sendable {
  package var first: LogHead
  package var second: LogHead
  package var path: [RecordHash]

  init(wire: Kunlog_Metadata_V1_ConsistencyProof) throws(WireError) {
    first = try LogHead(wire: wire.first)
    second = try LogHead(wire: wire.second)
    path = try hashes(wire.path.map { [UInt8]($0) })
  }

  /// Whether the path leads to both roots.
  package var isValid: Bool {
    TreeProof.isConsistent((first.count, first.root), (second.count, second.root), path: path)
  }
}

private func hashes(_ list: [[UInt8]]) throws(WireError) -> [RecordHash] {
  var hashes: [RecordHash] = []
  for bytes in list {
    guard let hash = RecordHash(bytes) else { throw .malformed("path of a proof") }
    hashes.append(hash)
  }
  return hashes
}
