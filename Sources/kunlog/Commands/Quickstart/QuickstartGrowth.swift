import ClusterManager
import EventLoop
import FoundationEssentials
import Metadata

/// Processes that come into a running quick start, and those that leave it. Its supervisor follows the layout: it starts what is
/// new there, and ends what is there no more.
struct QuickstartGrowth {
  let directory: QuickstartDirectory

  /// How long the supervisor may take to start or to end processes.
  private static let patienceMilliseconds = 20_000
  /// How long others may take who change the layout too.
  private static let lockMilliseconds = 10_000

  /// - Throws: where no quick start runs there.
  init(_ path: String) throws {
    directory = QuickstartDirectory(path: path)
    _ = try directory.requireLayout()
    guard directory.runningProcess("supervisor") != nil else {
      throw CommandFailure(
        description:
          "The quick start in \(directory.path) does not run. Start it: kunlog quickstart --data \(directory.path)")
    }
  }

  /// Changes the layout, while nobody else does.
  @LoopActor
  private static func change<Result>(
    _ directory: QuickstartDirectory, _ body: @LoopActor (inout ClusterLayout) throws -> Result
  ) async throws -> Result {
    let deadline = Loop.now + UInt64(lockMilliseconds) * 1_000_000
    while true {
      let lock: DirectoryLock
      do throws(DirectoryLockError) { lock = try DirectoryLock(directory.path + "/run") } catch {
        guard case .inUse = error, Loop.now < deadline else { throw CommandFailure(description: "\(error)") }
        try await loopSleep(milliseconds: 20)
        continue
      }
      defer { withExtendedLifetime(lock) {} }
      let before = try directory.requireLayout()
      var layout = before
      let result = try body(&layout)
      if layout != before { try directory.save(layout) }
      return result
    }
  }

  // MARK: Coming

  /// Storage nodes of a new shard. What an earlier command has begun is gone on with.
  @LoopActor
  func addShard(_ shard: UInt32, replicas: Int, _ image: Image) async throws -> [ProcessLayout] {
    try await Self.change(directory) { layout in
      let begun = layout.processes.filter { $0.shard == shard }
      if !begun.isEmpty { return begun }
      var free = FreePlaces(layout, image)
      return try add(try (1...replicas).map { _ in try free.storage(shard) }, to: &layout)
    }
  }

  /// A storage node that comes into a shard that there is. What an earlier command has begun is gone on with.
  @LoopActor
  func addReplica(_ shard: UInt32, _ image: Image) async throws -> ProcessLayout {
    try await Self.change(directory) { layout in
      let begun = layout.processes.first { process in
        let id = NodeID(rawValue: process.nodeID)
        return process.shard == shard && process.joins == true && !image.removedNodes.contains(id)
          && image.shards[ShardID(rawValue: shard)]?.replicas.contains(id) != true
      }
      if let begun { return begun }
      var free = FreePlaces(layout, image)
      var process = try free.storage(shard)
      process.joins = true
      return try add([process], to: &layout)[0]
    }
  }

  /// A compute node.
  @LoopActor
  func addCompute(_ image: Image) async throws -> ProcessLayout {
    try await Self.change(directory) { layout in
      var free = FreePlaces(layout, image)
      return try add([try free.compute()], to: &layout)[0]
    }
  }

  private func add(_ processes: [ProcessLayout], to layout: inout ClusterLayout) throws -> [ProcessLayout] {
    for process in processes { try checkIsNew(process) }
    layout.processes += processes
    try QuickstartPreparation.createCertificates(layout, in: directory)
    return processes
  }

  private func checkIsNew(_ process: ProcessLayout) throws {
    let place = directory.dataDirectory(process.name)
    guard (try? FileManager.default.contentsOfDirectory(atPath: place))?.isEmpty ?? true else {
      throw CommandFailure(
        description: "\(place) is not empty, and a new node begins with nothing. Move it away, or delete it.")
    }
  }

  /// Has the supervisor start nodes for a manager. Each waits in the layout, so that a manager that dies leaves none unused.
  static func starter(_ path: String) -> ReplicaStarter {
    ReplicaStarter { shard, image in
      let growth = try QuickstartGrowth(path)
      let process = try await growth.addReplica(shard.rawValue, image)
      let node = process.definition
      let deadline = Loop.now + UInt64(patienceMilliseconds) * 1_000_000
      while !(await accepts(host: node.host, port: node.port)) {
        guard Loop.now < deadline else {
          throw CommandFailure(
            description: "\(process.name) does not start: see \(growth.directory.logFile(process.name)).")
        }
        try await loopSleep(milliseconds: 100)
      }
      return node
    } ended: { old, new in
      let directory = QuickstartDirectory(path: path)
      guard let layout = try directory.loadLayout() else { return }
      for process in layout.processes where process.nodeID == new.rawValue { try directory.noteBegun(process.name) }
      try await end(layout.processes.filter { $0.nodeID == old.rawValue }, in: directory, what: "The replica")
    }
  }

