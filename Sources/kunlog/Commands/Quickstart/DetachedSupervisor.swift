import ArgumentParser
import EventLoop
import FoundationEssentials
import Glibc

/// Starts the supervisor as a process of its own, in a session of its own, and waits until the cluster is ready.
struct DetachedSupervisor {
  var directory: QuickstartDirectory
  var layout: ClusterLayout

  @LoopActor
  func start() async throws {
    unlink(directory.readyFile)
    let log = directory.logFile("supervisor")
    closeInheritedFilesOnExec()
    let child = try ChildProcess.spawn(
      executable: KunlogExecutable.path,
      arguments: ["quickstart", "start", "--supervise", "--data", directory.path], output: .append(log),
      errors: .append(log), detached: true)
    let began = Loop.now
    while access(directory.readyFile, F_OK) != 0 {
      guard child.exit == nil else {
        throw ValidationError("The quick start ended before it was ready. Its last words:\n\(lastWords())")
      }
      guard Loop.now - began < 60_000_000_000 else {
        child.signal(SIGTERM)
        throw ValidationError("The quick start was not ready within 60 s. Its last words:\n\(lastWords())")
      }
      try await loopSleep(milliseconds: 10)
    }
    print(QuickstartGreeting.text(layout: layout, directory: directory, isDetached: true))
  }

  /// What this process has inherited must not go on to one that stays: a script that waits for the end of its pipes would
  /// wait for the cluster's.
  private func closeInheritedFilesOnExec() {
    for descriptor in Int32(3)..<1024 {
      let flags = fcntl(descriptor, F_GETFD)
      if flags >= 0 { _ = fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
    }
  }

  private func lastWords() -> String {
    let text = FileManager.default.contents(atPath: directory.logFile("supervisor")).map {
      String(decoding: $0, as: UTF8.self)
    }
    return (text ?? "").split(separator: "\n").suffix(10).joined(separator: "\n")
  }
}

/// This program's own file, to start itself again in another role.
enum KunlogExecutable {
  static var path: String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let length = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
    return length > 0 ? String(decoding: buffer[..<length], as: UTF8.self) : CommandLine.arguments[0]
  }
}

/// What a quick start says when it is ready.
enum QuickstartGreeting {
  static func text(layout: ClusterLayout, directory: QuickstartDirectory, isDetached: Bool) -> String {
    let compute = layout.processes(role: "compute")
    let ports = compute.compactMap(\.postgresPort).map(String.init).joined(separator: ", ")
    let host = compute.first?.host ?? "127.0.0.1"
    var lines = [
      "Kunlog is ready: \(compute.count) compute nodes listen on \(host), ports \(ports).",
      "  psql -h \(host) -p \(layout.postgresPort) -U abc postgres      # password abc",
      "  kunlog cluster status --data \(directory.path)",
      "  kunlog log tail --data \(directory.path)",
    ]
    if let port = layout.metricsPort {
      lines.append("  curl http://\(host):\(port)/metrics      # of meta-1; docs/monitoring.md")
    }
    lines.append(isDetached ? "  kunlog quickstart stop --data \(directory.path)" : "Ctrl-C stops everything.")
    return lines.joined(separator: "\n")
  }
}
