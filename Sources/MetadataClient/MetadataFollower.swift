import EventLoop
import Metadata
import ProtocolMetadata

/// How far the meta node is that a subscription comes from, as it said last.
package struct MetadataFollower: Sendable, Hashable {
  package var nodeID: NodeID
  /// What it knows to be committed, and what it has applied: places in the replicated log.
  package var commitIndex: UInt64
  package var appliedIndex: UInt64
  /// Its last record.
  package var recordIndex: UInt64
  /// nil: it knows none.
  package var leaderID: NodeID?
  /// For how long it had been out of touch when it said so: with the leader; as the leader, with a quorum. nil: since its start.
  package var contactMilliseconds: UInt64?
  /// When it said so, on `Loop.now`'s clock.
  package var heardAt: UInt64

  init(_ wire: Kunlog_Metadata_V1_FollowerState, at time: UInt64) {
    nodeID = NodeID(rawValue: wire.nodeID)
    commitIndex = wire.commitIndex
    appliedIndex = wire.appliedIndex
    recordIndex = wire.recordIndex
    leaderID = wire.leaderNodeID == 0 ? nil : NodeID(rawValue: wire.leaderNodeID)
    contactMilliseconds = wire.hasContactMilliseconds ? wire.contactMilliseconds : nil
    heardAt = time
  }

  /// How old what it has may be by now; nil: not known.
  package var stalenessMilliseconds: UInt64? {
    contactMilliseconds.map { $0 + (Loop.now - min(heardAt, Loop.now)) / 1_000_000 }
  }
}
