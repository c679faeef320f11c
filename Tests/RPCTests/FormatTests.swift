import EventLoop
import Testing

@testable import RPC

@Suite("Text and message formats of gRPC")
struct FormatTests {
  @Test(
    "Base64 as RFC 4648 has it, padded or not",
    arguments: [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")])
  func base64(_ plain: String, _ encoded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == encoded)
    #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
    #expect(Base64.decode((encoded + "==").utf8) == Array(plain.utf8))
    #expect(Base64.decode("Z".utf8) == nil)
    #expect(Base64.decode("Z!".utf8) == nil)
  }

  @Test("A status message is percent-encoded UTF-8")
  func percent() {
    #expect(StatusText.percentEncode("50 % ü\n") == Array("50 %25 %C3%BC%0A".utf8))
    let decoded = Array("50 %25 %C3%BC%0A %zz %4".utf8).withUnsafeBufferPointer { StatusText.percentDecode($0) }
    #expect(decoded == "50 % ü\n %zz %4")
  }

  @Test(
    "A timeout is at most eight digits and a unit",
    arguments: [
      ("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000), ("4m", 4_000_000), ("5u", 5000),
      ("6n", 6), ("99999999n", 99_999_999), ("99999999H", 315_360_000_000_000_000), ("", nil), ("1", nil), ("m", nil),
      ("1x", nil), ("-1m", nil),
      ("123456789m", nil),
    ] as [(String, UInt64?)])
  func timeout(_ text: String, _ nanoseconds: UInt64?) {
    let parsed = Array(text.utf8).withUnsafeBufferPointer { StatusText.timeoutNanoseconds($0) }
    #expect(parsed == nanoseconds)
  }

  @Test("Messages are found however the bytes are cut", arguments: 1...13)
  func deframing(_ size: Int) throws {
    let bytes: [UInt8] = [0, 0, 0, 0, 2, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]
    var deframer = MessageDeframer()
    var messages: [[UInt8]] = []
    var position = 0
    while position < bytes.count {
      let piece = Array(bytes[position..<min(position + size, bytes.count)])
      position += size
      try piece.withUnsafeBytes { try deframer.receive($0, maximumBytes: 10) { messages.append(Array($0)) } }
    }
    #expect(messages == [[10, 11], [], [1, 2, 3]])
    #expect(deframer.isAtBoundary)
  }

  @Test("A length beyond the limit and a compressed message are refused at their prefix")
  func refusedFrames() {
    var deframer = MessageDeframer()
    #expect(throws: RPCError(.resourceExhausted, "message of 4294967295 bytes exceeds the limit of 10")) {
      let prefix: [UInt8] = [0, 255, 255, 255, 255]
      try prefix.withUnsafeBytes { try deframer.receive($0, maximumBytes: 10) { _ in } }
    }
    var other = MessageDeframer()
    #expect(throws: RPCError(.unimplemented, "the message is compressed, which was not agreed on")) {
      let prefix: [UInt8] = [1, 0, 0, 0, 1, 0]
      try prefix.withUnsafeBytes { try other.receive($0, maximumBytes: 10) { _ in } }
    }
  }

  @Test("Metadata keep their order; a -bin name carries bytes")
  func metadata() {
    var metadata: RPCMetadata = [("Name", "value"), ("name", "second")]
    metadata.add("key-bin", [0, 255])
    #expect(metadata["name"] == "value")
    #expect(metadata["key-bin"] == "AP8")
    #expect(metadata.bytes("key-bin") == [0, 255])
    #expect(metadata.count == 3)
  }
}
