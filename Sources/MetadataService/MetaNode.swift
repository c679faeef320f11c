import AccessControl
import EventLoop
import Logging
import Metadata
import Metrics
import RPC
import Raft
import Replica
import ReplicationGroup
import SQLTypes

/// What a meta process needs to know.
package struct MetaNodeConfiguration: Sendable {
  /// A member of the meta group.
  package struct Member: Sendable, Hashable {
    package var nodeID: Metadata.NodeID
    package var host: String
    package var port: Int
    package init(nodeID: Metadata.NodeID, host: String, port: Int) {
      self.nodeID = nodeID
      self.host = host
      self.port = port
    }
  }

  package var clusterID: ClusterID
  package var nodeID: Metadata.NodeID
  /// The members that the group starts with, this one included; what the log says later takes precedence. Empty: this node
  /// waits until the leader of an existing group adds it.
  package var members: [Member]
  package var dataDirectory: String
  /// Where it listens. Port 0 lets the system choose, for tests of a single node.
  package var host: String
  package var port: Int
  /// For its server, and for its calls to the other members.
  package var tls: TLSConfiguration?
  /// Timeouts and windows of consensus.
  package var raft = Options()
  /// After how many bytes of applied entries a snapshot is taken.
  package var snapshotLogBytes = 64 * 1024 * 1024
  /// Length of a segment of the log, in bytes.
  package var segmentBytes = 16 * 1024 * 1024
  /// Whether the log may begin in an empty directory; false for a node that has run before.
  package var mayBegin = true
  /// How many entries before a snapshot stay in the log, for subscribers that are a little behind.
  package var keptEntries: UInt64 = 50_000
  /// How many bytes of records that the log does not need any more are kept for audits, about; nil: all.
  package var archiveBytes: Int? = 1024 * 1024 * 1024
  /// A folder to which the archive moves, on another disk for instance; nil: it stays in the log's directory.
  package var archiveFolder: String?
  /// How long something is kept after it was archived; nil: for ever, or until there is too much.
  package var archiveSeconds: Int?
  /// Most bytes that wait for the archive's folder while it takes nothing; nil: as many as the disk has room for.
  package var archiveBacklogBytes: Int?
  /// Most bytes of entries that stay in the log because something is under way that needs them, about.
  package var heldBytes = 1024 * 1024 * 1024
  /// About how many entries lie between two images that are kept along the archive.
  package var imageDistance: UInt64 = 50_000
  /// How many bytes of records are kept in memory for subscribers that keep up; others read the log.
  package var recentBytes = 4 * 1024 * 1024

  package init(
    clusterID: ClusterID, nodeID: Metadata.NodeID, members: [Member], dataDirectory: String, host: String, port: Int,
    tls: TLSConfiguration? = nil
  ) {
    self.clusterID = clusterID
    self.nodeID = nodeID
    self.members = members
    self.dataDirectory = dataDirectory
    self.host = host
    self.port = port
    self.tls = tls
  }
}

