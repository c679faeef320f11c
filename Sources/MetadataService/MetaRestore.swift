import EventLoop
import Metadata
import MetadataLog
import MetadataWire
import Raft
import Replica

/// `kunlog meta restore`: data directories for a new group of meta nodes, from a backup. Blocks: for commands only.
///
/// The new group is another cluster: it has another id, by which nodes of the old one are refused, and its first record says from
/// where it comes (`ClusterRestored`). The history goes on: that record names the backup's last one and its hash.
@LoopActor
package struct MetaRestore {
  /// What the new group's log begins with.
  package let record: Record
  /// The state after that.
  package let image: Image
  private let body: [UInt8]
  private let contents: MetadataBackup.Contents
  private let members: [Member]

  /// - Parameters:
  ///   - contents: of the backup, as it was verified.
  ///   - clusterID: the new cluster's, random.
  ///   - members: the new group; their numbers must not be those of other nodes, or of removed ones.
  package init(
    _ contents: MetadataBackup.Contents, clusterID: ClusterID, clusterName: String? = nil,
    members: [MetaNodeConfiguration.Member], principal: String
  ) throws(MetaNodeError) {
    self.contents = contents
    for member in members {
      if contents.image.removedNodes.contains(member.nodeID) {
        throw MetaNodeError(
          description: "node \(member.nodeID) was removed from the cluster, and its number is never used again: "
            + "give the new node another one")
      }
      if let node = contents.image.nodes[member.nodeID], node.role != .meta {
        throw MetaNodeError(
          description:
            "number \(member.nodeID) is that of \(node.role) node \(node.name): give the new meta node another one")
      }
    }
    self.members = members.map { member in
      let host = member.host.contains(":") ? "[\(member.host)]" : member.host
      return Member(id: member.nodeID.rawValue, address: "\(host):\(member.port)")
    }
    let header = contents.header
    var events: [Event] = []
    if contents.image.featureLevel < FeatureLevel.restoration {
      events.append(.featureLevelRaised(FeatureLevel.restoration))
    }
    events.append(
      .clusterRestored(
        RestoredCluster(
          clusterID: clusterID, name: clusterName ?? header.clusterName, originID: header.clusterID,
          originIndex: header.index, originHash: header.hash)))
    do throws(WireError) {
      body = try RecordBody(
        after: header.index, header.hash, timeMicroseconds: Loop.wallClockMicroseconds(), principal: principal,
        requestID: nil, cause: nil, events: events
      ).encoded()
      record = try Record(body: body, index: header.index + 1, term: header.term + 1)
    } catch { throw MetaNodeError(description: "\(error)") }
    image = contents.image.applying(record)
  }

  /// Writes a member's data directory.
  /// - Parameter records: the backup's records, in order, until nil.
  package func write(
    _ directory: String, node: Metadata.NodeID, records: () throws -> MetadataBackup.SealedRecord?
  ) throws {
    guard let clusterID = image.clusterID else { return }
    try FileSystem.createDirectory(directory + "/metadata")
    let configuration = ReplicaConfiguration(
      clusterID: clusterID.rawValue, groupID: "metadata", nodeID: node.rawValue, members: members,
      dataDirectory: directory + "/metadata")
    var snapshot = ImageSnapshot.Writer(contents.image)
    var next = contents.header.historyAfter.map { $0 + 1 }
    try NewReplicaDirectory.create(
      configuration, at: LogPosition(index: contents.header.index, term: contents.header.term),
      pieces: { try snapshot.next() },
      history: {
        guard next != nil else { return nil }
        var entries: [Entry] = []
        var bytes = 0
        while bytes < 1 << 20, let sealed = try records() {
          // Between records, consensus had entries of its own.
          let place = sealed.record
          while let index = next, index < place.index {
            entries.append(Entry(index: index, term: place.term, kind: .noOp))
            next = index + 1
          }
          entries.append(Entry(index: place.index, term: place.term, payload: sealed.body))
          next = place.index + 1
          bytes += sealed.body.count
        }
        return entries.isEmpty ? nil : entries
      }, following: [Entry(index: record.index, term: record.term, payload: body)])
  }
}
