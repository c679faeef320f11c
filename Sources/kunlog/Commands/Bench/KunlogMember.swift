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
  private static let appendStream = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "AppendStream")
  private static let readIndex = RPCMethod<Kunlog_Metadata_V1_ReadIndexRequest, Kunlog_Metadata_V1_ReadIndexResponse>(
    service: service, method: "ReadIndex")
  private static let status = RPCMethod<Kunlog_Metadata_V1_StatusRequest, Kunlog_Metadata_V1_StatusResponse>(
    service: service, method: "Status")
  /// The log remembers the latest 1024 requests of each client: many writers do not share a name.
  private static let writersPerClient = 256

  let channel: RPCChannel
  private let run = String(UInt64.random(in: 0...UInt64.max), radix: 36)
  private var clients: [String] = []
  private var lastSequence: UInt64 = 0
  private var stream: AppendStreamClient?

  init(_ channel: RPCChannel) { self.channel = channel }

  func append(_ append: BenchAppend, then: @escaping @LoopActor (BenchOutcome) -> Void) {
    let request = request(append)
    guard append.isStreamed else {
      channel.unary(Self.append, request, timeoutMilliseconds: append.timeoutMilliseconds) { then(Self.outcome($0)) }
      return
    }
    if stream == nil {
      stream = AppendStreamClient(channel.bidirectional(Self.appendStream)) { [weak self] in self?.stream = nil }
    }
    stream?.send(request) { then(Self.outcome($0)) }
  }

  private func request(_ append: BenchAppend) -> Kunlog_Metadata_V1_AppendRequest {
    lastSequence += 1
    let position = append.writer / Self.writersPerClient
    while clients.count <= position { clients.append("\(run)-\(clients.count)") }
    var request = Kunlog_Metadata_V1_AppendRequest()
    request.principal = "bench"
    request.requestID.client = clients[position]
    request.requestID.sequence = lastSequence
    request.omitEvents = true
    var command = Kunlog_Metadata_V1_Command()
    command.recordNote.topic = "bench"
    command.recordNote.content = BenchValue.data(append.valueBytes, lastSequence)
    request.commands = Array(repeating: command, count: append.events)
    return request
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
    try await append([.createCluster(draft)])
  }

  /// Appends commands that are not a measurement.
  func append(_ commands: [Command]) async throws {
    let request = AppendRequest(principal: "bench", commands: commands).wire(clusterID: nil)
    let response = try await channel.unary(Self.append, request, timeoutMilliseconds: 5000)
    if case .rejected(let rejected) = response.kind { throw RPCError(.failedPrecondition, rejected.message) }
  }

  func close() { channel.close() }
}

/// One stream of appends, answered in their order.
@LoopActor
private final class AppendStreamClient {
  typealias Completion = @LoopActor (Result<Kunlog_Metadata_V1_AppendResponse, RPCError>) -> Void

  private let writer: RPCWriter<Kunlog_Metadata_V1_AppendRequest>
  private let reader: RPCReader<Kunlog_Metadata_V1_AppendResponse>
  /// For those that are not answered, the oldest at `first`.
  private var waiting: [Completion] = []
  private var first = 0
  private var end: RPCError?
  private var onEnd: @LoopActor () -> Void
  /// For those that wait for room.
  private var unsent: [Kunlog_Metadata_V1_AppendRequest] = []

  init(
    _ stream: (RPCWriter<Kunlog_Metadata_V1_AppendRequest>, RPCReader<Kunlog_Metadata_V1_AppendResponse>),
    onEnd: @escaping @LoopActor () -> Void
  ) {
    (writer, reader) = stream
    self.onEnd = onEnd
    reader.onMessage = { [self] in answered($0) }
    reader.onEnd = { [self] in ended($0 ?? RPCError(.unavailable, "the server ended the stream")) }
    writer.onReady = { [self] in sendUnsent() }
  }

  func send(_ request: Kunlog_Metadata_V1_AppendRequest, then: @escaping Completion) {
    if let end { return then(.failure(end)) }
    waiting.append(then)
    if !unsent.isEmpty || !writer.trySend(request) { unsent.append(request) }
  }

  private func sendUnsent() {
    var sent = 0
    while sent < unsent.count, writer.trySend(unsent[sent]) { sent += 1 }
    unsent.removeFirst(sent)
  }

  private func answered(_ response: Kunlog_Metadata_V1_AppendResponse) {
    guard first < waiting.count else { return reader.cancel() }
    let then = waiting[first]
    first += 1
    if first >= 1024 {
      waiting.removeFirst(first)
      first = 0
    }
    then(.success(response))
  }

  private func ended(_ error: RPCError) {
    guard end == nil else { return }
    end = error
    onEnd()
    let failed = waiting[first...]
    waiting = []
    first = 0
    for then in failed { then(.failure(error)) }
  }
}
