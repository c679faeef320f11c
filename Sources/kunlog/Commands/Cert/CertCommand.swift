import ArgumentParser
import EventLoop
import Metadata

/// `kunlog cert`: the certificates by which nodes and people prove who they are.
struct CertCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cert", abstract: "Make, renew and show the certificates of a cluster.",
    discussion: """
      A directory holds the authority (ca.pem, ca.key) and what it has issued (NAME.pem, NAME.key). Nodes need ca.pem and their
      own pair; ca.key stays where certificates are made. Running nodes notice files that change, and use them for new
      connections.
      """,
    subcommands: [
      CertInitAuthority.self, CertNode.self, CertOperator.self, CertRenew.self, CertRenewAuthority.self,
      CertRetireAuthority.self, CertShow.self,
    ])
}

/// Where the authority and its certificates are.
struct CertificateDirectory: ParsableArguments {
  @Option(name: .long, help: "Directory of the authority; of a quick start, DIR/certificates.")
  var directory: String

  var authorityFile: String { directory + "/ca.pem" }
  var authorityKeyFile: String { directory + "/ca.key" }
  func certificateFile(_ name: String) -> String { "\(directory)/\(name).pem" }
  func keyFile(_ name: String) -> String { "\(directory)/\(name).key" }

  /// The authority, which must exist.
  func authority() throws -> CertificateAuthority {
    for file in [authorityFile, authorityKeyFile] where !FileSystem.exists(file) {
      throw ValidationError(
        "There is no \(file). Make an authority first: kunlog cert init-ca --directory \(directory)")
    }
    return CertificateAuthority(certificateFile: authorityFile, keyFile: authorityKeyFile)
  }

  /// Throws where one of the files is there, unless it may be replaced.
  func refuseToOverwrite(_ files: [String], force: Bool) throws {
    guard !force, let file = files.first(where: FileSystem.exists) else { return }
    throw ValidationError(
      "\(file) exists already, and who uses it would lose it. To renew it: kunlog cert renew. To replace it all the same: "
        + "--force.")
  }

  /// Issues a certificate, and says where it is.
  func issue(_ identity: AccessIdentity, hosts: [String], days: Int, force: Bool) throws {
    let files = [certificateFile(identity.name), keyFile(identity.name)]
    try refuseToOverwrite(files, force: force)
    guard identity.name != "ca" else { throw ValidationError("'ca' is the authority's name; choose another.") }
    try authority().issue(
      identity, hosts: hosts, certificateFile: files[0], keyFile: files[1], validDays: days)
    print("\(identity.text): \(files[0]) and \(files[1]), valid for \(days) days")
  }
}

/// How long a certificate is good for, and whether it may replace another.
struct CertificateTerms: ParsableArguments {
  @Option(name: .long, help: "Days that it is valid for.")
  var days = 825

  @Flag(name: .long, help: "Replace files that exist.")
  var force = false

  func validate() throws {
    guard (1...36_500).contains(days) else { throw ValidationError("--days is between 1 and 36500.") }
  }
}

/// `kunlog cert init-ca`.
struct CertInitAuthority: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "init-ca", abstract: "Make a cluster's authority.")

  @OptionGroup var place: CertificateDirectory

  @Option(name: .long, help: "Its name, for people.")
  var name = "Kunlog authority"

  @Option(name: .long, help: "Days that it is valid for.")
  var days = 3650

  @Flag(name: .long, help: "Replace an authority that exists: what it has issued is worth nothing then.")
  var force = false

  func validate() throws {
    guard (1...36_500).contains(days) else { throw ValidationError("--days is between 1 and 36500.") }
    guard (1...64).contains(name.utf8.count) else { throw ValidationError("--name has 1 to 64 bytes.") }
  }

  func run() async throws {
    if !FileSystem.isDirectory(place.directory) { try FileSystem.createDirectory(place.directory) }
    try place.refuseToOverwrite([place.authorityFile, place.authorityKeyFile], force: force)
    _ = try CertificateAuthority.create(
      commonName: name, certificateFile: place.authorityFile, keyFile: place.authorityKeyFile, validDays: days)
    print("authority: \(place.authorityFile) for every node, \(place.authorityKeyFile) to be kept safe")
  }
}

/// `kunlog cert node`.
struct CertNode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "node", abstract: "Make a node's certificate.")

  @OptionGroup var place: CertificateDirectory
  @OptionGroup var terms: CertificateTerms

  @Option(name: .long, help: "meta, storage, compute or manager.")
  var role: String

  @Option(name: .long, help: "The node's name: letters, digits, '.', '_' and '-', 64 at most.")
  var name: String

  @Option(name: .long, help: "The node's number in the cluster.")
  var nodeID: UInt64

  @Option(
    name: .long, parsing: .singleValue,
    help: "A name or address at which the others reach it; repeat. By default those of the machine itself: localhost."
  )
  var host: [String] = []

  func run() async throws {
    guard let role = AccessRole(rawValue: role), role.isNode else {
      throw ValidationError("--role of a node is meta, storage, compute or manager. For people: kunlog cert operator.")
    }
    guard let identity = AccessIdentity(name: name, role: role, nodeID: NodeID(rawValue: nodeID)) else {
      throw ValidationError("--name has letters, digits, '.', '_' and '-', 64 at most; --node-id is above 0.")
    }
    try place.issue(
      identity, hosts: host.isEmpty ? CertificateAuthority.standardHosts : host, days: terms.days, force: terms.force)
  }
}

/// `kunlog cert operator`.
struct CertOperator: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operator", abstract: "Make the certificate of a person or a tool.")

  @OptionGroup var place: CertificateDirectory
  @OptionGroup var terms: CertificateTerms

  @Option(name: .long, help: "Who it is: letters, digits, '.', '_' and '-', 64 at most.")
  var name: String

  @Option(name: .long, help: "admin, operator or reader: see docs/security.md.")
  var role = "operator"

  func run() async throws {
    guard let role = AccessRole(rawValue: role), !role.isNode else {
      throw ValidationError("--role is admin, operator or reader. For nodes: kunlog cert node.")
    }
    guard let identity = AccessIdentity(name: name, role: role, nodeID: nil) else {
      throw ValidationError("--name has letters, digits, '.', '_' and '-', 64 at most.")
    }
    try place.issue(identity, hosts: [], days: terms.days, force: terms.force)
  }
}
