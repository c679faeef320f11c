import Foundation

/// What a program printed, and how it ended.
struct ProgramResult {
  var output: String
  var errors: String
  var status: Int32
}

/// Runs programs to their end.
enum Program {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// The executable under test, built beside the tests.
  static let kunlog: String = {
    let folder =
      Bundle.main.bundlePath.hasSuffix(".xctest")
      ? URL(filePath: Bundle.main.bundlePath).deletingLastPathComponent().path
      : URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path
    for candidate in [folder, root + "/.build/debug"]
    where FileManager.default.isExecutableFile(atPath: candidate + "/kunlog") {
      return candidate + "/kunlog"
    }
    return root + "/.build/debug/kunlog"
  }()

  static let python = root + "/.build/python/bin/python3"

  static func run(
    _ executable: String, _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
  ) throws -> ProgramResult {
    let process = Process()
    process.executableURL = URL(filePath: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    let folder = FileManager.default.temporaryDirectory.appending(path: "kunlog-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files, not pipes: a pipe that nobody empties stops the program.
    let output = folder.appending(path: "output")
    let errors = folder.appending(path: "errors")
    let inputFile = folder.appending(path: "input")
    try Data((input ?? "").utf8).write(to: inputFile)
    for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
    process.standardInput = try FileHandle(forReadingFrom: inputFile)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    return ProgramResult(
      output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self), status: process.terminationStatus)
  }
}

/// A quick start of its own, on ports of its own, that ends with the test.
final class Cluster {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  struct ProcessStatus: Codable {
    var role: String
    var name: String
    var pid: Int32?
    var ports: [String: Int]
    var state: String
  }

  let data: String
  let nodePort: Int
  let postgresPort: Int

  /// Starts 13 processes and returns when psql can connect.
  init(nodePort: Int, postgresPort: Int) throws {
    data = FileManager.default.temporaryDirectory.appending(path: "kunlog-cluster-\(UUID().uuidString)").path
    self.nodePort = nodePort
    self.postgresPort = postgresPort
    try start()
  }

  deinit {
    _ = try? Program.run(Program.kunlog, ["quickstart", "stop", "--data", data])
    if ProcessInfo.processInfo.environment["KUNLOG_KEEP_DATA"] == nil {
      try? FileManager.default.removeItem(atPath: data)
    }
  }

  func start() throws {
    try kunlog([
      "quickstart", "--data", data, "--detach", "--node-port", "\(nodePort)", "--postgres-port", "\(postgresPort)",
    ])
  }

  func stop() throws { try kunlog(["quickstart", "stop", "--data", data]) }

  /// Runs an operator's command, which must succeed; answers its standard output.
  @discardableResult
  func kunlog(_ arguments: [String]) throws -> String {
    let result = try Program.run(Program.kunlog, arguments)
    guard result.status == 0 else {
      throw Failure(description: "kunlog \(arguments.joined(separator: " ")): \(result.errors)\n\(result.output)")
    }
    return result.output
  }

  /// psql at compute node `node` (from 1): statements from `sql`, unaligned, tuples only.
  func psql(_ sql: String, node: Int = 1, options: [String] = []) throws -> ProgramResult {
    try Program.run(
      "/usr/bin/psql",
      [
        "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", "\(postgresPort + node - 1)", "-U",
        "abc",
      ]
        + options + ["postgres"],
      input: sql, environment: ["PGPASSWORD": "abc", "PGCONNECT_TIMEOUT": "10"])
  }

  /// What psql prints; an error of psql's is an error of the test.
  func query(_ sql: String, node: Int = 1) throws -> String {
    let result = try psql(sql, node: node)
    guard result.status == 0 else { throw Failure(description: result.errors) }
    return result.output.trimmingCharacters(in: .newlines)
  }

  func processes() throws -> [ProcessStatus] {
    struct Report: Codable { var processes: [ProcessStatus] }
    let text = try kunlog(["quickstart", "status", "--data", data, "--json"])
    return try JSONDecoder().decode(Report.self, from: Data(text.utf8)).processes
  }

  func process(named name: String) throws -> ProcessStatus {
    guard let process = try processes().first(where: { $0.name == name }) else {
      throw Failure(description: "no process \(name)")
    }
    return process
  }

  /// kill -9 of one process; answers the id that it had.
  @discardableResult
  func kill(_ name: String) throws -> Int32 {
    guard let pid = try process(named: name).pid else { throw Failure(description: "\(name) does not run") }
    Foundation.kill(pid, SIGKILL)
    return pid
  }

  /// Waits until the condition holds; the limit only ends a test that would hang.
  func eventually(within seconds: Double = 30, _ what: String, _ condition: () throws -> Bool) throws {
    let end = Date().addingTimeInterval(seconds)
    while true {
      if (try? condition()) == true { return }
      guard Date() < end else { throw Failure(description: "not within \(seconds) s: \(what)") }
      Thread.sleep(forTimeInterval: 0.1)
    }
  }
}
