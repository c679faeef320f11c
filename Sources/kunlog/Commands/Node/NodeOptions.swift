import ArgumentParser
import EventLoop
import Glibc
import Logging
import Metadata
import Metrics
import Monitoring

/// What every node's command line says.
struct NodeOptions: ParsableArguments {
  @Option(name: .long, help: "This node's number in the cluster; never used twice.")
  var nodeID: UInt64

  @Option(name: .long, help: "This node's name, for people.")
  var name: String

  @Option(name: .long, help: "The cluster's identity: 32 hexadecimal digits.")
  var clusterID: String

  @Option(name: .long, help: "Where this node listens for the others: host:port.")
  var listen: String

  @Option(name: .long, help: "This node's certificate (PEM).")
  var certificate: String

  @Option(name: .long, help: "Private key of the certificate (PEM).")
  var key: String

  @Option(name: .long, help: "Certificate of the cluster's authority (PEM).")
  var authority: String

  @Flag(
    name: .long,
    help: "This node has run before: an empty data directory is refused, as its disk was lost (meta and storage nodes)."
  )
  var existing = false

  @Option(name: .long, help: "End when the parent is no longer this process (for supervisors).")
  var parent: Int32?

  @OptionGroup(title: "Observation") var monitoring: MonitoringOptions

  func cluster() throws -> ClusterID {
    guard let id = ClusterID(hexadecimal: clusterID) else {
      throw ValidationError("--cluster-id '\(clusterID)' is not 32 hexadecimal digits.")
    }
    return id
  }

  func endpoint() throws -> Endpoint { try Endpoint(listen) }

  var tls: TLSConfiguration {
    TLSConfiguration.node(certificateFile: certificate, keyFile: key, authorityFile: authority)
  }
}

/// A role that this process plays, ready to start.
@LoopActor
struct NodeRole {
  var start: @LoopActor () async throws -> Void
  var stop: @LoopActor () async -> Void
  /// What the process returns where the role has ended by itself.
  var failureCode: @LoopActor () -> Int32 = { 1 }
  /// What those who watch the process are told.
  var monitoring: MonitoringSource
}

/// What a node's process returns that was removed from its cluster: starting it again is of no use.
let removedExitCode: Int32 = 3

/// Runs one role until SIGTERM, SIGINT, its own failure or the supervisor's death.
@LoopActor
final class NodeProcess {
  private let logger: Logger
  private var waiter: CheckedContinuation<Void, Never>?
  private var failure: String?
  private var isAsked = false
  private var isStarted = false

  private init(_ name: String) { logger = Logger(label: name) }

  /// Starts the role; returns once it has stopped.
  /// - Parameter make: builds the role; it may call the given closure when it cannot go on, with the reason.
  /// - Throws: `ExitCode` where it cannot start (1) or fails (as the role says), after the reason has been logged.
  static func run(
    _ node: NodeOptions, role name: String,
    make: @LoopActor (_ fail: @escaping @LoopActor (String) -> Void) throws -> NodeRole
  ) async throws {
    node.monitoring.installLog(node, role: name)
    let process = NodeProcess(node.name)
    var failureCode: Int32 = 1
    do {
      let role = try make { reason in process.end(failure: reason) }
      // Before the role, so that one that waits can be seen waiting.
      let monitoring = try node.monitoring.serve(node, role: name, role.monitoring)
      defer { monitoring?.close() }
      // A start may wait, for space or for other nodes.
      let watch = process.watch(parent: node.parent)
      defer { watch?.cancel() }
      try await role.start()
      process.isStarted = true
      process.logger.info("ready")
      await process.untilEnd()
      if let failure = process.failure {
        process.logger.critical("ends: \(failure)")
      } else {
        process.logger.info("stopping")
      }
      // A role that hangs while it stops must not keep the process.
      let limit = LoopTimer(afterMilliseconds: 10_000) { _exit(1) }
      await role.stop()
      limit.cancel()
      failureCode = role.failureCode()
    } catch {
      process.logger.critical("cannot start: \(error)")
      throw ExitCode(1)
    }
    if process.failure != nil { throw ExitCode(failureCode) }
  }

  private func end(failure: String?) {
    if self.failure == nil { self.failure = failure }
    if !isStarted {
      // What it waits for will not come.
      logger.critical("cannot start: \(failure ?? "the supervisor has ended")")
      _exit(1)
    }
    isAsked = true
    waiter?.resume()
    waiter = nil
  }

  private func watch(parent: Int32?) -> LoopTimer? {
    parent.map { parent in
      LoopTimer(afterMilliseconds: 500, repeatMilliseconds: 500) { if getppid() != parent { self.end(failure: nil) } }
    }
  }

  private func untilEnd() async {
    let handlers = [SIGTERM, SIGINT].map { SignalHandler($0) { self.end(failure: nil) } }
    if !isAsked { await withCheckedContinuation { waiter = $0 } }
    for handler in handlers { handler.cancel() }
  }
}
