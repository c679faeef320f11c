import EventLoop
import PostgresWire
import SQLTypes
import Testing

@testable import ComputeNode

/// A listener on a free port of the loopback, with fake backends.
@LoopActor
func listen(
  _ factory: FakeBackendFactory, _ change: (inout PostgresListener.Configuration) -> Void = { _ in }
) throws -> PostgresListener {
  var configuration = PostgresListener.Configuration(host: "127.0.0.1", port: 0)
  change(&configuration)
  return try PostgresListener(configuration: configuration, factory: factory)
}

/// Waits for a condition that another connection brings about.
@LoopActor
func eventually(_ condition: @LoopActor () -> Bool) async throws -> Bool {
  for _ in 0..<500 {
    if condition() { return true }
    try await loopSleep(milliseconds: 10)
  }
  return false
}

@Suite("A session's start")
struct SessionStartTests {
  @Test("The right password opens a session and reports its settings")
  @LoopActor func opens() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    #expect(await client.start() == ["R 10", "R 11", "R 12", "R 0", "K", "Z I"])
    #expect(client.settings["server_version"] == "15.8")
    #expect(client.settings["server_encoding"] == "UTF8")
    #expect(client.settings["integer_datetimes"] == "on")
    #expect(client.settings["application_name"] == "test")
    #expect(client.settings["session_authorization"] == "abc")
    client.close()
  }

  @Test("A wrong password and an unknown role fail alike")
  @LoopActor func refusesPassword() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let wrong = try await TestClient(port: listener.port)
    #expect(
      await wrong.start(password: "x") == [
        "R 10", "R 11", "E FATAL 28P01: password authentication failed for user \"abc\"",
      ])
    let unknown = try await TestClient(port: listener.port)
    #expect(
      await unknown.start(user: "nobody") == [
        "R 10", "R 11", "E FATAL 28P01: password authentication failed for user \"nobody\"",
      ])
    #expect(try await eventually { listener.connectionCount == 0 })
  }

  @Test("An unknown database is refused after authentication")
  @LoopActor func refusesDatabase() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    #expect(
      await client.start(database: "x") == [
        "R 10", "R 11", "R 12", "R 0", "E FATAL 3D000: database \"x\" does not exist",
      ])
  }

  @Test("Requests for encryption that is not there are answered with N, then the session starts")
  @LoopActor func answersEncryptionRequests() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    client.send([0, 0, 0, 8, 4, 210, 22, 48])
    #expect(await client.nextByte() == UInt8(ascii: "N"))
    client.send([0, 0, 0, 8, 4, 210, 22, 47])
    #expect(await client.nextByte() == UInt8(ascii: "N"))
    #expect(await client.start().last == "Z I")
    client.close()
  }

  @Test("One session too many is refused with 53300 and the others go on")
  @LoopActor func refusesTooMany() async throws {
    let listener = try listen(FakeBackendFactory()) { $0.maximumSessions = 1 }
    defer { listener.close() }
    let first = try await TestClient(port: listener.port)
    await first.start()
    let second = try await TestClient(port: listener.port)
    #expect(await second.start() == ["E FATAL 53300: sorry, too many clients already"])
    #expect(await first.query("rows 1") == ["T", "D 1|row 1", "C SELECT 1", "Z I"])
    first.close()
    #expect(try await eventually { listener.sessionCount == 0 })
    let third = try await TestClient(port: listener.port)
    #expect(await third.start().last == "Z I")
    third.close()
  }

  @Test("A client that never says who it is is cut off")
  @LoopActor func timesOut() async throws {
    let listener = try listen(FakeBackendFactory()) { $0.authenticationTimeoutMilliseconds = 50 }
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    #expect(await client.readToReady() == ["E FATAL 57014: canceling authentication due to timeout"])
    #expect(try await eventually { listener.connectionCount == 0 })
  }

  @Test("Another major version is refused, another minor version is negotiated")
  @LoopActor func checksVersion() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let old = try await TestClient(port: listener.port)
    old.sendStartup(version: 131_072)
    #expect(
      await old.readToReady() == [
        "E FATAL 0A000: unsupported frontend protocol 2.0: server supports 3.0 to 3.0"
      ])
    let new = try await TestClient(port: listener.port)
    new.sendStartup(version: 196_610)
    #expect(await new.next()?.tag == "v")
    #expect(await new.next()?.tag == "R")
    new.close()
  }

  @Test("A shutdown tells the clients and ends their connections")
  @LoopActor func shutsDown() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    let client = try await TestClient(port: listener.port)
    await client.start()
    listener.close()
    #expect(
      await client.readToReady() == ["E FATAL 57P01: terminating connection due to administrator command"])
    #expect(try await eventually { factory.closes == 1 && listener.connectionCount == 0 })
  }
}

