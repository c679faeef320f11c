import ArgumentParser
import ComputeNode
import EventLoop
import FoundationEssentials
import Glibc
import Metadata
import MetadataClient
import PostgresWire

/// A running quick start: starts the processes, tells the log about them, waits until psql can connect, shows a table, and
/// stops all when it is told to.
@LoopActor
final class QuickstartSession {
  private let directory: QuickstartDirectory
  private var layout: ClusterLayout
  private let isInTerminal: Bool
  private let supervisor: Supervisor
  private var events: [String] = []
  private var isStopping = false
  private var layoutTimer: LoopTimer?
  private var stopWaiter: CheckedContinuation<Void, Never>?

  init(directory: QuickstartDirectory, layout: ClusterLayout, isInTerminal: Bool) {
    self.directory = directory
    self.layout = layout
    self.isInTerminal = isInTerminal
    supervisor = Supervisor(layout: layout, directory: directory, executable: KunlogExecutable.path)
  }

  func run() async throws {
    let lock = try lockDirectory()
    try directory.writePID(getpid(), name: "supervisor")
    unlink(directory.readyFile)
    supervisor.onEvent = { [weak self] in self?.note($0) }
    let signals = [SIGINT, SIGTERM, SIGHUP].map { signal in
      SignalHandler(signal) { [weak self] in self?.askToStop() }
    }
    defer {
      for signal in signals { signal.cancel() }
      unlink(directory.readyFile)
      directory.removePID("supervisor")
      withExtendedLifetime(lock) {}
    }
    var metadata = MetadataClient.Configuration(
      endpoints: try directory.metaEndpoints(), tls: tls, principal: "quickstart", clusterID: layout.clusterIdentity)
    metadata.endpointsFile = directory.metaEndpointsFile
    let client = MetadataClient(metadata)
    defer { client.stop() }
    do {
      say("Starting \(layout.processes.count) processes in \(directory.path) …")
      try supervisor.startAll()
      try await becomeReady(client)
      try Data().write(to: URL(filePath: directory.begunFile))
      try Data().write(to: URL(filePath: directory.readyFile))
      watchLayout()
      say(QuickstartGreeting.text(layout: layout, directory: directory, isDetached: false))
      if isInTerminal { try await showTable(ClusterProbe(client: client, tls: tls)) }
    } catch is StopRequest {
    } catch {
      say("The quick start failed: \(error)\nLogs: \(directory.path)/log/")
      await supervisor.stopAll()
      throw ExitCode(1)
    }
    await untilStopped()
    layoutTimer?.cancel()
    say("Stopping …")
    // Before the nodes: that they go away is no news then.
    client.stop()
    await supervisor.stopAll()
    say("Stopped. The data stays in \(directory.path).")
  }

  /// Processes that are added to the layout (`kunlog shard add`, `storage add`, `compute add`) are started, those that it has no more are ended.
  private func watchLayout() {
    layoutTimer = LoopTimer(afterMilliseconds: 200, repeatMilliseconds: 200) { [weak self] in
      guard let self, let layout = try? directory.loadLayout(), layout != self.layout else { return }
      self.layout = layout
      supervisor.retire(absentFrom: layout)
      supervisor.extend(to: layout)
    }
  }

  private struct StopRequest: Error {}

  private func lockDirectory() throws -> DirectoryLock {
    do {
      return try DirectoryLock(directory.path)
    } catch {
      throw ValidationError("\(error) Stop the quick start that uses it, or name another --data.")
    }
  }

  private func askToStop() {
    isStopping = true
    stopWaiter?.resume()
    stopWaiter = nil
  }

  private func untilStopped() async {
    guard !isStopping else { return }
    await withCheckedContinuation { stopWaiter = $0 }
  }

  private var tls: TLSConfiguration {
    .node(
      certificateFile: directory.certificateFile("operator"), keyFile: directory.keyFile("operator"),
      authorityFile: directory.authorityFile)
  }

  /// Registers all nodes in the metadata log, then waits until each compute node takes clients.
  private func becomeReady(_ client: MetadataClient) async throws {
    client.start()
    let verifier = SCRAMVerifier(
      password: Bootstrap.password, salt: SecureRandom.bytes(SCRAMVerifier.saltLengthBytes), cryptography: .openSSL)
    try await Bootstrap(layout: layout, client: client, roleVerifier: verifier.text).run()
    for process in layout.processes {
      // Who is to leave takes nobody.
      guard let port = process.postgresPort,
        client.image.nodes[NodeID(rawValue: process.nodeID)].map({ $0.drainSeconds == nil }) ?? true,
        !client.image.removedNodes.contains(NodeID(rawValue: process.nodeID))
      else { continue }
      while true {
        if isStopping { throw StopRequest() }
        if let connection = try? await Connection.connect(
          host: process.host, port: port, tls: nil, timeoutMilliseconds: 500)
        {
          connection.close()
          break
        }
        try await loopSleep(milliseconds: 10)
      }
    }
  }

  /// Draws the cluster's state again and again until it is told to stop.
  private func showTable(_ probe: ClusterProbe) async throws {
    defer { probe.close() }
    while !isStopping {
      let report = await probe.report()
      var text = report.table
      if !events.isEmpty { text += "\n\n" + events.suffix(5).joined(separator: "\n") }
      text += "\n\n" + QuickstartGreeting.text(layout: layout, directory: directory, isDetached: false)
      // Home, the text with each line's rest erased, and what is below erased.
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0 + "\u{1b}[K" }
      write("\u{1b}[H" + lines.joined(separator: "\n") + "\n\u{1b}[J")
      for _ in 0..<10 where !isStopping { try await loopSleep(milliseconds: 100) }
    }
    write("\n")
  }

  private func note(_ event: String) {
    events.append(event)
    if events.count > 100 { events.removeFirst(50) }
    if !isInTerminal { say(event) }
  }

  private func say(_ line: String) { write(line + "\n") }

  private func write(_ text: String) { StandardStream.output.write(text) }
}
