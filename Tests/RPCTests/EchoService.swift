import EventLoop
import RPC

typealias EchoRequest = Kunlog_Test_V1_EchoRequest
typealias EchoResponse = Kunlog_Test_V1_EchoResponse
typealias CountRequest = Kunlog_Test_V1_CountRequest

/// The methods of the test service.
enum Echo {
  static let unary = RPCMethod<EchoRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Unary")
  static let count = RPCMethod<CountRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Count")
  static let chat = RPCMethod<EchoRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Chat")
  static let join = RPCMethod<EchoRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Join")
}

/// The test service, and what it has seen.
@LoopActor
final class EchoService {
  var cancelled = 0
  /// Messages that `Count` has handed to its writer.
  var counted = 0
  var peerNames: [String?] = []

  func register(_ server: RPCServer) {
    server.addDescriptors(RPCTestsDescriptors.fileDescriptorSet)
    server.handle(Echo.unary) { [self] request, context in try await unary(request, context) }
    server.handleStream(Echo.count) { [self] request, writer, _ in
      for number in 0..<request.count {
        try await writer.send(
          .with {
            $0.text = "\(number)"
            $0.payload = .init(repeating: 1, count: Int(request.payloadBytes))
          })
        counted += 1
      }
    }
    server.handleBidirectional(Echo.chat) { [self] reader, writer, context in
      context.onCancel { self.cancelled += 1 }
      while let request = try await reader.next() {
        try await writer.send(
          .with {
            $0.text = request.text
            $0.payload = request.payload
          })
      }
    }
    server.handleBidirectional(Echo.join) { reader, writer, _ in
      var texts: [String] = []
      while let request = try await reader.next() { texts.append(request.text) }
      try await writer.send(.with { $0.text = texts.joined(separator: ",") })
    }
  }

  private func unary(_ request: EchoRequest, _ context: RPCContext) async throws -> EchoResponse {
    peerNames.append(context.peerCommonName)
    if request.delayMilliseconds > 0 {
      do {
        try await loopSleep(milliseconds: Int(request.delayMilliseconds))
      } catch {
        cancelled += 1
        throw error
      }
    }
    if request.failCode != 0 {
      guard let code = RPCStatusCode(rawValue: Int(request.failCode)) else { throw Unexpected() }
      throw RPCError(code, request.text, metadata: [("x-reason", "on demand")])
    }
    var trailing: RPCMetadata = []
    if let value = context.metadata["x-request"] { trailing.add("x-request", value) }
    if let value = context.metadata.bytes("x-request-bin") { trailing.add("x-request-bin", value) }
    context.addTrailingMetadata(trailing)
    context.addInitialMetadata([("x-initial", "first")])
    return .with {
      $0.text = request.text
      $0.payload = request.payload
    }
  }
}

/// An error that is none of RPC's.
struct Unexpected: Error, CustomStringConvertible {
  var description: String { "something unexpected" }
}

/// A server of the test service and a channel to it.
@LoopActor
struct EchoFixture {
  let service = EchoService()
  let server: RPCServer
  let channel: RPCChannel

  init(options: RPCOptions = RPCOptions(), serverTLS: TLSConfiguration? = nil, clientTLS: TLSConfiguration? = nil)
    throws
  {
    server = RPCServer(host: "127.0.0.1", port: 0, tls: serverTLS, options: options)
    service.register(server)
    try server.start()
    channel = RPCChannel(host: "127.0.0.1", port: server.port, tls: clientTLS, options: options)
  }

  func end() async {
    channel.close()
    await server.shutdown()
  }
}
