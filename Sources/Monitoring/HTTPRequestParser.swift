/// What a request asks for, without its body.
struct HTTPRequestHead: Equatable {
  var method: String
  /// Without what follows a question mark.
  var path: String
  /// Whether the client may send another request on the connection.
  var keepsAlive: Bool
  /// Whether a body follows, which nothing here takes.
  var hasBody: Bool
}

/// Why a request cannot be answered as one.
enum HTTPRequestError: Error, Equatable {
  /// Not HTTP/1.
  case malformed(String)
  case lineTooLong
  case headTooLarge

  /// As HTTP numbers it (RFC 9110, section 15).
  var status: Int {
    switch self {
    case .malformed: 400
    case .lineTooLong: 414
    case .headTooLarge: 431
    }
  }

  /// For people.
  var reason: String {
    switch self {
    case .malformed(let what): what
    case .lineTooLong: "the request line has more than \(HTTPRequestParser.maximumLineBytes) bytes"
    case .headTooLarge: "the headers have more than \(HTTPRequestParser.maximumHeadBytes) bytes"
    }
  }
}

/// Takes requests of HTTP/1.1 (RFC 9112) apart, from bytes as they come. Only heads: requests here have no body.
/// Bounded: never holds more than `maximumHeadBytes` and what one read brings.
struct HTTPRequestParser {
  static let maximumLineBytes = 4096
  static let maximumHeadBytes = 16 * 1024

  private var buffer: [UInt8] = []
  /// Up to where the buffer was looked through for the head's end.
  private var searched = 0

  /// Whether part of a request has come.
  var isInRequest: Bool { !buffer.isEmpty }

  mutating func append(_ bytes: UnsafeRawBufferPointer) { buffer += bytes }

  /// The next request; nil where more bytes are needed.
  mutating func next() throws(HTTPRequestError) -> HTTPRequestHead? {
    // Empty lines before a request are to be ignored (section 2.2).
    let blanks = buffer.prefix { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }.count
    if blanks > 0 {
      buffer.removeFirst(blanks)
      searched = 0
    }
    guard let end = headEnd() else {
      if buffer.count > Self.maximumHeadBytes { throw buffer.contains(10) ? .headTooLarge : .lineTooLong }
      if buffer.count > Self.maximumLineBytes, !buffer.contains(10) { throw .lineTooLong }
      return nil
    }
    guard end <= Self.maximumHeadBytes else { throw .headTooLarge }
    let lines = buffer[..<end].split(separator: 10, omittingEmptySubsequences: true).map { line in
      line.last == UInt8(ascii: "\r") ? line.dropLast() : line
    }
    let head = try Self.head(lines.filter { !$0.isEmpty })
    buffer.removeFirst(end)
    searched = 0
    return head
  }

  /// Where the empty line ends that ends a head.
  private mutating func headEnd() -> Int? {
    var index = max(searched, 1)
    while index < buffer.count {
      defer { index += 1 }
      guard buffer[index] == 10 else { continue }
      if buffer[index - 1] == 10 || (index > 1 && buffer[index - 1] == 13 && buffer[index - 2] == 10) {
        return index + 1
      }
    }
    searched = max(0, buffer.count - 2)
    return nil
  }

  private static func head(_ lines: [ArraySlice<UInt8>]) throws(HTTPRequestError) -> HTTPRequestHead {
    guard let request = lines.first else { throw .malformed("no request line") }
    guard request.count <= maximumLineBytes else { throw .lineTooLong }
    let parts = request.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard parts.count == 3, let method = text(parts[0]), let target = text(parts[1]), let version = text(parts[2]),
      !method.isEmpty, method.utf8.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }),
      target.hasPrefix("/")
    else { throw .malformed("the first line is not METHOD /PATH HTTP/1.1") }
    guard version == "HTTP/1.1" || version == "HTTP/1.0" else { throw .malformed("not HTTP/1.1") }
    var head = HTTPRequestHead(
      method: method, path: String(target.prefix { $0 != "?" && $0 != "#" }), keepsAlive: version == "HTTP/1.1",
      hasBody: false)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
        let name = text(line[..<colon])?.lowercased(), !name.contains(where: { $0 == " " || $0 == "\t" })
      else { throw .malformed("a header is not NAME: VALUE") }
      let value = String(decoding: line[line.index(after: colon)...], as: UTF8.self)
        .split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ").lowercased()
      switch name {
      case "connection":
        let options = value.split(separator: ",").map { $0.drop { $0 == " " } }
        if options.contains("close") { head.keepsAlive = false }
        if options.contains("keep-alive") { head.keepsAlive = true }
      case "content-length": if value != "0" { head.hasBody = true }
      case "transfer-encoding": head.hasBody = true
      default: break
      }
    }
    return head
  }

  /// Printable ASCII; nil for anything else.
  private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
    bytes.allSatisfy { (33...126).contains($0) } ? String(decoding: bytes, as: UTF8.self) : nil
  }
}
