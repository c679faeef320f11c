import SQLTypes
import Testing

@testable import PostgresWire

/// A tagged message from its parts.
private func message(_ tag: Character, _ body: [UInt8]) -> [UInt8] {
  let length = UInt32(body.count + 4)
  return [tag.asciiValue ?? 0] + bigEndian(length) + body
}

private func bigEndian(_ value: UInt32) -> [UInt8] {
  [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
}

private func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

private func sessionDecoder() -> FrontendDecoder {
  var decoder = FrontendDecoder()
  decoder.phase = .session
  return decoder
}

@Suite("Frontend messages")
struct FrontendDecoderTests {
  /// A Bind of two parameters, the second NULL, results in binary.
  static let bind = message(
    "B",
    text("p") + text("s") + [0, 1, 0, 1] + [0, 2] + [0, 0, 0, 4, 0, 0, 0, 7] + [255, 255, 255, 255] + [0, 1, 0, 1])

  static let cases: [(bytes: [UInt8], message: FrontendMessage)] = [
    (message("Q", text("SELECT 1")), .query("SELECT 1")),
    (
      message("P", text("s") + text("SELECT $1") + [0, 2] + [0, 0, 0, 23] + [0, 0, 0, 0]),
      .parse(ParseMessage(name: "s", sql: "SELECT $1", parameterTypes: [23, 0]))
    ),
    (
      bind,
      .bind(
        BindMessage(
          portal: "p", statement: "s", parameterFormats: [.binary], parameters: ParameterBytes([[0, 0, 0, 7], nil]),
          resultFormats: [.binary]))
    ),
    (message("D", [0x53] + text("s")), .describe(.statement("s"))),
    (message("D", [0x50] + text("")), .describe(.portal(""))),
    (message("E", text("p") + [0, 0, 0, 5]), .execute(portal: "p", rowLimit: 5)),
    (message("E", text("") + [255, 255, 255, 255]), .execute(portal: "", rowLimit: 0)),
    (message("C", [0x50] + text("p")), .close(.portal("p"))),
    (message("H", []), .flush),
    (message("S", []), .sync),
    (message("X", []), .terminate),
    (message("d", [1, 2, 3]), .copyData([1, 2, 3])),
    (message("c", []), .copyDone),
    (message("f", text("no")), .copyFail("no")),
    (message("p", [9, 8]), .authenticationResponse([9, 8])),
    (message("F", [1, 2, 3, 4]), .functionCall),
  ]

  @Test("Every message is read whole", arguments: cases.indices)
  func readsWhole(_ index: Int) throws {
    var decoder = sessionDecoder()
    decoder.append(Self.cases[index].bytes)
    #expect(try decoder.nextMessage() == Self.cases[index].message)
    #expect(try decoder.nextMessage() == nil)
    #expect(decoder.bufferedBytes == 0)
  }

  @Test("All messages in a row are read byte by byte")
  func readsByteByByte() throws {
    var decoder = sessionDecoder()
    var messages: [FrontendMessage] = []
    for byte in Self.cases.flatMap(\.bytes) {
      decoder.append([byte])
      while let message = try decoder.nextMessage() { messages.append(message) }
    }
    #expect(messages == Self.cases.map(\.message))
  }

  @Test("A length of 1 GB is refused before anything of it is waited for")
  func refusesHugeLength() {
    var decoder = sessionDecoder()
    decoder.append([UInt8(ascii: "Q"), 0x40, 0, 0, 0])
    #expect(throws: SQLError(.protocolViolation, "invalid message length")) { try decoder.nextMessage() }
  }

  @Test("A length below its own four bytes is refused")
  func refusesShortLength() {
    var decoder = sessionDecoder()
    decoder.append([UInt8(ascii: "S"), 0, 0, 0, 3])
    #expect(throws: SQLError(.protocolViolation, "invalid message length")) { try decoder.nextMessage() }
  }

  @Test("Before authentication only small messages are taken")
  func refusesLargeBeforeAuthentication() {
    var decoder = FrontendDecoder()
    decoder.phase = .authentication
    decoder.append([UInt8(ascii: "p"), 0, 1, 0, 0])
    #expect(throws: SQLError(.protocolViolation, "invalid message length")) { try decoder.nextMessage() }
  }

  @Test("An unknown type ends the connection")
  func refusesUnknownType() {
    var decoder = sessionDecoder()
    decoder.append([UInt8(ascii: "!")])
    #expect(throws: SQLError(.protocolViolation, "invalid frontend message type 33")) { try decoder.nextMessage() }
  }

  @Test("A Bind that ends early is malformed and the next message is still found")
  func survivesTruncatedBind() throws {
    var decoder = sessionDecoder()
    decoder.append(message("B", text("") + text("") + [0, 0] + [0, 1] + [0, 0, 0, 9, 1]))
    decoder.append(message("S", []))
    #expect(
      try decoder.nextMessage()
        == .malformed(
          tag: UInt8(ascii: "B"), SQLError(.protocolViolation, "insufficient data left in message")))
    #expect(try decoder.nextMessage() == .sync)
  }

  @Test("A Bind that announces 65535 parameters without sending them reserves nothing")
  func refusesAnnouncedParameters() throws {
    var decoder = sessionDecoder()
    decoder.append(message("B", text("") + text("") + [0, 0] + [255, 255]))
    #expect(
      try decoder.nextMessage()
        == .malformed(
          tag: UInt8(ascii: "B"), SQLError(.protocolViolation, "insufficient data left in message")))
  }

  @Test("Text that is not UTF-8 is 22021 and shows the bytes")
  func refusesInvalidText() throws {
    var decoder = sessionDecoder()
    decoder.append(message("Q", [0x61, 0xe9, 0x62, 0x63, 0]))
    #expect(
      try decoder.nextMessage()
        == .malformed(
          tag: UInt8(ascii: "Q"),
          SQLError(
            .characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0xe9 0x62 0x63")))
  }

  @Test("The startup packet's settings are read in order")
  func readsStartup() throws {
    var decoder = FrontendDecoder()
    let body = bigEndian(196_608) + text("user") + text("abc") + text("database") + text("postgres") + [0]
    decoder.append(bigEndian(UInt32(body.count + 4)) + body)
    #expect(
      try decoder.nextStartupPacket()
        == .startup(
          version: 196_608,
          parameters: [
            StartupParameter(name: "user", value: "abc"), StartupParameter(name: "database", value: "postgres"),
          ]))
  }

  @Test("Requests for encryption and cancellation are told apart from the startup packet")
  func readsRequests() throws {
    var decoder = FrontendDecoder()
    decoder.append([0, 0, 0, 8, 4, 210, 22, 47])
    decoder.append([0, 0, 0, 8, 4, 210, 22, 48])
    decoder.append([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 0, 0, 0, 9])
    #expect(try decoder.nextStartupPacket() == .tlsRequest)
    #expect(try decoder.nextStartupPacket() == .gssEncryptionRequest)
    #expect(try decoder.nextStartupPacket() == .cancelRequest(processID: 7, secretKey: 9))
  }

  @Test("A startup packet of more than 10,000 bytes is refused")
  func refusesLongStartup() {
    var decoder = FrontendDecoder()
    decoder.append(bigEndian(10_001))
    #expect(throws: SQLError(.protocolViolation, "invalid length of startup packet")) {
      try decoder.nextStartupPacket()
    }
  }

  @Test("Random bytes never crash the decoder")
  func survivesRandomBytes() {
    var state: UInt64 = 42
    func random() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(state >> 56)
    }
    for round in 0..<500 {
      var decoder = round.isMultiple(of: 2) ? FrontendDecoder() : sessionDecoder()
      decoder.append((0..<200).map { _ in random() })
      // Most rounds end with an error at once; what matters is that all of them end.
      do {
        while true {
          if decoder.phase == .startup {
            guard try decoder.nextStartupPacket() != nil else { break }
          } else {
            guard try decoder.nextMessage() != nil else { break }
          }
        }
      } catch {}
    }
  }

  @Test("Damaged messages never crash the decoder")
  func survivesDamagedMessages() throws {
    for (bytes, _) in Self.cases where bytes.count > 5 {
      for index in 5..<bytes.count {
        for value: UInt8 in [0, 1, 127, 128, 255] {
          var damaged = bytes
          damaged[index] = value
          var decoder = sessionDecoder()
          decoder.append(damaged)
          _ = try decoder.nextMessage()
        }
      }
    }
  }
}
