import ArgumentParser
import FoundationEssentials
import Glibc

/// `kunlog quickstart stop --data DIR`.
struct QuickstartStop: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "Stop a quick start and all its processes.")

  @OptionGroup var location: QuickstartLocation

  func run() async throws {
    let directory = location.directory
    let layout = try directory.requireLayout()
    let names = ["supervisor"] + layout.processes.map(\.name)
    let pids = { names.compactMap { directory.runningProcess($0) } }
    guard !pids().isEmpty else {
      print("No quick start is running in \(directory.path).")
      return
    }
    // The supervisor stops the others in order; where it is gone, they are told directly.
    if let supervisor = directory.runningProcess("supervisor") {
      kill(supervisor, SIGTERM)
      if await ended(pids, within: .seconds(30)) { return print("Stopped.") }
    }
    for pid in pids() { kill(pid, SIGTERM) }
    if await ended(pids, within: .seconds(10)) { return print("Stopped.") }
    for pid in pids() { kill(pid, SIGKILL) }
    guard await ended(pids, within: .seconds(10)) else {
      throw ValidationError("These processes do not end: \(pids().map(String.init).joined(separator: ", ")).")
    }
    print("Stopped; some processes had to be killed.")
  }

  private func ended(_ pids: () -> [Int32], within limit: Duration) async -> Bool {
    let began = ContinuousClock.now
    while !pids().isEmpty {
      guard ContinuousClock.now - began < limit else { return false }
      try? await Task.sleep(for: .milliseconds(20))
    }
    return true
  }
}