/// Why a meta node cannot start, in words, with what to do where that is known.
package struct MetaNodeError: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// A meta process: a replica of the metadata log and the service over it.
@LoopActor
package final class MetaNode {
  package let configuration: MetaNodeConfiguration
  /// Told once where the node can go on no more; the process should end.
  package var onFailure: (@LoopActor (String) -> Void)?

  private let server: RPCServer
  private let machine: MetadataMachine
  private let replica: Replica<MetadataMachine>
  private let service: MetadataService
  private let recorder: MembershipRecorder<MetadataMachine>
  private let admin: GroupAdmin<MetadataMachine>
  private let audit: AuditService
  private var recovery: QuorumRecovery?
  private var isRecordingRecovery = false
  private var removalWatch: RemovalWatch?
  /// Whether this node has ended because it was removed from its group; it is of no use any more.
  package private(set) var isRemoved = false
  private var lock: DirectoryLock?

  package init(_ configuration: MetaNodeConfiguration) {
    self.configuration = configuration
    machine = MetadataMachine(recentBytes: configuration.recentBytes)
    server = RPCServer(
      host: configuration.host, port: configuration.port, tls: configuration.tls?.acceptingTokens)
    var replicaConfiguration = ReplicaConfiguration(
      clusterID: configuration.clusterID.rawValue, groupID: "metadata", nodeID: configuration.nodeID.rawValue,
      members: configuration.members.map { member in
        let host = member.host.contains(":") ? "[\(member.host)]" : member.host
        return Member(id: member.nodeID.rawValue, address: "\(host):\(member.port)")
      },
      dataDirectory: configuration.dataDirectory + "/metadata")
    replicaConfiguration.mayBegin = configuration.mayBegin
    replicaConfiguration.raft = configuration.raft
    replicaConfiguration.segmentBytes = configuration.segmentBytes
    replicaConfiguration.snapshotLogBytes = configuration.snapshotLogBytes
    replicaConfiguration.keptEntries = configuration.keptEntries
    // What is too much goes by the keeper of the archive, which knows all of it.
    replicaConfiguration.archive = configuration.archiveBytes == 0 ? .none : .all
    replicaConfiguration.archiveFolder = configuration.archiveFolder
    replicaConfiguration.recyclesSegments = false
    replicaConfiguration.heldBytes = configuration.heldBytes
    replica = Replica(
      configuration: replicaConfiguration, machine: machine, server: server, tls: configuration.tls)
    service = MetadataService(clusterID: configuration.clusterID, replica: replica)
    service.desk.gate = AccessGuard.install(at: server, role: .meta, tls: configuration.tls) {
      [machine] in machine.image
    }
    recorder = MembershipRecorder(
      replica, label: "metadata-members", image: { [machine] in machine.image }, missing: MetaMembers.commands
    ) { [service] principal, commands in await service.record(commands, principal: principal) }
    admin = GroupAdmin(.meta, clusterID: configuration.clusterID, replica: replica, recorder: recorder) { [machine] in
      machine.image
    }
    audit = AuditService(
      service, dataDirectory: configuration.dataDirectory, archiveDirectory: configuration.archiveFolder)
  }

  /// Opens the data directory, joins the group and listens.
  package func start() async throws(MetaNodeError) {
    do {
      try FileSystem.createDirectory(configuration.dataDirectory)
      try FileSystem.createDirectory(configuration.dataDirectory + "/metadata")
      lock = try DirectoryLock(configuration.dataDirectory)
      service.register(at: server)
      admin.register(at: server)
      audit.register(at: server)
      recovery = try QuorumRecovery.read(configuration.dataDirectory)
      replica.refuse { [weak self] in self?.isOut($0) ?? false }
      replica.onChange = { [weak self] status in if status.isReady { self?.leads() } }
      replica.onFailure = { [weak self] error in self?.onFailure?(error.description) }
      let directory = replica.configuration.dataDirectory
      machine.tree = try TreeKeeper(directory: directory)
      if configuration.archiveBytes != 0 {
        let local = directory + "/log/archive"
        try FileSystem.createDirectory(local)
        let images = ImageArchive(
          directories: [local] + [configuration.archiveFolder].compactMap { $0 }, distance: configuration.imageDistance)
        machine.images = images
        try await images.open()
        machine.archive = ArchiveKeeper(
          .init(
            local: local, folder: configuration.archiveFolder,
            owner: "node \(configuration.nodeID) of cluster \(ByteaText.hexadecimal(configuration.clusterID.rawValue))",
            maximumBytes: configuration.archiveBytes,
            maximumAgeSeconds: configuration.archiveSeconds,
            maximumBacklogBytes: configuration.archiveBacklogBytes))
      }
      try await replica.start()
      machine.tree?.begin(replica)
      machine.archive?.begin(replica)
      try server.start()
      removalWatch = RemovalWatch(service, tls: configuration.tls) { [weak self] in self?.removed() }
    } catch {
      await stop()
      throw MetaNodeError(description: "\(error)")
    }
    server.health.set(MetadataMethods.service, .serving)
  }

  /// Leaves the group, ends all streams and lets go of the data directory.
  package func stop() async {
    removalWatch?.stop()
    await server.shutdown(graceMilliseconds: 100)
    await replica.stop()
    audit.close()
    machine.tree?.close()
    machine.images?.close()
    machine.archive?.close()
    machine.close()
    lock = nil
  }

  /// Whether the member was removed for ever: by a forced recovery of this node, or as a fact.
  private func isOut(_ member: UInt64) -> Bool {
    if let recovery, recovery.isOut(member, node: configuration.nodeID.rawValue),
      // The decision was written before the entry that carries it out.
      replica.status.lastIndex >= recovery.index, replica.status.term >= recovery.term
    {
      return true
    }
    return machine.image.removedNodes.contains(Metadata.NodeID(rawValue: member))
  }

  private func leads() {
    guard let recovery, !recovery.isRecorded, !isRecordingRecovery, replica.status.term > recovery.term else {
      return recordMembers()
    }
    isRecordingRecovery = true
    Task { @LoopActor in
      if await self.service.record(recovery, logger: Logger(label: "metadata-members")) {
        self.recovery?.isRecorded = true
        try? self.recovery?.write(self.configuration.dataDirectory)
      }
      self.isRecordingRecovery = false
      self.recordMembers()
    }
  }

  /// Not where the log names no meta node at all: whoever makes a cluster names its first nodes.
  private func recordMembers() {
    guard machine.image.nodes.values.contains(where: { $0.role == .meta }) else { return }
    recorder.wake(principal: "meta \(configuration.nodeID)")
  }

  private func removed() {
    isRemoved = true
    onFailure?(
      "node \(configuration.nodeID) was removed from the group of meta nodes. Its number is never used again; "
        + "\(configuration.dataDirectory) can be deleted")
  }

  /// Where it listens; 0 before the start.
  package var port: Int { server.port }

  package var status: ReplicaStatus { replica.status }

  /// The paths of the methods that it serves.
  package var methods: [String] { server.methods }

  /// How many subscriptions there are, and how many bytes are held for those who have not taken them.
  package var subscribers: (count: Int, heldBytes: Int) { (service.hub.count, service.hub.heldBytes) }

  /// The committed state, as far as it is applied here.
  package var image: Image { machine.image }

  /// What those who watch the process are told.
  package var metrics: MetricSet {
    var set = service.metrics
    set.add(replica.metrics)
    set.add(server.metrics)
    return set
  }

  /// Why this node is of no use to clients now; nil: it is.
  package var unreadiness: String? {
    let status = replica.status
    guard port != 0 else { return "the log is being opened" }
    if status.isDiskFull { return "the disk of \(configuration.dataDirectory) is full" }
    return status.leaderID == nil ? "no leader is known" : nil
  }

  /// Takes a snapshot now; the entry up to which it goes.
  @discardableResult
  package func takeSnapshot() async throws(MetaNodeError) -> UInt64 {
    do { return try await replica.takeSnapshot() } catch { throw MetaNodeError(description: error.description) }
  }
}
