import ArgumentParser
import EventLoop
import Glibc
import RPC

/// `kunlog bench meta probe`: begins a small append at every member each millisecond, and prints each that is acknowledged:
/// `ack MEMBER BEGUN ENDED`, the member's position among the endpoints and two times of the machine's monotonic clock in
/// nanoseconds. It ends with its standard input.
///
/// So the log's own time without leader is measured, not the patience of one client.
struct BenchProbe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Append at every member all the time; print each acknowledgement.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "Milliseconds between the appends at one member.")
  var interval = 1

  @Option(name: .long, help: "Most appends that wait at one member.")
  var outstanding = 2000

  @Option(name: .long, help: "Milliseconds after which an append is given up.")
  var timeout = 1000

  @LoopActor
  func run() async throws {
    var options = RPCOptions()
    options.initialBackoffMilliseconds = 5
    options.maximumBackoffMilliseconds = 20
    options.connectTimeoutMilliseconds = 500
    let members = try target.members(options: options)
    let writers = members.enumerated().map { ProbeWriter(position: $0.offset, $0.element, self) }
    for writer in writers { writer.begin() }
    await Self.untilInputEnds()
    for writer in writers { writer.stop() }
    for member in members { member.close() }
  }

  /// On a thread of its own: reading waits.
  @LoopActor
  private static func untilInputEnds() async {
    let reader = WorkerThread(name: "bench-input")
    _ = try? await reader.run {
      var byte: UInt8 = 0
      while Glibc.read(0, &byte, 1) > 0 {}
    }
    reader.shutdown()
  }
}

/// Appends at one member.
@LoopActor
private final class ProbeWriter {
  private let position: Int
  private let member: any BenchMember
  private let options: BenchProbe
  private var outstanding = 0
  private var timer: LoopTimer?

  init(position: Int, _ member: any BenchMember, _ options: BenchProbe) {
    self.position = position
    self.member = member
    self.options = options
  }

  func begin() {
    timer = LoopTimer(afterMilliseconds: options.interval, repeatMilliseconds: options.interval) { [self] in append() }
  }

  func stop() { timer?.cancel() }

  private func append() {
    guard outstanding < options.outstanding else { return }
    outstanding += 1
    let begun = Loop.now
    member.append(BenchAppend(writer: 0, valueBytes: 16, timeoutMilliseconds: options.timeout)) { [self] outcome in
      outstanding -= 1
      guard case .done = outcome else { return }
      StandardStream.output.write("ack \(position) \(begun) \(Loop.now)\n")
    }
  }
}
