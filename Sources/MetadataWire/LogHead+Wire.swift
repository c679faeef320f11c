import Metadata
import ProtocolMetadata

extension LogHead {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_LogHead {
    .with {
      $0.clusterID = .init(clusterID.rawValue)
      $0.count = count
      $0.recordIndex = recordIndex
      $0.chainHash = .init(chainHash.bytes)
      $0.root = .init(root.bytes)
      $0.firstIndex = firstIndex
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_LogHead) throws(WireError) {
    guard wire.clusterID.count == 16, let chain = RecordHash([UInt8](wire.chainHash)),
      let root = RecordHash([UInt8](wire.root))
    else { throw .malformed("head of a log") }
    self.init(
      clusterID: ClusterID(rawValue: [UInt8](wire.clusterID)), count: wire.count, recordIndex: wire.recordIndex,
      chainHash: chain, root: root, firstIndex: wire.firstIndex)
  }
}
