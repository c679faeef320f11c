import ArgumentParser
import ComputeNode
import EventLoop
import Glibc
import Metadata
import MetadataClient

/// `kunlog access`: who is let in without a certificate.
struct AccessCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access", abstract: "Tokens for people and tools: make, list and revoke them.",
    subcommands: [AccessTokenCommand.self])
}

/// `kunlog access token`.
struct AccessTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Secrets that stand for a certificate; the log keeps their digests only.",
    subcommands: [AccessTokenCreate.self, AccessTokenList.self, AccessTokenRevoke.self])
}

/// `kunlog access token create`.
struct AccessTokenCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a token; it is shown this once.")

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Whose it is: letters, digits, '.', '_' and '-', 64 at most.")
  var name: String

  @Option(name: .long, help: "admin, operator or reader: see docs/security.md.")
  var role = "reader"

  @Option(name: .long, help: "How long it is good for: 90m, 12h, 30d, or never.")
  var expires = "30d"

  @Option(name: .long, help: "Write it to this file, which must not exist, instead of printing it.")
  var output: String?

  @LoopActor
  func run() async throws {
    guard let role = AccessRole(rawValue: role), !role.isNode else {
      throw ValidationError("--role is admin, operator or reader. Nodes need certificates: kunlog cert node.")
    }
    guard AccessIdentity.isName(name) else {
      throw ValidationError("--name has letters, digits, '.', '_' and '-', 64 at most.")
    }
    let end = try Self.seconds(expires).map { Int64(time(nil)) + $0 }
    if let output, FileSystem.exists(output) { throw ValidationError("\(output) exists already.") }
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    guard client.image.accessToken(named: name) == nil else {
      throw ValidationError("There is a token \(name) already. Revoke it first: kunlog access token revoke \(name)")
    }
    let text = AccessToken.text(name: name, secret: SecureRandom.bytes(32))
    let token = AccessToken(name: name, role: role, expiresSeconds: end, token: text)
    // Before the log knows it: a token that nobody has would be of no use.
    if let output { try FileSystem.write(output, Array((text + "\n").utf8)) }
    _ = try await client.append([.setSetting(name: token.settingName, value: token.settingValue)])
    if output == nil { print(text) }
  }

  /// nil: for ever.
  static func seconds(_ text: String) throws -> Int64? {
    if text == "never" { return nil }
    let units: [Character: Int64] = ["m": 60, "h": 3600, "d": 86_400]
    guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
      (1...1_000_000).contains(count)
    else { throw ValidationError("--expires '\(text)' is not like 90m, 12h, 30d or never.") }
    return count * unit
  }
}

/// `kunlog access token list`.
struct AccessTokenList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "The tokens that there are.")

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "As JSON.")
  var json = false

  private struct Listed: Encodable {
    var name: String
    var role: String
    /// Seconds since 1970-01-01 UTC.
    var expires: Int64?
    var isExpired: Bool
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let now = Int64(time(nil))
    let tokens = client.image.accessTokens
    if json {
      return try printJSON(
        tokens.map {
          Listed(
            name: $0.name, role: $0.role.rawValue, expires: $0.expiresSeconds, isExpired: $0.isExpired(atSeconds: now))
        })
    }
    var table = TextTable(header: ["NAME", "ROLE", "ENDS"])
    for token in tokens {
      let left = token.expiresSeconds.map { $0 - now }
      let end = left.map { $0 <= 0 ? "has ended" : $0 < 86_400 ? "in \($0 / 60) minutes" : "in \($0 / 86_400) days" }
      table.add([token.name, token.role.rawValue, end ?? "never"])
    }
    print(table.text)
  }
}

/// `kunlog access token revoke`.
struct AccessTokenRevoke: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "End a token now; streams that were opened with it end too.")

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "The token's name.")
  var name: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    guard let token = client.image.accessToken(named: name) else {
      throw ValidationError("There is no token \(name). Those that there are: kunlog access token list")
    }
    _ = try await client.append([.setSetting(name: token.settingName, value: nil)])
    print("\(name) is revoked")
  }
}
