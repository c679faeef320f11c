import EventLoop
import PostgresWire

@testable import ComputeNode

/// A client of the protocol that shows what it receives, one line per message.
@LoopActor
final class TestClient {
  let connection: Connection
  private var buffer: [UInt8] = []
  private var waiter: UnsafeContinuation<Void, Never>?
  private(set) var isClosed = false
  private(set) var processID: Int32 = 0
  private(set) var secretKey: Int32 = 0
  private(set) var settings: [String: String] = [:]

  init(port: Int) async throws {
    connection = try await Connection.connect(host: "127.0.0.1", port: port, tls: nil, timeoutMilliseconds: 5000)
    connection.onBytes = { [unowned self] in
      buffer.append(contentsOf: $0)
      wake()
    }
    connection.onClose = { [self] _ in
      isClosed = true
      wake()
    }
  }

  private func wake() {
    if let waiter {
      self.waiter = nil
      waiter.resume()
    }
  }

  func send(_ bytes: [UInt8]) { connection.write(bytes) }

  static func int32(_ value: Int) -> [UInt8] {
    [UInt8(value >> 24 & 255), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
  }

  static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

  static func message(_ tag: Character, _ body: [UInt8] = []) -> [UInt8] {
    [tag.asciiValue ?? 0] + int32(body.count + 4) + body
  }

  func send(_ tag: Character, _ body: [UInt8] = []) { send(Self.message(tag, body)) }

  /// Waits until something comes or the connection ends.
  private func waitForBytes() async {
    if !isClosed { await withUnsafeContinuation { waiter = $0 } }
  }

  /// The next message; nil where the connection has ended.
  func next() async -> (tag: Character, body: [UInt8])? {
    while true {
      if buffer.count >= 5 {
        let length = buffer[1..<5].reduce(0) { $0 << 8 | Int($1) }
        if buffer.count >= 1 + length {
          let tag = Character(Unicode.Scalar(buffer[0]))
          let body = Array(buffer[5..<1 + length])
          buffer.removeFirst(1 + length)
          return (tag, body)
        }
      }
      if isClosed { return nil }
      await waitForBytes()
    }
  }

  /// One bare byte, the answer to a request for encryption.
  func nextByte() async -> UInt8? {
    while buffer.isEmpty, !isClosed { await waitForBytes() }
    return buffer.isEmpty ? nil : buffer.removeFirst()
  }

  func sendStartup(user: String = "abc", database: String = "postgres", version: Int = 196_608) {
    let body =
      Self.int32(version) + Self.text("user") + Self.text(user) + Self.text("database") + Self.text(database)
      + Self.text("application_name") + Self.text("test") + [0]
    send(Self.int32(body.count + 4) + body)
  }

  /// Starts a session; the messages up to ReadyForQuery or the end, without the settings.
  @discardableResult
  func start(user: String = "abc", password: String = "abc", database: String = "postgres") async -> [String] {
    sendStartup(user: user, database: database)
    var shown: [String] = []
    let bare = "n=,r=clientnonce"
    var serverFirst = ""
    while let (tag, body) = await next() {
      switch (tag, body.prefix(4).last) {
      case ("R", 10):
        let first = Array("n,,\(bare)".utf8)
        send("p", Self.text("SCRAM-SHA-256") + Self.int32(first.count) + first)
      case ("R", 11):
        serverFirst = String(decoding: body.dropFirst(4), as: UTF8.self)
        send("p", Array(Self.clientFinal(bare: bare, serverFirst: serverFirst, password: password).utf8))
      case ("S", _):
        let parts = body.split(separator: 0, omittingEmptySubsequences: false)
        settings[String(decoding: parts[0], as: UTF8.self)] = String(decoding: parts[1], as: UTF8.self)
        continue
      case ("K", _):
        processID = body[0..<4].reduce(0) { $0 << 8 | Int32($1) }
        secretKey = body[4..<8].reduce(0) { $0 << 8 | Int32($1) }
      default: break
      }
      shown.append(Self.show(tag, body))
      if tag == "Z" { break }
    }
    return shown
  }

  private static func clientFinal(bare: String, serverFirst: String, password: String) -> String {
    let cryptography = SCRAMCryptography.openSSL
    let attributes = serverFirst.split(separator: ",")
    let salt = Base64.decode(attributes[1].dropFirst(2)) ?? []
    let salted = cryptography.pbkdf2(Array(password.utf8), salt, Int(attributes[2].dropFirst(2)) ?? 1)
    let clientKey = cryptography.hmac(salted, Array("Client Key".utf8))
    let withoutProof = "c=biws,\(attributes[0])"
    let signed = Array("\(bare),\(serverFirst),\(withoutProof)".utf8)
    let signature = cryptography.hmac(cryptography.sha256(clientKey), signed)
    return "\(withoutProof),p=\(Base64.encode(zip(clientKey, signature).map { $0 ^ $1 }))"
  }

  /// Messages up to and including ReadyForQuery, or to the end of the connection.
  func readToReady() async -> [String] {
    var shown: [String] = []
    while let (tag, body) = await next() {
      shown.append(Self.show(tag, body))
      if tag == "Z" { break }
    }
    return shown
  }

  func query(_ sql: String) async -> [String] {
    send("Q", Self.text(sql))
    return await readToReady()
  }

  /// Waits until the other side has ended the connection.
  func waitForClose() async {
    while !isClosed { await waitForBytes() }
  }

  func close() { connection.close() }

  /// A message on one line: its type and what matters of its content.
  static func show(_ tag: Character, _ body: [UInt8]) -> String {
    switch tag {
    case "C", "S": return "\(tag) " + String(decoding: body.filter { $0 != 0 }, as: UTF8.self)
    case "Z": return "Z \(Character(Unicode.Scalar(body[0])))"
    case "R": return "R \(body[3])"
    case "D": return "D " + values(body).joined(separator: "|")
    case "d": return "d " + String(decoding: body, as: UTF8.self)
    case "E", "N":
      var fields: [Character: String] = [:]
      for field in body.split(separator: 0) {
        fields[Character(Unicode.Scalar(field[field.startIndex]))] = String(decoding: field.dropFirst(), as: UTF8.self)
      }
      let position = fields["P"].map { " at \($0)" } ?? ""
      return "\(tag) \(fields["S"] ?? "") \(fields["C"] ?? ""): \(fields["M"] ?? "")\(position)"
    default: return String(tag)
    }
  }

  private static func values(_ body: [UInt8]) -> [String] {
    var values: [String] = []
    var offset = 2
    while offset < body.count {
      let length = body[offset..<offset + 4].reduce(Int32(0)) { $0 << 8 | Int32($1) }
      offset += 4
      if length < 0 {
        values.append("NULL")
      } else {
        values.append(String(decoding: body[offset..<offset + Int(length)], as: UTF8.self))
        offset += Int(length)
      }
    }
    return values
  }
}
