import Metadata
import ProtocolMetadata

extension RecordTree {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_ImageTree {
    .with {
      $0.firstIndex = firstIndex
      $0.count = count
      $0.peaks = peaks.map { $0.withBytes { .init($0) } }
      $0.latestTimeMicroseconds = latestTimeMicroseconds
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_ImageTree) throws(WireError) {
    var peaks: [RecordHash] = []
    for peak in wire.peaks {
      guard let hash = RecordHash([UInt8](peak)) else { throw .malformed("image: the tree of records") }
      peaks.append(hash)
    }
    guard
      let tree = RecordTree(
        firstIndex: wire.firstIndex, count: wire.count, peaks: peaks,
        latestTimeMicroseconds: wire.latestTimeMicroseconds)
    else { throw .malformed("image: the tree of records") }
    self = tree
  }
}
