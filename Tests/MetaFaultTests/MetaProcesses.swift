import AccessControl
import EventLoop
import Foundation
import Metadata
import MetadataClient
import RPC

/// Meta nodes as processes of their own, on loopback or in network namespaces, with data below a directory of their own.
@LoopActor
final class MetaProcesses {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// One node: where it listens, where its data is, what is run before it.
  struct Node: Sendable {
    var id: UInt64
    var endpoint: MetadataEndpoint
    var data: String
    /// `ip netns exec NAME`, or nothing.
    var prefix: [String] = []
    /// Whether it waits to be added.
    var joins = false
  }

  static let clusterID = ClusterID(rawValue: [UInt8](repeating: 7, count: 16))
  private static let clusterText = String(repeating: "07", count: 16)

  /// The executable under test, built beside the tests.
  nonisolated static let executable: String = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    let folder =
      Bundle.main.bundlePath.hasSuffix(".xctest")
      ? URL(filePath: Bundle.main.bundlePath).deletingLastPathComponent().path
      : URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path
    return [folder, root + "/.build/debug"].map { $0 + "/kunlog" }
      .first { FileManager.default.isExecutableFile(atPath: $0) } ?? root + "/.build/debug/kunlog"
  }()

  let directory: String
  private(set) var nodes: [UInt64: Node] = [:]
  private var processes: [UInt64: ChildProcess] = [:]
  private var clients: [MetadataClient] = []
  private var groups: [ReplicationGroupClient] = []
  private let authority: CertificateAuthority
  private let hosts: [String]

  /// Starts a group of three and makes it a cluster.
  static func start(hosts: [String]? = nil, prefixes: [[String]]? = nil, data: [UInt64: String] = [:]) async throws
    -> MetaProcesses
  {
    let group = try MetaProcesses(hosts: hosts ?? [])
    do {
      for id in UInt64(1)...3 {
        let host = hosts?[Int(id) - 1] ?? "127.0.0.1"
        let port = hosts == nil ? freePort() : 6000 + Int(id)
        group.nodes[id] = Node(
          id: id, endpoint: MetadataEndpoint(host: host, port: port),
          data: data[id] ?? group.directory + "/meta-\(id)", prefix: prefixes?[Int(id) - 1] ?? [])
      }
      for id in UInt64(1)...3 { try group.start(id) }
      let client = group.client()
      await client.ready()
      _ = try await client.append(
        [.createCluster(ClusterDraft(id: clusterID, name: "faults", roleName: "abc", roleVerifier: nil))]
          + group.nodes.values.sorted { $0.id < $1.id }.map { node in
            .registerNode(
              NodeDefinition(
                id: NodeID(rawValue: node.id), role: .meta, name: "meta-\(node.id)", host: node.endpoint.host,
                port: node.endpoint.port, postgresPort: nil))
          })
    } catch {
      await group.stop()
      throw error
    }
    return group
  }

  private init(hosts: [String]) throws {
    directory = "/tmp/kunlog-faults-\(UInt64.random(in: 0...UInt64.max))"
    try FileSystem.createDirectory(directory)
    authority = try CertificateAuthority.create(
      commonName: "test authority", certificateFile: directory + "/ca.pem", keyFile: directory + "/ca.key")
    self.hosts = ["127.0.0.1"] + hosts
    try certify("tester", .admin, nil)
  }

  /// Gives a node its certificate, once.
  func certifyNode(_ id: UInt64) throws {
    if !FileSystem.exists("\(directory)/meta-\(id).pem") { try certify("meta-\(id)", .meta, id) }
  }

  private func certify(_ name: String, _ role: AccessRole, _ node: UInt64?) throws {
    guard let identity = AccessIdentity(name: name, role: role, nodeID: node.map(NodeID.init(rawValue:))) else {
      throw Failure(description: "no identity \(name)")
    }
    try authority.issue(
      identity, hosts: hosts, certificateFile: "\(directory)/\(name).pem", keyFile: "\(directory)/\(name).key")
  }

  static func freePort() -> Int {
    // Below those that the system gives to outgoing connections, which could take it before the node listens.
    while true {
      let port = Int.random(in: 11_000..<32_000)
      if let listener = try? TCPListener(host: "127.0.0.1", port: port, onConnection: { $0.close() }) {
        listener.close()
        return port
      }
    }
  }

  /// What every client and operator's command shows.
  var tls: TLSConfiguration {
    TLSConfiguration(
      certificateFile: directory + "/tester.pem", keyFile: directory + "/tester.key",
      authorityFile: directory + "/ca.pem",
      requirePeerCertificate: true, alpn: ["h2"])
  }

  // MARK: - Processes

  /// Starts a node; a new process where it ran before.
  func start(_ id: UInt64) throws {
    guard let node = nodes[id] else { throw Failure(description: "no node \(id)") }
    try certifyNode(id)
    var line =
      node.prefix + [
        Self.executable, "meta", "--name", "meta-\(id)", "--node-id", "\(id)", "--cluster-id", Self.clusterText,
        "--listen", node.endpoint.description, "--data", node.data, "--certificate",
        "\(directory)/meta-\(id).pem", "--key", "\(directory)/meta-\(id).key", "--authority", directory + "/ca.pem",
        "--parent", "\(getpid())",
      ]
    if node.joins {
      line.append("--join")
    } else {
      line += (UInt64(1)...3).flatMap { ["--member", "\($0)=\(nodes[$0]!.endpoint)"] }
    }
    processes[id] = try ChildProcess.spawn(
      executable: line[0].hasPrefix("/") ? line[0] : "/usr/bin/env",
      arguments: line[0].hasPrefix("/") ? Array(line.dropFirst()) : line, output: .append(logFile(id)),
      errors: .append(logFile(id)))
  }

  /// Takes care of a process that a test has started itself: it ends with the group.
  func adopt(_ process: ChildProcess, _ id: UInt64) { processes[id] = process }

  /// What is run before the node's executable from its next start on.
  func setPrefix(_ id: UInt64, _ prefix: [String]) { nodes[id]?.prefix = prefix }

  /// Starts a compute node that follows the group; its standard error is the log file of that number.
  func startCompute(_ id: UInt64, prefix: [String] = []) throws {
    try certify("compute-\(id)", .compute, id)
    let line =
      prefix + [
        Self.executable, "compute", "--name", "compute-\(id)", "--node-id", "\(id)", "--cluster-id", Self.clusterText,
        "--listen", "127.0.0.1:\(Self.freePort())", "--postgres", "127.0.0.1:\(Self.freePort())", "--data",
        directory + "/compute-\(id)", "--metadata",
        endpoints([1, 2, 3]).map(\.description).joined(separator: ","), "--certificate",
        "\(directory)/compute-\(id).pem", "--key", "\(directory)/compute-\(id).key", "--authority",
        directory + "/ca.pem", "--parent", "\(getpid())",
      ]
    processes[id] = try ChildProcess.spawn(
      executable: line[0], arguments: Array(line.dropFirst()), output: .append(logFile(id)),
      errors: .append(logFile(id)))
  }

  /// Starts one more node, which waits to be added.
  func join(_ id: UInt64) throws {
    nodes[id] = Node(
      id: id, endpoint: MetadataEndpoint(host: "127.0.0.1", port: Self.freePort()),
      data: directory + "/meta-\(id)", joins: true)
    try start(id)
  }

  func logFile(_ id: UInt64) -> String { directory + "/meta-\(id).log" }

  func signal(_ id: UInt64, _ number: Int32) { processes[id]?.signal(number) }

  /// How the node's process ended; nil while it runs.
  func exit(_ id: UInt64) -> ChildExit? { processes[id]?.exit }

  /// Ends a node by the signal, and waits until it is gone.
  func kill(_ id: UInt64, _ number: Int32 = SIGKILL) async throws {
    signal(id, number)
    try await eventually("node \(id) is gone") { processes[id]?.exit != nil }
  }

  /// Ends everything that was started.
  func stop() async {
    for client in clients { client.stop() }
    for group in groups { group.close() }
    for process in processes.values where process.exit == nil {
      process.signal(SIGCONT)
      process.signal(SIGKILL)
    }
    for process in processes.values {
      while process.exit == nil { try? await loopSleep(milliseconds: 5) }
    }
    if ProcessInfo.processInfo.environment["KUNLOG_KEEP_DATA"] == nil { try? FileSystem.remove(directory) }
  }

  /// Runs an operator's command; its standard output and standard error.
  func kunlog(_ arguments: [String], isOffline: Bool = false) async throws -> (
    output: String, errors: String, code: ChildExit
  ) {
    let file = directory + "/command-\(UInt64.random(in: 0...UInt64.max))"
    let access =
      isOffline
      ? []
      : [
        "--endpoints",
        nodes.values.sorted { $0.id < $1.id }.prefix(3).map(\.endpoint.description).joined(separator: ","),
        "--certificate", directory + "/tester.pem", "--key", directory + "/tester.key", "--authority",
        directory + "/ca.pem",
      ]
    let process = try ChildProcess.spawn(
      executable: Self.executable, arguments: arguments + access, output: .append(file + ".out"),
      errors: .append(file + ".err"))
    try await eventually("kunlog \(arguments.joined(separator: " ")) ends") { process.exit != nil }
    return (
      (try? FileSystem.readText(file + ".out")) ?? "", (try? FileSystem.readText(file + ".err")) ?? "", process.exit!
    )
  }

  // MARK: - Clients

  func endpoints(_ ids: [UInt64]? = nil) -> [MetadataEndpoint] {
    nodes.values.sorted { $0.id < $1.id }.filter { ids?.contains($0.id) ?? true }.map(\.endpoint)
  }

  /// A client that was told of the first three nodes, or of all.
  func client(ofAll isOfAll: Bool = false) -> MetadataClient {
    let client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: endpoints(isOfAll ? nil : [1, 2, 3]), tls: tls, principal: "tester", clusterID: Self.clusterID))
    clients.append(client)
    client.start()
    return client
  }

  /// A client that was told of one node.
  func client(of node: UInt64) -> MetadataClient {
    let client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: endpoints([node]), tls: tls, principal: "tester", clusterID: Self.clusterID))
    clients.append(client)
    client.start()
    return client
  }

  /// A client of another cluster.
  func foreignClient(_ endpoints: [MetadataEndpoint], cluster: String) -> MetadataClient {
    let bytes = stride(from: 0, to: 32, by: 2).map { start in
      UInt8(cluster.dropFirst(start).prefix(2), radix: 16) ?? 0
    }
    let client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: endpoints, tls: tls, principal: "tester", clusterID: ClusterID(rawValue: bytes)))
    clients.append(client)
    client.start()
    return client
  }

  /// An operator's client.
  func group() -> ReplicationGroupClient {
    let group = ReplicationGroupClient(endpoints: endpoints([1, 2, 3]), tls: tls, clusterID: Self.clusterID)
    groups.append(group)
    return group
  }

  /// Who leads, once somebody does.
  func leader() async throws -> UInt64 {
    let group = group()
    let deadline = Loop.now + 15_000_000_000
    while Loop.now < deadline {
      if let leader = try? await group.membership(timeoutMilliseconds: 500).leaderID { return leader.rawValue }
    }
    throw Failure(description: "nobody leads for 15 s")
  }

  func eventually(_ what: String, seconds: UInt64 = 20, _ condition: @LoopActor () async throws -> Bool) async throws {
    let deadline = Loop.now + seconds * 1_000_000_000
    while try await !condition() {
      guard Loop.now < deadline else { throw Failure(description: "not within \(seconds) s: \(what)") }
      try await loopSleep(milliseconds: 10)
    }
  }
}

/// Runs the body with a group, and ends the group however the body ends.
@LoopActor
func withMetaProcesses(
  data: [UInt64: String] = [:], _ body: @LoopActor (MetaProcesses) async throws -> Void
) async throws {
  let group = try await MetaProcesses.start(data: data)
  do { try await body(group) } catch {
    await group.stop()
    throw error
  }
  await group.stop()
}
