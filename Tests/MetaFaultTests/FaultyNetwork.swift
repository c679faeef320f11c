import EventLoop
import Foundation

/// A network of three namespaces that loses, delays and splits: `Network/network.py`, which says how.
@LoopActor
final class FaultyNetwork {
  /// Why there is none on this machine; nil where there can be.
  nonisolated static let missing: String? = {
    if geteuid() != 0 { return "network namespaces need root" }
    let files = FileManager.default
    for file in ["/dev/net/tun", "/usr/bin/python3"] where !files.fileExists(atPath: file) {
      return "\(file) is missing"
    }
    let hasIP = ["/usr/sbin/ip", "/sbin/ip"].contains { files.isExecutableFile(atPath: $0) }
    return hasIP ? nil : "ip (iproute2) is missing"
  }()

  let name: String
  let prefix: String
  private let folder: String
  private let process: ChildProcess
  private var input: Int32 = -1
  private var expected = 1

  /// Makes the namespaces.
  static func start() async throws -> FaultyNetwork {
    let network = try FaultyNetwork()
    do { try await network.awaitAnswer() } catch {
      await network.stop()
      throw error
    }
    return network
  }

  private init() throws {
    let number = UInt32.random(in: 0...UInt32.max)
    name = "kl" + String(number, radix: 36)
    // Beside another run of the same test.
    prefix = "10.\(64 + number % 64).\(number >> 8 & 255)"
    folder = "/tmp/kunlog-network-\(number)"
    try FileSystem.createDirectory(folder)
    guard mkfifo(folder + "/commands", 0o600) == 0 else {
      throw MetaProcesses.Failure(description: "mkfifo: \(String(cString: strerror(errno)))")
    }
    let script = URL(filePath: #filePath).deletingLastPathComponent().path + "/Network/network.py"
    process = try ChildProcess.spawn(
      executable: "/bin/sh",
      arguments: [
        "-c", "exec python3 '\(script)' \(name) 3 \(prefix) < '\(folder)/commands'",
      ], output: .append(folder + "/output"), errors: .append(folder + "/output"))
    // Opened for both, so that it does not wait for the other end; the program sees the end once this process is gone.
    input = open(folder + "/commands", O_RDWR | O_CLOEXEC)
  }

  /// The addresses of the namespaces.
  var hosts: [String] { (1...3).map { "\(prefix).\($0)" } }

  /// What is run before a program that shall run in a namespace.
  var prefixes: [[String]] { (1...3).map { ["ip", "netns", "exec", "\(name)-\($0)"] } }

  /// Each packet between namespaces is lost with this probability.
  func drop(_ probability: Double) async throws { try await command("drop \(probability)") }

  /// Each packet between namespaces takes so long.
  func delay(_ milliseconds: ClosedRange<Double>) async throws {
    try await command("delay \(milliseconds.lowerBound) \(milliseconds.upperBound)")
  }

  /// Nothing goes from one namespace to another any more.
  func cut(_ from: UInt64, _ to: UInt64) async throws { try await command("cut \(from) \(to)") }

  /// A node hears no other node, and is heard by none; clients reach it.
  func isolate(_ node: UInt64) async throws {
    for other in UInt64(1)...3 where other != node {
      try await cut(node, other)
      try await cut(other, node)
    }
  }

  /// Nothing is lost, delayed or cut any more.
  func heal() async throws { try await command("heal") }

  /// Removes the namespaces: the program does it at the end of its input.
  func stop() async {
    if input >= 0 { close(input) }
    input = -1
    let limit = Loop.now + 5_000_000_000
    while process.exit == nil, Loop.now < limit { try? await loopSleep(milliseconds: 10) }
    if process.exit == nil { process.signal(SIGKILL) }
    try? FileSystem.remove(folder)
  }

  private func command(_ text: String) async throws {
    let bytes = Array((text + "\n").utf8)
    guard write(input, bytes, bytes.count) == bytes.count else {
      throw MetaProcesses.Failure(description: "the network takes no commands")
    }
    expected += 1
    try await awaitAnswer()
  }

  private func awaitAnswer() async throws {
    let deadline = Loop.now + 10_000_000_000
    while true {
      let text = (try? FileSystem.readText(folder + "/output")) ?? ""
      if text.split(separator: "\n").count(where: { $0 == "ready" || $0 == "ok" }) >= expected { return }
      guard process.exit == nil, Loop.now < deadline else {
        throw MetaProcesses.Failure(description: "the network does not answer: \(text)")
      }
      try await loopSleep(milliseconds: 5)
    }
  }
}

/// Runs the body with a group on a network of its own, and ends both however the body ends.
@LoopActor
func withFaultyNetwork(_ body: @LoopActor (MetaProcesses, FaultyNetwork) async throws -> Void) async throws {
  let network = try await FaultyNetwork.start()
  do {
    let group = try await MetaProcesses.start(hosts: network.hosts, prefixes: network.prefixes)
    do { try await body(group, network) } catch {
      await group.stop()
      throw error
    }
    await group.stop()
  } catch {
    await network.stop()
    throw error
  }
  await network.stop()
}
