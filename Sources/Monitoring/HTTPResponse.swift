/// An answer of HTTP.
struct HTTPResponse {
  var status: Int
  var contentType = "text/plain; charset=utf-8"
  var body: [UInt8]
  /// The methods that the path takes, where the request's is none of them.
  var allow: String?

  /// A line of text.
  init(_ status: Int, _ text: String) {
    self.status = status
    body = Array((text + "\n").utf8)
  }

  init(_ contentType: String, _ body: [UInt8]) {
    status = 200
    self.contentType = contentType
    self.body = body
  }

  /// What goes over the connection; without the body where only the head was asked for.
  func bytes(keepsAlive: Bool, omitsBody: Bool) -> [UInt8] {
    var head = "HTTP/1.1 \(status) \(Self.reason(status))\r\n"
    head += "Content-Type: \(contentType)\r\nContent-Length: \(body.count)\r\nCache-Control: no-store\r\n"
    if let allow { head += "Allow: \(allow)\r\n" }
    head += "Connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
    return Array(head.utf8) + (omitsBody ? [] : body)
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 400: "Bad Request"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 431: "Request Header Fields Too Large"
    case 503: "Service Unavailable"
    default: "Error"
    }
  }
}
