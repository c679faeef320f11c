import AccessControl
import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata

/// `kunlog cert renew`: the same identity and hosts, a new key, a new validity.
struct CertRenew: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "renew", abstract: "Renew certificates in place: the same bearer, a new key and validity.",
    discussion: "Nodes that run use the new files for new connections; nothing needs to be restarted.")

  @OptionGroup var place: CertificateDirectory

  @Option(name: .long, help: "Days that they are valid for.")
  var days = 825

  @Flag(name: .long, help: "Renew every certificate of the directory.")
  var all = false

  @Argument(help: "Names of certificates in the directory.")
  var names: [String] = []

  func validate() throws {
    guard (1...36_500).contains(days) else { throw ValidationError("--days is between 1 and 36500.") }
    guard all == names.isEmpty else { throw ValidationError("Name the certificates to renew, or say --all.") }
  }

  func run() async throws {
    let authority = try place.authority()
    for name in all ? try allNames() : names {
      let file = place.certificateFile(name)
      guard let old = try CertificateDetails.read(file).first else { continue }
      let identity: AccessIdentity
      do { identity = try AccessIdentity(old.subject) } catch { throw ValidationError("\(file): \(error)") }
      try authority.issue(
        identity, hosts: old.hosts, certificateFile: file, keyFile: place.keyFile(name), validDays: days)
      print("\(identity.text): renewed for \(days) days")
    }
  }

  private func allNames() throws -> [String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: place.directory)
      .filter { $0.hasSuffix(".pem") && $0 != "ca.pem" }.map { String($0.dropLast(4)) }
    return names.filter { FileSystem.exists(place.keyFile($0)) }.sorted()
  }
}

/// `kunlog cert renew-ca`: a new authority beside the old one.
struct CertRenewAuthority: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "renew-ca", abstract: "Make a new authority; the old one is trusted beside it.",
    discussion: """
      Afterwards: 1. copy ca.pem, which holds both, to every node and client; 2. kunlog cert renew --all, and copy each pair to
      its node; 3. kunlog cert retire-ca, and copy ca.pem again. The cluster goes on all the time.
      """)

  @OptionGroup var place: CertificateDirectory

  @Option(name: .long, help: "Days that it is valid for.")
  var days = 3650

  func run() async throws {
    guard (1...36_500).contains(days) else { throw ValidationError("--days is between 1 and 36500.") }
    try place.authority().replaceAuthority(validDays: days)
    print(
      "\(place.authorityFile) holds the new authority and the old. Copy it to every node, then: "
        + "kunlog cert renew --directory \(place.directory) --all")
  }
}

/// `kunlog cert retire-ca`: old authorities are trusted no more.
struct CertRetireAuthority: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire-ca", abstract: "Trust no authority any more but the newest.")

  @OptionGroup var place: CertificateDirectory

  func run() async throws {
    let retired = try place.authority().retireOthers()
    print(
      retired == 0
        ? "there is one authority only" : "\(retired) retired; copy \(place.authorityFile) to every node")
  }
}

/// `kunlog cert show`.
struct CertShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Tell whose certificates these are, and until when.")

  @Flag(name: .long, help: "As JSON.")
  var json = false

  @Argument(help: "PEM files.")
  var files: [String]

  private struct Shown: Encodable {
    var file: String
    var name: String
    var role: String?
    var nodeID: UInt64?
    var isAuthority: Bool
    var issuer: String
    var hosts: [String]
    var validFrom: String
    var validUntil: String
    var daysLeft: Int
    var sha256: String
    /// Why it makes nobody of its bearer.
    var problem: String?
  }

  func run() async throws {
    var shown: [Shown] = []
    for file in files {
      for details in try CertificateDetails.read(file) { shown.append(Self.shown(file, details)) }
    }
    if json { return try printJSON(shown) }
    for (number, entry) in shown.enumerated() {
      if number > 0 { print("") }
      print("\(entry.file): \(entry.name)")
      if let role = entry.role { print("  role         \(role)\(entry.nodeID.map { ", node \($0)" } ?? "")") }
      if entry.isAuthority { print("  authority") }
      print("  issued by    \(entry.issuer)")
      if !entry.hosts.isEmpty { print("  for          \(entry.hosts.joined(separator: ", "))") }
      print("  valid        \(entry.validFrom) to \(entry.validUntil) (\(entry.daysLeft) days left)")
      print("  SHA-256      \(entry.sha256)")
      if let problem = entry.problem { print("  of no use: \(problem)") }
    }
  }

  private static func shown(_ file: String, _ details: CertificateDetails) -> Shown {
    var entry = Shown(
      file: file, name: details.subject.commonName ?? "", isAuthority: details.isAuthority, issuer: details.issuer,
      hosts: details.hosts, validFrom: details.validFrom, validUntil: details.validUntil,
      daysLeft: details.secondsLeft / 86_400, sha256: details.fingerprint)
    if !details.isAuthority {
      do throws(CertificateRefusal) {
        let identity = try AccessIdentity(details.subject)
        entry.role = identity.role.rawValue
        entry.nodeID = identity.nodeID?.rawValue
      } catch { entry.problem = error.description }
    }
    if details.secondsLeft <= 0 { entry.problem = "it ended at \(details.validUntil). Renew it: kunlog cert renew" }
    return entry
  }
}
