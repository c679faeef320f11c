import EventLoop
import Raft

/// Carries a replica's messages and snapshots to the other members of its group.
///
/// Messages to one member arrive in order or not at all; a transport may drop what it cannot hold, never grow without
/// bound. A broken connection is reported, since consensus takes it as a hint.
@LoopActor
package protocol RaftTransport: AnyObject {
  /// Begins to deliver to the receiver.
  func start(_ receiver: any RaftReceiver) throws
  /// Says who the members are and where; called again at each change.
  func setMembers(_ members: [Member])
  /// Sends, soon; in order per receiver.
  func send(_ message: Message)
  /// Sends a snapshot's file; `then` tells whether the member has it in safe keeping.
  func sendSnapshot(
    _ offer: SnapshotOffer, from path: String, to member: NodeID, then: @escaping @LoopActor (Bool) -> Void)
  /// Takes nothing from members for whom the predicate holds: they were removed for ever, and may not know it.
  func refuse(_ isRefused: @escaping @LoopActor (UInt64) -> Bool)
  /// Ends all connections.
  func stop() async
}

extension RaftTransport {
  /// A transport without strangers.
  package func refuse(_ isRefused: @escaping @LoopActor (UInt64) -> Bool) {}
}

/// What a transport delivers to.
@LoopActor
package protocol RaftReceiver: AnyObject {
  /// The id of the disk that holds this member's promises.
  var disk: UInt64 { get }
  /// A message has arrived.
  func receive(_ message: Message)
  /// Messages can reach the member (again).
  func connected(to member: NodeID)
  /// A connection to or from the member broke.
  func disconnected(from member: NodeID)
  /// A snapshot is coming. Returns how many of its bytes are here already.
  func beginSnapshot(_ offer: SnapshotOffer) async throws -> Int
  /// The next bytes of the snapshot.
  func receiveSnapshot(_ offer: SnapshotOffer, _ bytes: [UInt8], at offset: Int) async throws
  /// All bytes have come. Returns once they are verified and durable.
  func finishSnapshot(_ offer: SnapshotOffer) async throws
}

/// A snapshot that a leader sends.
package struct SnapshotOffer: Sendable, Equatable {
  /// The leader.
  package var from: NodeID
  /// Its term.
  package var term: UInt64
  /// What the snapshot contains.
  package var metadata: SnapshotMetadata
  /// The file's length.
  package var sizeBytes: Int
  /// CRC-32C of the file.
  package var checksum: UInt32

  /// Makes an offer.
  package init(from: NodeID, term: UInt64, metadata: SnapshotMetadata, sizeBytes: Int, checksum: UInt32) {
    self.from = from
    self.term = term
    self.metadata = metadata
    self.sizeBytes = sizeBytes
    self.checksum = checksum
  }
}