@Suite("A session's commands")
struct SessionCommandTests {
  @Test("Several statements run in one implicit transaction that an error undoes")
  @LoopActor func runsImplicitTransaction() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    #expect(await client.query("insert a; insert b") == ["C INSERT 0 1", "C INSERT 0 1", "Z I"])
    #expect(
      await client.query("insert c; fail; insert d")
        == ["C INSERT 0 1", "E ERROR 22012: division by zero at 10", "Z I"])
    #expect(await client.query("show") == ["T", "D a", "D b", "C SELECT 2", "Z I"])
    #expect(factory.endsTransactionSeen == [false, true, false])
    #expect(await client.query("") == ["I", "Z I"])
    #expect(await client.query("syntax error") == ["E ERROR 42601: syntax error at 1", "Z I"])
    client.close()
  }

  @Test("A failed block refuses everything until its end")
  @LoopActor func failsBlock() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    #expect(await client.query("begin") == ["C BEGIN", "Z T"])
    #expect(await client.query("fail") == ["E ERROR 22012: division by zero at 1", "Z E"])
    #expect(
      await client.query("rows 1") == [
        "E ERROR 25P02: current transaction is aborted, commands ignored until end of transaction block", "Z E",
      ])
    #expect(await client.query("rollback") == ["C ROLLBACK", "Z I"])
    client.close()
  }

  @Test("A pipeline with an error goes on after Sync")
  @LoopActor func pipelines() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    func run(_ sql: String) -> [UInt8] {
      TestClient.message("P", [0] + TestClient.text(sql) + [0, 0])
        + TestClient.message("B", [0, 0, 0, 0, 0, 0, 0, 0]) + TestClient.message("E", [0, 0, 0, 0, 0])
    }
    let sync = TestClient.message("S")
    client.send(
      run("insert a") + run("insert b") + sync + run("insert c") + run("fail") + run("insert d") + sync + run("show")
        + sync)
    #expect(await client.readToReady() == ["1", "2", "C INSERT 0 1", "1", "2", "C INSERT 0 1", "Z I"])
    #expect(
      await client.readToReady() == [
        "1", "2", "C INSERT 0 1", "1", "2", "E ERROR 22012: division by zero at 1", "Z I",
      ])
    #expect(await client.readToReady() == ["1", "2", "D a", "D b", "C SELECT 2", "Z I"])
    // Only the statement right before Sync may commit at once.
    #expect(factory.endsTransactionSeen == [false, true, false])
    client.close()
  }

  @Test("A portal is fetched in pieces")
  @LoopActor func fetchesInPieces() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("P", [0] + TestClient.text("rows 5") + [0, 0])
    client.send("B", [0, 0, 0, 0, 0, 0, 0, 0])
    for _ in 0..<3 { client.send("E", [0, 0, 0, 0, 2]) }
    client.send("S")
    #expect(
      await client.readToReady() == [
        "1", "2", "D 1|row 1", "D 2|row 2", "s", "D 3|row 3", "D 4|row 4", "s", "D 5|row 5", "C SELECT 1", "Z I",
      ])
    client.close()
  }

  @Test("COPY in both directions")
  @LoopActor func copies() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("Q", TestClient.text("copy t from stdin"))
    client.send("d", Array("1\ton".utf8))
    client.send("d", Array("e\n2\t\\N\n".utf8))
    client.send("c")
    #expect(await client.readToReady() == ["G", "C COPY 2", "Z I"])
    #expect(factory.committed == ["1|one", "2|NULL"])
    client.send("Q", TestClient.text("copy t from stdin"))
    client.send("d", Array("3\n".utf8))
    client.send("c")
    #expect(await client.readToReady() == ["G", "E ERROR 22P04: missing data for column \"b\"", "Z I"])
    client.send("Q", TestClient.text("copy t from stdin"))
    client.send("f", TestClient.text("stop"))
    #expect(await client.readToReady() == ["G", "E ERROR 57014: COPY from stdin failed: stop", "Z I"])
    #expect(factory.copiesFailed == 2)
    #expect(factory.committed == ["1|one", "2|NULL"])
    #expect(
      await client.query("copy t to stdout") == [
        "H", "d 1\trow\\t1\n", "d 2\trow\\t2\n", "d 3\trow\\t3\n", "c", "C COPY 3", "Z I",
      ])
    client.close()
  }

  @Test("A cancel request with the right key ends the statement, with a wrong one nothing")
  @LoopActor func cancels() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("Q", TestClient.text("sleep"))
    #expect(try await eventually { factory.sleepersStarted == 1 })
    for key in [client.secretKey &+ 1, client.secretKey] {
      let canceller = try await TestClient(port: listener.port)
      canceller.send(
        [0, 0, 0, 16, 4, 210, 22, 46] + TestClient.int32(Int(client.processID)) + TestClient.int32(Int(key)))
      await canceller.waitForClose()
    }
    #expect(await client.readToReady() == ["E ERROR 57014: canceling statement due to user request", "Z I"])
    #expect(factory.cancels == 1)
    client.close()
  }

  @Test("Notices come before the end of their statement")
  @LoopActor func sendsNotices() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    #expect(await client.query("notice hello") == ["N NOTICE 00000: hello", "C NOTICE", "Z I"])
    client.close()
  }

  @Test("DEALLOCATE reaches the statements that were prepared by message")
  @LoopActor func deallocates() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("P", TestClient.text("s") + TestClient.text("rows 1") + [0, 0])
    client.send("S")
    #expect(await client.readToReady() == ["1", "Z I"])
    #expect(await client.query("deallocate s") == ["C DEALLOCATE", "Z I"])
    #expect(
      await client.query("deallocate s") == ["E ERROR 26000: prepared statement \"s\" does not exist", "Z I"])
    client.close()
  }
}

