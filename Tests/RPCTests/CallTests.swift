import EventLoop
import RPC
import Testing

@Suite("Calls between a channel and a server of this package", .timeLimit(.minutes(1)))
struct CallTests {
  @Test("A unary call brings the answer, in both forms")
  @LoopActor
  func unary() async throws {
    let fixture = try EchoFixture()
    let answer = try await fixture.channel.unary(Echo.unary, .with { $0.text = "hi" }, timeoutMilliseconds: 5000)
    #expect(answer.text == "hi")
    let second = await withCheckedContinuation { continuation in
      fixture.channel.unary(Echo.unary, .with { $0.text = "again" }, timeoutMilliseconds: nil) {
        continuation.resume(returning: $0)
      }
    }
    #expect(try second.get().text == "again")
    await fixture.end()
  }

  @Test("A handler's error arrives with code, message and metadata; one of another kind as UNKNOWN")
  @LoopActor
  func errors() async throws {
    let fixture = try EchoFixture()
    await #expect(
      throws: RPCError(.failedPrecondition, "größer als 100 %\n", metadata: [("x-reason", "on demand")])
    ) {
      try await fixture.channel.unary(
        Echo.unary,
        .with {
          $0.failCode = 9
          $0.text = "größer als 100 %\n"
        }, timeoutMilliseconds: nil)
    }
    await #expect(throws: RPCError(.unknown, "something unexpected")) {
      try await fixture.channel.unary(Echo.unary, .with { $0.failCode = 99 }, timeoutMilliseconds: nil)
    }
    await #expect(throws: RPCError(.unimplemented, "unknown method /kunlog.test.v1.Echo/Nothing")) {
      try await fixture.channel.unary(
        RPCMethod<EchoRequest, EchoResponse>(service: "kunlog.test.v1.Echo", method: "Nothing"), EchoRequest(),
        timeoutMilliseconds: nil)
    }
    await fixture.end()
  }

  @Test("A server's stream ends after its last message")
  @LoopActor
  func serverStream() async throws {
    let fixture = try EchoFixture()
    let reader = fixture.channel.serverStream(Echo.count, .with { $0.count = 3 })
    var texts: [String] = []
    while let message = try await reader.next() { texts.append(message.text) }
    #expect(texts == ["0", "1", "2"])
    await fixture.end()
  }

  @Test("Both directions flow at once, and the client's end ends the call")
  @LoopActor
  func bidirectional() async throws {
    let fixture = try EchoFixture()
    let (writer, reader) = fixture.channel.bidirectional(Echo.chat)
    for text in ["a", "b", "c"] {
      try await writer.send(.with { $0.text = text })
      #expect(try await reader.next()?.text == text)
    }
    writer.finish()
    #expect(try await reader.next() == nil)
    await fixture.end()
  }

  @Test("A stream of requests gets one answer")
  @LoopActor
  func clientStream() async throws {
    let fixture = try EchoFixture()
    let (writer, reader) = fixture.channel.bidirectional(Echo.join)
    for text in ["x", "y", "z"] { #expect(writer.trySend(.with { $0.text = text })) }
    writer.finish()
    #expect(try await reader.next()?.text == "x,y,z")
    #expect(try await reader.next() == nil)
    await fixture.end()
  }

  @Test("Callback forms deliver messages and the end in order")
  @LoopActor
  func callbacks() async throws {
    let fixture = try EchoFixture()
    let reader = fixture.channel.serverStream(Echo.count, .with { $0.count = 4 })
    var log: [String] = []
    await withCheckedContinuation { continuation in
      reader.onMessage = { log.append($0.text) }
      reader.onEnd = { error in
        log.append(error.map { "\($0)" } ?? "end")
        continuation.resume()
      }
    }
    #expect(log == ["0", "1", "2", "3", "end"])
    await fixture.end()
  }

  @Test("A deadline ends the call on both sides")
  @LoopActor
  func deadline() async throws {
    let fixture = try EchoFixture()
    // Connected first: a call whose deadline passes before that never reaches the server.
    _ = try await fixture.channel.unary(Echo.unary, EchoRequest(), timeoutMilliseconds: nil)
    let error = await #expect(throws: RPCError.self) {
      try await fixture.channel.unary(
        Echo.unary, .with { $0.delayMilliseconds = 60_000 }, timeoutMilliseconds: 200)
    }
    #expect(error?.code == .deadlineExceeded)
    while fixture.service.cancelled == 0 { try await loopSleep(milliseconds: 1) }
    #expect(fixture.service.cancelled == 1)
    await fixture.end()
  }

  @Test("Cancelling the caller's task, the call or the reader stops the server's handler")
  @LoopActor
  func cancellation() async throws {
    let fixture = try EchoFixture()
    let slow = EchoRequest.with { $0.delayMilliseconds = 60_000 }
    let task = Task { try await fixture.channel.unary(Echo.unary, slow, timeoutMilliseconds: nil) }
    while fixture.service.peerNames.count < 1 { try await loopSleep(milliseconds: 1) }
    task.cancel()
    await #expect(throws: RPCError(.cancelled, "cancelled")) { try await task.value }
    while fixture.service.cancelled < 1 { try await loopSleep(milliseconds: 1) }

    let result = await withCheckedContinuation { continuation in
      let call = fixture.channel.unary(Echo.unary, slow, timeoutMilliseconds: nil) {
        continuation.resume(returning: $0)
      }
      LoopTimer(afterMilliseconds: 5) { call.cancel() }
    }
    #expect(throws: RPCError(.cancelled, "cancelled")) { try result.get() }
    while fixture.service.cancelled < 2 { try await loopSleep(milliseconds: 1) }

    let (writer, reader) = fixture.channel.bidirectional(Echo.chat)
    try await writer.send(.with { $0.text = "a" })
    #expect(try await reader.next()?.text == "a")
    reader.cancel()
    await #expect(throws: RPCError(.cancelled, "cancelled")) { try await reader.next() }
    while fixture.service.cancelled < 3 { try await loopSleep(milliseconds: 1) }
    await fixture.end()
  }

  @Test("A reader that stalls stops the sender after a bounded number of bytes, and others go on meanwhile")
  @LoopActor
  func stalledReader() async throws {
    var options = RPCOptions()
    options.streamWindowBytes = 64 << 10
    options.writerQueueBytes = 32 << 10
    let fixture = try EchoFixture(options: options)
    let reader = fixture.channel.serverStream(
      Echo.count,
      .with {
        $0.count = 1000
        $0.payloadBytes = 10_000
      })
    #expect(try await reader.next()?.text == "0")
    try await loopSleep(milliseconds: 50)
    let counted = fixture.service.counted
    #expect(counted > 5 && counted < 25)
    let answer = try await fixture.channel.unary(Echo.unary, .with { $0.text = "on" }, timeoutMilliseconds: 5000)
    #expect(answer.text == "on")
    var last = ""
    while let message = try await reader.next() { last = message.text }
    #expect(last == "999")
    #expect(fixture.service.counted == 1000)
    await fixture.end()
  }

  @Test("A large message passes; one beyond the limit fails its call with RESOURCE_EXHAUSTED, either side")
  @LoopActor
  func sizes() async throws {
    var options = RPCOptions()
    options.maximumMessageBytes = 3 << 20
    let fixture = try EchoFixture(options: options)
    let payload = EchoRequest.with { $0.payload = .init(repeating: 5, count: 3_000_000) }
    let answer = try await fixture.channel.unary(Echo.unary, payload, timeoutMilliseconds: 10_000)
    #expect(answer.payload.count == 3_000_000)

    let large = EchoRequest.with { $0.payload = .init(repeating: 5, count: 4_000_000) }
    let expected = RPCError(.resourceExhausted, "message of 4000005 bytes exceeds the limit of 3145728")
    await #expect(throws: expected) {
      try await fixture.channel.unary(Echo.unary, large, timeoutMilliseconds: nil)
    }
    let generous = RPCChannel(host: "127.0.0.1", port: fixture.server.port)
    await #expect(throws: expected) { try await generous.unary(Echo.unary, large, timeoutMilliseconds: nil) }
    let tooMuch = fixture.channel.serverStream(
      Echo.count,
      .with {
        $0.count = 1
        $0.payloadBytes = 4_000_000
      })
    let error = await #expect(throws: RPCError.self) { try await tooMuch.next() }
    #expect(error?.code == .resourceExhausted)
    generous.close()
    await fixture.end()
  }

  @Test(
    "A connection that holds too much of incomplete messages gets RESOURCE_EXHAUSTED, before the message's own limit")
  @LoopActor
  func bufferedBytes() async throws {
    var options = RPCOptions()
    options.maximumBufferedBytes = 1 << 20
    let fixture = try EchoFixture(options: options)
    let channel = RPCChannel(host: "127.0.0.1", port: fixture.server.port)
    let error = await #expect(throws: RPCError.self) {
      try await channel.unary(
        Echo.unary, .with { $0.payload = .init(repeating: 5, count: 3_000_000) }, timeoutMilliseconds: nil)
    }
    #expect(error?.code == .resourceExhausted)
    let answer = try await channel.unary(
      Echo.unary, .with { $0.payload = .init(repeating: 5, count: 900_000) }, timeoutMilliseconds: nil)
    #expect(answer.payload.count == 900_000)
    channel.close()
    await fixture.end()
  }

  @Test("Many calls at once share one connection")
  @LoopActor
  func concurrent() async throws {
    let fixture = try EchoFixture()
    var texts: Set<String> = []
    let tasks = (0..<500).map { number in
      Task {
        try await fixture.channel.unary(Echo.unary, .with { $0.text = "\(number)" }, timeoutMilliseconds: 10_000).text
      }
    }
    for task in tasks { texts.insert(try await task.value) }
    #expect(texts.count == 500)
    await fixture.end()
  }
}
