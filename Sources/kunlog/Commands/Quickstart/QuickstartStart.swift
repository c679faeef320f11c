import AccessControl
import ArgumentParser
import EventLoop
import FoundationEssentials
import Glibc
import Metadata

/// `kunlog quickstart [start]`: starts the cluster and stays with it, or leaves it running with `--detach`.
struct QuickstartStart: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Start the cluster; Ctrl-C stops it. With --detach it goes on in the background.")

  @OptionGroup var location: QuickstartLocation

  @Flag(name: .long, help: "Erase what an earlier quick start left in the data directory.")
  var fresh = false

  @Flag(name: .long, help: "Return once the cluster is ready and leave it running.")
  var detach = false

  @Option(name: .long, help: "Port of the first compute node for psql; the others follow (default 5401).")
  var postgresPort: Int?

  @Option(name: .long, help: "First of the 13 ports that nodes talk to each other on (default 6001).")
  var nodePort: Int?

  @Option(
    name: .long, help: "First of the 13 ports where metrics are served (default: 100 above --node-port).")
  var metricsPort: Int?

  @Flag(name: .long, help: .hidden)
  var supervise = false

  func run() async throws {
    let directory = location.directory
    if !supervise {
      try await QuickstartPreparation(
        directory: directory, nodePort: nodePort, postgresPort: postgresPort, metricsPort: metricsPort, fresh: fresh
      )
      .prepare()
    }
    let layout = try directory.requireLayout()
    if detach {
      try await DetachedSupervisor(directory: directory, layout: layout).start()
    } else {
      try await QuickstartSession(directory: directory, layout: layout, isInTerminal: !supervise && isatty(1) == 1)
        .run()
    }
  }
}

/// What must hold before the processes start: nobody else uses the directory or the ports; layout and certificates exist.
struct QuickstartPreparation {
  var directory: QuickstartDirectory
  var nodePort: Int?
  var postgresPort: Int?
  var metricsPort: Int?
  var fresh: Bool

  func prepare() async throws {
    if let pid = directory.runningProcess("supervisor") {
      throw ValidationError(
        "A quick start is running in \(directory.path) (process \(pid)). "
          + "Stop it first: kunlog quickstart stop --data \(directory.path)")
    }
    if fresh { try directory.erase() }
    try directory.createFolders()
    let layout = try existingOrNewLayout()
    for process in layout.processes {
      if let pid = directory.runningProcess(process.name) {
        throw ValidationError(
          "\(process.name) of \(directory.path) is still running (process \(pid)), without its supervisor. "
            + "Stop it: kunlog quickstart stop --data \(directory.path)")
      }
    }
    try await checkPorts(layout)
    try createCertificates(layout)
  }

  /// A certificate for each process that lacks one.
  static func createCertificates(_ layout: ClusterLayout, in directory: QuickstartDirectory) throws {
    try QuickstartPreparation(directory: directory, fresh: false).createCertificates(layout)
  }

  private func existingOrNewLayout() throws -> ClusterLayout {
    if let layout = try directory.loadLayout() {
      for (option, asked, kept) in [
        ("--node-port", nodePort, layout.nodePort), ("--postgres-port", postgresPort, layout.postgresPort),
        ("--metrics-port", metricsPort, layout.metricsPort ?? 0),
      ] where asked != nil && asked != kept {
        throw ValidationError(
          "\(directory.path) was made with \(option) \(kept), and nodes know each other by their ports. "
            + "Leave \(option) out, name another --data, or erase it with --fresh.")
      }
      return layout
    }
    var random = SystemRandomNumberGenerator()
    let identity = (0..<4).map { _ in String(random.next() as UInt32, radix: 16) }
      .map { String(repeating: "0", count: 8 - $0.count) + $0 }.joined()
    let firstPort = nodePort ?? 6001
    let layout = ClusterLayout.standard(
      clusterID: identity, host: "127.0.0.1", nodePort: firstPort, postgresPort: postgresPort ?? 5401,
      metricsPort: metricsPort ?? firstPort + 100)
    guard let highest = layout.ports.max(), highest <= 65535, layout.ports.allSatisfy({ $0 > 0 }) else {
      throw ValidationError(
        "Ports must lie between 1 and 65535; a quick start takes 13 from --node-port, 13 from --metrics-port (100 above "
          + "--node-port where it is not said) and 3 from --postgres-port.")
    }
    guard Set(layout.ports).count == layout.ports.count else {
      throw ValidationError(
        "--node-port (13 ports), --metrics-port (13 ports) and --postgres-port (3 ports) overlap; choose them further "
          + "apart.")
    }
    try directory.save(layout)
    return layout
  }

  @LoopActor
  private func checkPorts(_ layout: ClusterLayout) throws {
    for process in layout.processes {
      for (port, option) in [
        (process.port, "--node-port"), (process.postgresPort, "--postgres-port"),
        (process.metricsPort, "--metrics-port"),
      ] {
        guard let port else { continue }
        do {
          try TCPListener(host: process.host, port: port) { $0.close() }.close()
        } catch {
          throw ValidationError(
            "Port \(port), for \(process.name), cannot be used: \(error). End the program that listens there, "
              + "or choose other ports with \(option) and another --data.")
        }
      }
    }
  }

  /// A development authority and a certificate per process. Made once; those that end soon, or that do not say who their bearer
  /// is, are renewed.
  private func createCertificates(_ layout: ClusterLayout) throws {
    let manager = FileManager.default
    let identities = try layout.processes.map { try $0.identity() } + [Self.operatorIdentity()]
    let missing = identities.filter { !isCurrent($0) }
    guard !missing.isEmpty else { return }
    let authorityKey = directory.certificates + "/ca.key"
    let authority =
      manager.fileExists(atPath: authorityKey)
      ? CertificateAuthority(certificateFile: directory.authorityFile, keyFile: authorityKey)
      : try CertificateAuthority.create(
        commonName: "Kunlog development authority", certificateFile: directory.authorityFile, keyFile: authorityKey)
    for identity in missing {
      try authority.issue(
        identity, certificateFile: directory.certificateFile(identity.name), keyFile: directory.keyFile(identity.name))
    }
  }

  /// Whether there is a certificate, and a key, that make their bearer that caller for another month.
  private func isCurrent(_ identity: AccessIdentity) -> Bool {
    guard FileManager.default.fileExists(atPath: directory.keyFile(identity.name)),
      let certificate = try? CertificateDetails.read(directory.certificateFile(identity.name)).first
    else { return false }
    return certificate.subject == identity.subject && certificate.secondsLeft > 30 * 86_400
  }

  /// Whoever can read the data directory may do everything.
  private static func operatorIdentity() throws -> AccessIdentity {
    guard let identity = AccessIdentity(name: "operator", role: .admin, nodeID: nil) else {
      throw ValidationError("'operator' is no name for a certificate.")
    }
    return identity
  }
}