@Suite("Bad clients")
struct BadClientTests {
  @Test("Random bytes end their connection and nothing else")
  @LoopActor func survivesRandomBytes() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let good = try await TestClient(port: listener.port)
    await good.start()
    var state: UInt64 = 7
    for _ in 0..<20 {
      let bad = try await TestClient(port: listener.port)
      bad.send(
        (0..<300).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return UInt8(state >> 56)
        })
      bad.close()
    }
    #expect(try await eventually { listener.connectionCount == 1 })
    #expect(await good.query("rows 1") == ["T", "D 1|row 1", "C SELECT 1", "Z I"])
    good.close()
  }

  @Test("A message length of 1 GB is refused and the connection ends")
  @LoopActor func refusesHugeMessage() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send([UInt8(ascii: "Q"), 0x40, 0, 0, 0])
    #expect(await client.readToReady() == ["E FATAL 08P01: invalid message length"])
    #expect(client.isClosed)
  }

  @Test("A startup packet of more than 10,000 bytes is refused")
  @LoopActor func refusesHugeStartup() async throws {
    let listener = try listen(FakeBackendFactory())
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    client.send(TestClient.int32(10_001))
    #expect(await client.readToReady() == ["E FATAL 08P01: invalid length of startup packet"])
  }

  @Test("A client that vanishes in the middle of a statement cancels it and frees its session")
  @LoopActor func noticesVanishedClient() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("Q", TestClient.text("insert a; sleep"))
    #expect(try await eventually { factory.sleepersStarted == 1 })
    client.connection.abort(nil)
    #expect(try await eventually { factory.closes == 1 && listener.connectionCount == 0 })
    #expect(factory.committed.isEmpty)
  }

  @Test("A client that vanishes in the middle of COPY leaves nothing behind")
  @LoopActor func noticesVanishedCopy() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.send("Q", TestClient.text("copy t from stdin"))
    #expect(await client.next()?.tag == "G")
    client.send("d", Array("1\tone\n".utf8))
    client.connection.abort(nil)
    #expect(try await eventually { factory.closes == 1 })
    #expect(factory.copiesFailed == 1)
    #expect(factory.committed.isEmpty)
  }

  @Test("A client that never reads stops the rows and is cut off")
  @LoopActor func stopsForSlowClient() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory) { $0.stallTimeoutMilliseconds = 300 }
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.connection.pauseReading()
    client.send("Q", TestClient.text("wide 1000000"))
    #expect(try await eventually { factory.closes == 1 && listener.connectionCount == 0 })
    let produced = factory.lastWide?.produced ?? 0
    // A gigabyte was asked for; what the kernel's buffers and the queue hold was produced.
    #expect(produced > 0 && produced < 30_000, "\(produced) rows were produced")
    #expect(factory.lastWide?.isClosed == true)
    client.connection.abort(nil)
  }

  @Test("A client that sends commands and reads no answers does not fill the memory")
  @LoopActor func boundsPipelines() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory) { $0.stallTimeoutMilliseconds = 300 }
    defer { listener.close() }
    let client = try await TestClient(port: listener.port)
    await client.start()
    client.connection.pauseReading()
    let query = TestClient.message("Q", TestClient.text("wide 50"))
    for _ in 0..<20 {
      client.send(Array(repeatElement(query, count: 1000).joined()))
      try await loopSleep(milliseconds: 1)
    }
    #expect(try await eventually { factory.closes == 1 && listener.connectionCount == 0 })
    client.connection.abort(nil)
  }
}
