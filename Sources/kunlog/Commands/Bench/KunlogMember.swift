import EventLoop
import FoundationEssentials
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// A client of one meta node.
@LoopActor
final class KunlogMember: BenchMember {
  private static let service = "kunlog.metadata.v1.Metadata"
  private static let append = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "Append")
  private static let readIndex = RPCMethod<Kunlog_Metadata_V1_ReadIndexRequest, Kunlog_Metadata_V1_ReadIndexResponse>(
    service: service, method: "ReadIndex")
  private static let status = RPCMethod<Kunlog_Metadata_V1_StatusRequest, Kunlog_Metadata_V1_StatusResponse>(
    service: service, method: "Status")
  /// The log remembers the latest 64 requests of each client: that many writers and more do not share a name.
  private static let writersPerClient = 16

  let channel: RPCChannel
  private let run = String(UInt64.random(in: 0...UInt64.max), radix: 36)
  private var clients: [String] = []
  private var lastSequence: UInt64 = 0

  init(_ channel: RPCChannel) { self.channel = channel }

  func append(
    writer: Int, valueBytes: Int, timeoutMilliseconds: Int?, then: @escaping @LoopActor (BenchOutcome) -> Void
  ) {
    lastSequence += 1
    let position = writer / Self.writersPerClient
    while clients.count <= position { clients.append("\(run)-\(clients.count)") }
    var request = Kunlog_Metadata_V1_AppendRequest()
    request.principal = "bench"
    request.requestID.client = clients[position]
    request.requestID.sequence = lastSequence
    var command = Kunlog_Metadata_V1_Command()
    command.setSetting.name = "bench.note"
    command.setSetting.value = BenchValue.text(valueBytes, lastSequence)
    request.commands = [command]
    channel.unary(Self.append, request, timeoutMilliseconds: timeoutMilliseconds) { then(Self.outcome($0)) }
  }

  static func outcome(_ result: Result<Kunlog_Metadata_V1_AppendResponse, RPCError>) -> BenchOutcome {
    switch result {
    case .success(let response):
      switch response.kind {
      case .appended: return .done
      case .rejected(let rejected): return .refused(rejected.message)
      case .notLeader, nil: return .refused("not the leader")
      }
    case .failure(let error): return .refused("\(error)")
    }
  }

  func read(then: @escaping @LoopActor (BenchOutcome) -> Void) {
    channel.unary(Self.readIndex, Kunlog_Metadata_V1_ReadIndexRequest(), timeoutMilliseconds: nil) {
      then(BenchOutcome($0))
    }
  }

  func ping(then: @escaping @LoopActor (BenchOutcome) -> Void) {
    channel.unary(Self.status, Kunlog_Metadata_V1_StatusRequest(), timeoutMilliseconds: nil) { then(BenchOutcome($0)) }
  }

  func state() async -> BenchMemberState? {
    let status = try? await channel.unary(
      Self.status, Kunlog_Metadata_V1_StatusRequest(), timeoutMilliseconds: 1000)
    return status.map {
      BenchMemberState(isLeader: $0.role == "leader", appliedIndex: $0.appliedIndex, term: $0.term)
    }
  }

  func prepare() async throws {
    // Changes nothing where the cluster exists: its id is the one that the nodes were started with.
    let status = try await channel.unary(
      Self.status, Kunlog_Metadata_V1_StatusRequest(), timeoutMilliseconds: 5000)
    let draft = ClusterDraft(
      id: ClusterID(rawValue: [UInt8](status.clusterID)), name: "bench", roleName: "abc", roleVerifier: nil)
    let request = AppendRequest(principal: "bench", commands: [.createCluster(draft)]).wire(clusterID: nil)
    let response = try await channel.unary(Self.append, request, timeoutMilliseconds: 5000)
    if case .rejected(let rejected) = response.kind { throw RPCError(.failedPrecondition, rejected.message) }
  }

  func close() { channel.close() }
}
