import EventLoop
import Glibc
import Testing

@Suite("Child processes and signals")
struct ProcessTests {
  @LoopActor
  static func run(
    _ executable: String, _ arguments: [String], environment: [String: String]? = nil
  ) async throws -> (exit: ChildExit, output: String) {
    let output = Log<UInt8>()
    let child = try ChildProcess.spawn(
      executable: executable, arguments: arguments, environment: environment, output: .pipe { output.entries += $0 })
    let exit = await child.waitForExit()
    return (exit, String(decoding: output.entries, as: UTF8.self))
  }

  @Test("A child's output, environment and code are what it was given and gave")
  @LoopActor
  func outputAndCode() async throws {
    let result = try await Self.run(
      "/bin/sh", ["-c", "echo \"$GREETING, $1\"; exit 3", "sh", "wide  world"], environment: ["GREETING": "hello"])
    #expect(result.exit == .code(3))
    #expect(result.output == "hello, wide  world\n")
  }

  @Test("A killed child reports the signal")
  @LoopActor
  func killed() async throws {
    let child = try ChildProcess.spawn(executable: "/bin/sleep", arguments: ["60"])
    child.signal(SIGKILL)
    #expect(await child.waitForExit() == .signal(9))
    #expect(child.exit == .signal(9))
  }

  @Test("An executable that does not exist is an error that names it")
  @LoopActor
  func missing() {
    let error = #expect(throws: ChildProcess.SpawnError.self) {
      try ChildProcess.spawn(executable: "/nowhere/program", output: .pipe { _ in })
    }
    #expect(error?.description == "cannot start /nowhere/program: no such file or directory")
  }

  @Test("Output goes to the end of a file")
  @LoopActor
  func appends() async throws {
    let directory = try TemporaryDirectory()
    for word in ["one", "two"] {
      let child = try ChildProcess.spawn(
        executable: "/bin/echo", arguments: [word], output: .append(directory("log")))
      _ = await child.waitForExit()
    }
    #expect(try FileSystem.readText(directory("log")) == "one\ntwo\n")
  }

  @Test("A signal calls its handler")
  @LoopActor
  func signal() async {
    let handler = Log<SignalHandler>()
    await withCheckedContinuation { continuation in
      handler.entries.append(SignalHandler(SIGUSR2) { continuation.resume() })
      kill(getpid(), SIGUSR2)
    }
    handler.entries[0].cancel()
  }
}