  /// Whether somebody listens there.
  @LoopActor
  static func accepts(host: String, port: Int) async -> Bool {
    guard let connection = try? await Connection.connect(host: host, port: port, tls: nil, timeoutMilliseconds: 500)
    else {
      return false
    }
    connection.close()
    return true
  }

  // MARK: Going

  /// Ends the process of a node that was removed; false: no quick start is named, or it has none of that number.
  @LoopActor
  static func endProcess(of node: NodeID, _ cluster: ClusterOptions) async throws -> Bool {
    guard let data = cluster.data, let layout = try QuickstartDirectory(path: data).loadLayout() else { return false }
    let processes = layout.processes.filter { $0.nodeID == node.rawValue }
    let end = try await end(processes, in: QuickstartDirectory(path: data), what: "The node")
    if let end { print(end) }
    return !processes.isEmpty
  }

  /// Takes processes out of the layout; returns once they have ended, with what people are told of it; nil: there were none.
  /// - Parameter what: what is removed already, where one of them does not end.
  @discardableResult
  @LoopActor
  static func end(
    _ processes: [ProcessLayout], in directory: QuickstartDirectory, what: String
  ) async throws -> String? {
    guard !processes.isEmpty else { return nil }
    try await change(directory) { layout in layout.processes.removeAll { processes.contains($0) } }
    guard directory.runningProcess("supervisor") != nil else {
      for process in processes { _ = try directory.putAside(process.name) }
      return nil
    }
    let deadline = Loop.now + UInt64(patienceMilliseconds) * 1_000_000
    while let process = processes.first(where: {
      directory.runningProcess($0.name) != nil
        || FileManager.default.fileExists(atPath: directory.dataDirectory($0.name))
    }) {
      guard Loop.now < deadline else {
        throw CommandFailure(
          description: "\(what) is removed, but \(process.name) has not ended: see \(directory.logFile(process.name)).")
      }
      try await loopSleep(milliseconds: 50)
    }
    let names = processes.map(\.name).joined(separator: ", ")
    return processes.count == 1
      ? "\(names) has ended; its files are in \(directory.removedFolder)"
      : "\(names) have ended; their files are in \(directory.removedFolder)"
  }
}

/// Numbers, names and ports that nobody has, and nobody had.
@LoopActor
private struct FreePlaces {
  private let layout: ClusterLayout
  private let host: String
  private var ports: Set<Int>
  private var numbers: Set<UInt64>
  private var names: Set<String>

  init(_ layout: ClusterLayout, _ image: Image) {
    self.layout = layout
    host = layout.processes.first?.host ?? "127.0.0.1"
    ports = Set(layout.ports)
    numbers = Set(layout.processes.map(\.nodeID)).union(image.nodes.keys.map(\.rawValue))
    numbers.formUnion(image.removedNodes.map(\.rawValue))
    names = Set(layout.processes.map(\.name)).union(image.nodes.values.map(\.name))
  }

  mutating func storage(_ shard: UInt32) throws -> ProcessLayout {
    let (id, name) = node(above: UInt64(shard) * 10, limit: 9, "storage-\(shard)-")
    return ProcessLayout(
      role: "storage", name: name, nodeID: id, host: host, port: try port(from: layout.nodePort), shard: shard,
      metricsPort: try layout.metricsPort.map { try port(from: $0) }, isAdded: true)
  }

  mutating func compute() throws -> ProcessLayout {
    let (id, name) = node(above: 100, limit: 99, "compute-")
    return ProcessLayout(
      role: "compute", name: name, nodeID: id, host: host, port: try port(from: layout.nodePort),
      postgresPort: try port(from: layout.postgresPort),
      metricsPort: try layout.metricsPort.map { try port(from: $0) }, isAdded: true)
  }

  /// The next number, and a name that says it, as in the quick start's first layout; where those are used up, any.
  private mutating func node(above base: UInt64, limit: UInt64, _ prefix: String) -> (UInt64, String) {
    var place: UInt64 = 1
    while place <= limit, numbers.contains(base + place) || names.contains("\(prefix)\(place)") { place += 1 }
    var id = base + place
    if place > limit {
      id = (numbers.max() ?? 0) + 1
      while names.contains("\(prefix)\(id)") { id += 1 }
    }
    let name = "\(prefix)\(place > limit ? id : place)"
    numbers.insert(id)
    names.insert(name)
    return (id, name)
  }

  private mutating func port(from first: Int) throws -> Int {
    for port in max(first, 1)...65535 where !ports.contains(port) {
      guard let listener = try? TCPListener(host: host, port: port, onConnection: { $0.close() }) else { continue }
      listener.close()
      ports.insert(port)
      return port
    }
    throw CommandFailure(description: "There is no free port above \(first).")
  }
}
