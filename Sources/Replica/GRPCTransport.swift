import EventLoop
import Logging
import ProtocolRaft
import RPC
import Raft

/// Carries messages between members over gRPC: each member has one stream to each other member, and takes theirs at its
/// server. Snapshots have streams of their own.
@LoopActor
package final class GRPCTransport: RaftTransport {
  private let clusterID: [UInt8]
  private let groupID: String
  private let nodeID: NodeID
  private let configuredAddress: String
  private let server: RPCServer
  private let tls: TLSConfiguration?
  let logger: Logger
  private weak var receiver: (any RaftReceiver)?
  private var members: [Member] = []
  private var links: [NodeID: PeerLink] = [:]
  // Who has a stream to here, and where it says it is reached: one that this member does not know of, because it is new
  // or behind, must be answered all the same.
  private var callers: [NodeID: [String]] = [:]
  // The latest stream from each member: an earlier one that ends says nothing about the member any more.
  private var inbound: [NodeID: Int] = [:]
  private var streams: [Int: RPCReader<Kunlog_Raft_V1_ExchangeRequest>] = [:]
  private var lastStream = 0
  private var isStopped = false
  private var encodedEntries = EncodedEntries()
  private var isRefused: (@LoopActor (NodeID) -> Bool)?

  /// Makes a transport; the service is registered at the server when it starts. `tls` is for the calls to others.
  /// - Parameter address: where this member is reached, as far as it was told; the log may know better, or not yet.
  package init(
    clusterID: [UInt8], groupID: String, nodeID: NodeID, server: RPCServer, tls: TLSConfiguration? = nil,
    address: String? = nil
  ) {
    self.clusterID = clusterID
    self.groupID = groupID
    self.nodeID = nodeID
    configuredAddress = address ?? ""
    self.server = server
    self.tls = tls
    var logger = Logger(label: "replica")
    logger[metadataKey: "group"] = "\(groupID)"
    logger[metadataKey: "member"] = "\(nodeID)"
    self.logger = logger
  }

  package func start(_ receiver: any RaftReceiver) {
    self.receiver = receiver
    server.addDescriptors(ProtocolRaftDescriptors.fileDescriptorSet)
    server.handleBidirectional(RaftService.exchange) { [weak self] reader, writer, context in
      guard let self else { throw RPCError(.unavailable, "the replica is stopped") }
      try await self.serveExchange(reader, writer, context)
    }
    server.handleBidirectional(RaftService.installSnapshot) { [weak self] reader, writer, context in
      guard let self else { throw RPCError(.unavailable, "the replica is stopped") }
      try await self.serveSnapshot(reader, writer, context)
    }
    setMembers(members)
  }

  package func setMembers(_ members: [Member]) {
    self.members = members
    alignLinks()
  }

  /// Where a member may be: by the log, and as it has said itself when it called. After a change of address any may be the
  /// older one.
  private func addresses(of id: NodeID) -> [String] {
    let known = members.first { $0.id == id }.map { [$0.address] } ?? []
    return known + (callers[id] ?? []).filter { !known.contains($0) }
  }

  /// A link to each member, and to each caller that is none as far as is known here.
  private func alignLinks() {
    guard let receiver, !isStopped else { return }
    let wanted = Set(members.map(\.id)).union(callers.keys).subtracting([nodeID]).sorted()
    for (id, link) in links.sorted(by: { $0.key < $1.key }) {
      let addresses = addresses(of: id)
      // One that works stays, if the address is still one of the member's.
      if wanted.contains(id),
        link.isOpen ? addresses.contains(link.member.address) : Set(addresses) == Set(link.addresses)
      {
        continue
      }
      link.close()
      links[id] = nil
    }
    for id in wanted where links[id] == nil {
      let link = PeerLink(
        id: id, addresses: addresses(of: id),
        hello: { [weak self] in self?.hello(to: id) ?? Kunlog_Raft_V1_Hello() }, tls: tls, receiver: receiver,
        logger: logger)
      links[id] = link
      link.open()
    }
  }

  private func noteCaller(_ hello: Kunlog_Raft_V1_Hello) {
    // It is there again: what is to be said to it need not wait for the end of a pause.
    if let link = links[hello.from], link.isPausing {
      link.close()
      links[hello.from] = nil
      alignLinks()
    }
    // Who calls has shown a certificate of the cluster; the bound is against mistakes.
    guard callers[hello.from] != nil || callers.count < Self.maximumCallers else { return }
    var told: [String] = []
    for address in [hello.address, hello.configuredAddress] where !address.isEmpty && !told.contains(address) {
      told.append(address)
    }
    guard !told.isEmpty else { return }
    callers[hello.from] = told
    alignLinks()
  }

  private static let maximumCallers = 32

  package func refuse(_ isRefused: @escaping @LoopActor (UInt64) -> Bool) { self.isRefused = isRefused }

  package func send(_ message: Message) { links[message.to]?.send(message, &encodedEntries) }

  package func stop() async {
    isStopped = true
    receiver = nil
    for link in links.values { link.close() }
    links = [:]
    for stream in streams.values { stream.cancel() }
  }

  func channel(to member: NodeID) -> RPCChannel? { links[member]?.channel }

  func hello(to member: NodeID) -> Kunlog_Raft_V1_Hello {
    .with {
      $0.clusterID = .init(clusterID)
      $0.groupID = groupID
      $0.from = nodeID
      $0.to = member
      $0.address = members.first { $0.id == nodeID }?.address ?? ""
      $0.configuredAddress = configuredAddress
      $0.fromDisk = receiver?.disk ?? 0
    }
  }

  /// Refuses who does not belong here, with what is wrong. Returns whom messages are delivered to.
  func check(_ hello: Kunlog_Raft_V1_Hello, _ context: RPCContext) throws(RPCError) -> any RaftReceiver {
    guard let receiver, !isStopped else { throw RPCError(.unavailable, "the replica is stopped") }
    if let caller = context.identity?.callerNodeID, caller != hello.from {
      logger.warning("\(context.peerAddress) has the certificate of node \(caller), and calls as member \(hello.from)")
      throw RPCError(
        .permissionDenied,
        "node \(caller) cannot call as member \(hello.from): start it with the certificate of its own number")
    }
    guard hello.clusterID == .init(clusterID) else { throw RPCError(.failedPrecondition, "this is another cluster") }
    guard hello.groupID == groupID else {
      throw RPCError(.failedPrecondition, "this is group \(groupID), not \(hello.groupID)")
    }
    guard hello.to == nodeID else {
      throw RPCError(.failedPrecondition, "this is member \(nodeID), not \(hello.to)")
    }
    guard hello.from != 0, hello.from != nodeID else {
      throw RPCError(.failedPrecondition, "member \(hello.from) cannot call member \(nodeID)")
    }
    guard isRefused?(hello.from) != true else {
      throw RPCError(.failedPrecondition, "member \(hello.from) was removed from this group for ever")
    }
    return receiver
  }

  private func serveExchange(
    _ reader: RPCReader<Kunlog_Raft_V1_ExchangeRequest>, _ writer: RPCWriter<Kunlog_Raft_V1_ExchangeResponse>,
    _ context: RPCContext
  ) async throws {
    guard let first = try await reader.next(), first.hasHello else {
      throw RPCError(.invalidArgument, "the first message of a stream must say who calls")
    }
    _ = try check(first.hello, context)
    let (peer, disk) = (first.hello.from, first.hello.fromDisk)
    lastStream += 1
    let stream = lastStream
    inbound[peer] = stream
    streams[stream] = reader
    noteCaller(first.hello)
    defer {
      streams[stream] = nil
      if inbound[peer] == stream {
        inbound[peer] = nil
        callers[peer] = nil
        alignLinks()
        receiver?.disconnected(from: peer)
      }
    }
    try await writer.send(.with { $0.welcome = .with { $0.from = nodeID } })
    try deliver(first, from: peer, disk: disk)
    // Callbacks from here on: messages are many, and need no task.
    let failure: RPCError? = await withCheckedContinuation { continuation in
      var result: RPCError?
      reader.onEnd = { error in continuation.resume(returning: result ?? error) }
      reader.onMessage = { [weak self, weak reader] request in
        do throws(RPCError) { try self?.deliver(request, from: peer, disk: disk) } catch {
          result = error
          reader?.cancel()
        }
      }
    }
    if let failure { throw failure }
  }

  private func deliver(
    _ request: Kunlog_Raft_V1_ExchangeRequest, from peer: NodeID, disk: UInt64
  ) throws(RPCError) {
    guard let receiver else { throw RPCError(.unavailable, "the replica is stopped") }
    for wire in request.messages {
      do throws(MalformedMessage) {
        receiver.receive(try Message(wire: wire, from: peer, to: nodeID, fromDisk: disk))
      } catch { throw RPCError(.invalidArgument, error.description) }
    }
  }
}

extension Replica {
  /// Makes a replica that talks over gRPC: takes the other members' calls at the server, and calls them with `tls`.
  package convenience init(
    configuration: ReplicaConfiguration, machine: Machine, server: RPCServer, tls: TLSConfiguration? = nil
  ) {
    self.init(
      configuration: configuration, machine: machine,
      transport: GRPCTransport(
        clusterID: configuration.clusterID, groupID: configuration.groupID, nodeID: configuration.nodeID,
        server: server, tls: tls, address: configuration.members.first { $0.id == configuration.nodeID }?.address))
  }
}
