import ArgumentParser

/// A host and a port.
struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  var host: String
  var port: Int
  var description: String { "\(host):\(port)" }

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `host:port`; IPv6 addresses in brackets.
  init(_ text: String) throws {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65535).contains(port)
    else {
      throw ValidationError("'\(text)' is not HOST:PORT.")
    }
    let host = text[..<colon]
    self.init(
      host: host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host), port: port)
  }

  static func list(_ text: String) throws -> [Endpoint] {
    try text.split(separator: ",").map { try Endpoint(String($0)) }
  }
}

/// A member of a replication group on the command line: `id=host:port`.
struct Member: Hashable, Sendable, ExpressibleByArgument, CustomStringConvertible {
  var id: UInt64
  var endpoint: Endpoint
  var description: String { "\(id)=\(endpoint)" }

  init(id: UInt64, endpoint: Endpoint) {
    self.id = id
    self.endpoint = endpoint
  }

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let id = UInt64(parts[0]), let endpoint = try? Endpoint(String(parts[1])) else {
      return nil
    }
    self.init(id: id, endpoint: endpoint)
  }
}
