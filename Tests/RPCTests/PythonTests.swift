import EventLoop
import RPC
import Testing

@Suite("Python's gRPC as the client of a server of ours")
struct PythonClientTests {
  @Test(
    "Every form of call, failures, limits, health and reflection",
    arguments: [
      ("unary", "grüezi"),
      ("metadata", "first plain 00ff10"),
      ("status", "FAILED_PRECONDITION: 100 % größer"),
      ("status_metadata", "on demand"),
      ("unimplemented", "UNIMPLEMENTED: unknown method /kunlog.test.v1.Echo/Nothing"),
      ("malformed", "INTERNAL: the message is not a kunlog.test.v1.EchoRequest: malformedProtobuf"),
      ("server_stream", "0 1 2 3 4"),
      ("client_stream", "a,b,c"),
      ("bidirectional", "97 98 99"),
      ("deadline", "DEADLINE_EXCEEDED"),
      ("cancel", "cancelled"),
      ("large", "5000000 True"),
      ("too_large", "RESOURCE_EXHAUSTED: message of 20000005 bytes exceeds the limit of 16777216"),
      ("flow_control", "20000000"),
      ("health", "SERVING"),
      ("health_unknown", "NOT_FOUND: unknown service nobody"),
      ("health_watch", "SERVICE_UNKNOWN"),
      (
        "reflection_services",
        "grpc.health.v1.Health grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection "
          + "kunlog.test.v1.Echo"
      ),
      ("reflection_method", "kunlog.test.v1.CountRequest count,payload_bytes"),
      ("reflection_unknown", "unknown"),
      ("concurrent", "19900"),
    ])
  func outcome(_ name: String, _ expected: String) async throws {
    let outcomes = try await PythonPeer.clientOutcomes.value
    #expect(outcomes[name] == expected)
  }
}

@Suite("Python's gRPC as the server of a channel of ours")
struct PythonServerTests {
  @LoopActor
  private func channel() async throws -> RPCChannel {
    RPCChannel(host: "127.0.0.1", port: try await PythonPeer.serverPort.value)
  }

  @Test("A unary call, small and large")
  @LoopActor
  func unary() async throws {
    let channel = try await channel()
    let small = try await channel.unary(Echo.unary, .with { $0.text = "grüezi" }, timeoutMilliseconds: 10_000)
    #expect(small.text == "grüezi")
    let large = try await channel.unary(
      Echo.unary, .with { $0.payload = .init(repeating: 9, count: 5_000_000) }, timeoutMilliseconds: 30_000)
    #expect(large.payload == .init(repeating: 9, count: 5_000_000))
    channel.close()
  }

  @Test("A status with its message and metadata")
  @LoopActor
  func status() async throws {
    let channel = try await channel()
    await #expect(
      throws: RPCError(.failedPrecondition, "100 % größer", metadata: [("x-reason", "on demand")])
    ) {
      try await channel.unary(
        Echo.unary,
        .with {
          $0.failCode = 9
          $0.text = "100 % größer"
        }, timeoutMilliseconds: 10_000)
    }
    let unknown = RPCMethod<EchoRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Nothing")
    await #expect(throws: RPCError(.unimplemented, "Method not found!")) {
      try await channel.unary(unknown, EchoRequest(), timeoutMilliseconds: 10_000)
    }
    channel.close()
  }

  @Test("Streams in all directions, with metadata before and after")
  @LoopActor
  func streams() async throws {
    let channel = try await channel()
    let count = channel.serverStream(
      Echo.count,
      .with {
        $0.count = 500
        $0.payloadBytes = 10_000
      }, timeoutMilliseconds: 30_000)
    var bytes = 0
    while let message = try await count.next() { bytes += message.payload.count }
    #expect(bytes == 5_000_000)

    let (chat, answers) = channel.bidirectional(Echo.chat, timeoutMilliseconds: 10_000)
    for text in ["a", "b"] {
      try await chat.send(.with { $0.text = text })
      #expect(try await answers.next()?.text == text)
    }
    chat.finish()
    #expect(try await answers.next() == nil)
    #expect(answers.initialMetadata["x-initial"] == "first")
    #expect(answers.trailingMetadata.bytes("x-last-bin") == [1, 2])

    let (parts, joined) = channel.bidirectional(Echo.join, timeoutMilliseconds: 10_000)
    for text in ["x", "y", "z"] { try await parts.send(.with { $0.text = text }) }
    parts.finish()
    #expect(try await joined.next()?.text == "x,y,z")
    channel.close()
  }

  @Test("A deadline, and a cancellation")
  @LoopActor
  func deadline() async throws {
    let channel = try await channel()
    let slow = EchoRequest.with { $0.delayMilliseconds = 5000 }
    let error = await #expect(throws: RPCError.self) {
      try await channel.unary(Echo.unary, slow, timeoutMilliseconds: 50)
    }
    #expect(error?.code == .deadlineExceeded)
    let task = Task { try await channel.unary(Echo.unary, slow, timeoutMilliseconds: nil) }
    try await loopSleep(milliseconds: 20)
    task.cancel()
    await #expect(throws: RPCError(.cancelled, "cancelled")) { try await task.value }
    channel.close()
  }
}
