import Testing

@testable import Monitoring

@Suite("Requests of HTTP")
struct HTTPRequestParserTests {
  private func parse(_ text: String) throws -> [HTTPRequestHead] {
    var parser = HTTPRequestParser()
    Array(text.utf8).withUnsafeBytes { parser.append($0) }
    var heads: [HTTPRequestHead] = []
    while let head = try parser.next() { heads.append(head) }
    return heads
  }

  @Test("A head is read whole, bytewise or several at once, and its query is left out")
  func heads() throws {
    let text = "GET /metrics?name=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\r\nHEAD /healthz HTTP/1.0\n\n"
    let expected = [
      HTTPRequestHead(method: "GET", path: "/metrics", keepsAlive: false, hasBody: false),
      HTTPRequestHead(method: "HEAD", path: "/healthz", keepsAlive: false, hasBody: false),
    ]
    #expect(try parse(text) == expected)
    var parser = HTTPRequestParser()
    var heads: [HTTPRequestHead] = []
    for byte in text.utf8 {
      withUnsafeBytes(of: byte) { parser.append($0) }
      if let head = try parser.next() { heads.append(head) }
    }
    #expect(heads == expected)
    #expect(!parser.isInRequest)
  }

  @Test("HTTP/1.1 keeps the connection, HTTP/1.0 where it is asked to; a body is noticed")
  func connections() throws {
    #expect(try parse("GET / HTTP/1.1\r\n\r\n")[0].keepsAlive)
    #expect(try parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")[0].keepsAlive)
    #expect(try parse("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")[0].hasBody == false)
    #expect(try parse("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")[0].hasBody)
    #expect(try parse("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")[0].hasBody)
  }

  @Test(
    "What is no request is an error",
    arguments: [
      "GET /\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
      "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nno header\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
      "GET / HTTP/1.1\r\na b: x\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
    ])
  func malformed(_ text: String) {
    #expect { try parse(text) } throws: { ($0 as? HTTPRequestError)?.status == 400 }
  }

  @Test("A line or a head without end is refused as soon as it is too long")
  func tooLong() {
    #expect(throws: HTTPRequestError.lineTooLong) {
      try parse("GET /" + String(repeating: "a", count: 4200))
    }
    #expect(throws: HTTPRequestError.lineTooLong) {
      try parse("GET /" + String(repeating: "a", count: 4200) + " HTTP/1.1\r\n\r\n")
    }
    #expect(throws: HTTPRequestError.headTooLarge) {
      try parse("GET / HTTP/1.1\r\n" + String(repeating: "a: b\r\n", count: 3000))
    }
  }

  /// Numbers from a seed, so that a failure can be repeated.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 33)
    }
  }

  @Test("A hundred random inputs neither trap nor are held for ever")
  func random() {
    let ofRequests = Array("GET / HTTP:1.1\r\n a".utf8)
    for seed in 0..<100 {
      var generator = Numbers(state: UInt64(seed))
      var parser = HTTPRequestParser()
      var total = 0
      reading: while total < 3 * HTTPRequestParser.maximumHeadBytes {
        let bytes = (0..<Int.random(in: 1...1000, using: &generator)).map { _ in
          let bits = generator.next()
          // Some inputs without the ends of lines, some full of what a request is made of.
          return seed % 2 == 0
            ? UInt8(truncatingIfNeeded: bits >> 20) : ofRequests[Int(bits >> 20) % ofRequests.count]
        }
        total += bytes.count
        bytes.withUnsafeBytes { parser.append($0) }
        do { while try parser.next() != nil {} } catch { break reading }
      }
      #expect(total <= HTTPRequestParser.maximumHeadBytes + 1000)
    }
  }
}
