import EventLoop
import Logging
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// The gRPC service of a meta node: service.proto over a replica of the log.
@LoopActor
final class MetadataService {
  let clusterID: ClusterID
  let replica: Replica<MetadataMachine>
  let logger = Logger(label: "metadata-service")
  let desk: AppendDesk
  let hub = SubscriptionHub()
  let statistics = MetadataStatistics()

  var machine: MetadataMachine { replica.machine }

  init(clusterID: ClusterID, replica: Replica<MetadataMachine>) {
    self.clusterID = clusterID
    self.replica = replica
    desk = AppendDesk(clusterID: clusterID, replica: replica)
    replica.machine.onChange = { [weak desk, hub] in
      desk?.settle()
      hub.changed()
    }
  }

  func register(at server: RPCServer) {
    server.addDescriptors(ProtocolMetadataDescriptors.fileDescriptorSet)
    server.handleUnary(MetadataMethods.append) { [desk, statistics] request, context, reply in
      let startedAt = context.startedAt
      desk.append(request, from: .init(context)) { result in
        statistics.answered(result, startedAt: startedAt)
        switch result {
        case .success(let response): reply.send(response)
        case .failure(let error): reply.fail(error)
        }
      }
    }
    server.handleBidirectional(MetadataMethods.appendStream) { [desk, statistics] reader, writer, context in
      try await AppendStream(desk, writer, from: .init(context), statistics).run(reader)
    }
    server.handle(MetadataMethods.readIndex) { [self] request, _ in
      try check(request.clusterID)
      try await confirm()
      return .with { $0.index = machine.image.index }
    }
    server.handleStream(MetadataMethods.readImage) { [self] request, writer, _ in
      try check(request.clusterID)
      if !request.allowStale { try await confirm() }
      var encoder = ImageEncoder(machine.image)
      while let part = try encoder.next() {
        try await writer.send(try Kunlog_Metadata_V1_ImagePart(serializedBytes: part))
        // A large image is not to keep the loop from the others.
        try await loopSleep(milliseconds: 0)
      }
    }
    server.handleStream(MetadataMethods.subscribe) { [self] request, writer, context, end in
      subscribe(request, writer, context, end)
    }
    server.handle(MetadataMethods.status) { [self] _, _ in status }
  }

  /// Refuses a client of another cluster. An empty id is let in: a client that has yet to learn it.
  func check<Bytes: Collection>(_ requested: Bytes) throws(RPCError) where Bytes.Element == UInt8 {
    guard requested.isEmpty || clusterID.rawValue.elementsEqual(requested) else {
      throw RPCError(.failedPrecondition, "this meta node belongs to another cluster")
    }
  }

  /// Returns once this replica has applied all that was committed anywhere when it was called.
  func confirm() async throws(RPCError) {
    do throws(ReplicaError) { try await replica.readIndex() } catch { throw RPCError(error) }
  }

  private var status: Kunlog_Metadata_V1_StatusResponse {
    let status = replica.status
    var response = describe(status)
    addLog(status, to: &response)
    return response
  }

  /// The log, its disk, and what the replica has gone through.
  private func addLog(_ status: ReplicaStatus, to response: inout Kunlog_Metadata_V1_StatusResponse) {
    let (sizes, disk, past) = (replica.sizes, replica.diskStatistics, replica.statistics)
    response.firstIndex = status.firstIndex
    response.promisedIndex = status.promisedIndex ?? 0
    response.snapshotIndex = status.snapshotIndex
    response.snapshotBytes = UInt64(sizes.snapshot)
    response.logBytes = UInt64(sizes.log)
    response.archiveBytes = UInt64(sizes.archive)
    response.diskFull = status.isDiskFull
    response.syncPendingMicroseconds = disk.syncingSince.map { (Loop.now - min($0, Loop.now)) / 1000 } ?? 0
    if let seconds = disk.syncs.quantile(0.99), seconds.isFinite {
      response.syncP99Microseconds = UInt64(seconds * 1e6)
    }
    response.diskStalls = disk.stalls
    response.elections = past.elections
    response.leaderChanges = past.leaderChanges
    response.lastElectionMicroseconds = past.lastElectionMicroseconds
    response.startedMicroseconds = past.startedMicroseconds
    response.featureLevel = machine.image.featureLevel
    response.supportedFeatureLevel = FeatureLevel.current
    response.subscriberLag = hub.highestLag(at: machine.image.index)
  }

  private func describe(_ status: ReplicaStatus) -> Kunlog_Metadata_V1_StatusResponse {
    .with {
      $0.clusterID = .init(clusterID.rawValue)
      $0.nodeID = replica.configuration.nodeID
      $0.role = status.role.rawValue
      $0.term = status.term
      $0.leaderNodeID = status.leaderID ?? 0
      $0.leaderAddress = status.leaderAddress ?? ""
      $0.commitIndex = status.commitIndex
      $0.appliedIndex = status.appliedIndex
      $0.lastIndex = status.lastIndex
      $0.recordIndex = machine.image.index
      $0.recordHash = .init(machine.image.hash.bytes)
      $0.subscribers = UInt32(clamping: hub.count)
      $0.members = status.members.filter { $0.matchIndex != nil }.map { member in
        .with {
          $0.nodeID = member.id
          $0.address = member.address
          $0.matchIndex = member.matchIndex ?? 0
          $0.alive = member.isAlive ?? false
        }
      }
    }
  }
}
