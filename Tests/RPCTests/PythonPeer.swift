import EventLoop
import RPC
import Testing

/// Runs Python's gRPC against the test service, in either role.
@LoopActor
enum PythonPeer {
  private static let directory = String(#filePath.dropLast("/PythonPeer.swift".count))
  private static let root = FileSystem.parent(FileSystem.parent(directory))

  /// What went wrong with a Python process.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private static let interpreter = Task { @LoopActor in
    let output = try await run("\(root)/tools/python-environment", [])
    return String(output.split(separator: "\n").last ?? "")
  }

  private static func run(_ executable: String, _ arguments: [String]) async throws -> String {
    var output: [UInt8] = []
    let child = try ChildProcess.spawn(
      executable: executable, arguments: arguments, output: .pipe { output += $0 })
    let exit = await child.waitForExit()
    let text = String(decoding: output, as: UTF8.self)
    guard exit == .code(0) else { throw Failure(description: "\(executable) \(exit): \(text)") }
    return text
  }

  /// Outcomes of the cases in client.py against a server of ours, which all tests of the suite share.
  static let clientOutcomes = Task { @LoopActor in
    let fixture = try EchoFixture()
    let python = try await interpreter.value
    let text = try await run(
      python, ["\(directory)/Python/client.py", "\(directory)/Protos", "\(fixture.server.port)"])
    await fixture.end()
    var outcomes: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
      outcomes[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
    }
    return outcomes
  }

  /// The port of server.py, which ends with this process.
  static let serverPort = Task { @LoopActor in
    let python = try await interpreter.value
    return try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int, any Error>) in
      var pending: CheckedContinuation<Int, any Error>? = continuation
      var output: [UInt8] = []
      do {
        _ = try ChildProcess.spawn(
          executable: python, arguments: ["\(directory)/Python/server.py", "\(directory)/Protos"],
          output: .pipe { bytes in
            output += bytes
            guard bytes.contains(UInt8(ascii: "\n")) else { return }
            let line = String(decoding: output.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            if let port = Int(line) { pending?.resume(returning: port) }
            pending = nil
          }
        ) { exit in
          pending?.resume(throwing: Failure(description: "server.py \(exit)"))
          pending = nil
        }
      } catch {
        pending?.resume(throwing: error)
      }
    }
  }
}
