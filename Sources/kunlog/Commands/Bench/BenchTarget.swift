import ArgumentParser
import EventLoop
import FoundationEssentials
import RPC

/// Which servers are measured.
struct BenchTarget: ParsableArguments {
  enum System: String, ExpressibleByArgument, CaseIterable {
    case kunlog, etcd
  }

  @Option(name: .long, help: "What the servers are: kunlog or etcd.")
  var system = System.kunlog

  @Option(name: .long, help: "Addresses of all members: host:port,host:port,…")
  var endpoints: String

  @Option(name: .long, help: "Certificate that proves who you are (PEM).")
  var certificate: String

  @Option(name: .long, help: "Private key of the certificate (PEM).")
  var key: String

  @Option(name: .long, help: "Certificate of the servers' authority (PEM).")
  var authority: String

  var tls: TLSConfiguration {
    TLSConfiguration.node(certificateFile: certificate, keyFile: key, authorityFile: authority)
  }

  /// A client of each member.
  /// - Parameter options: limits of the connections; as a rule the defaults.
  @LoopActor
  func members(options: RPCOptions = RPCOptions()) throws -> [any BenchMember] {
    try Endpoint.list(endpoints).map { endpoint in
      let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls, options: options)
      switch system {
      case .kunlog: return KunlogMember(channel)
      case .etcd: return EtcdMember(channel)
      }
    }
  }

  /// The members, and the position of the one that leads.
  /// - Throws: where none leads within the time.
  @LoopActor
  func membersAndLeader(timeoutMilliseconds: Int = 20_000) async throws -> ([any BenchMember], leader: Int) {
    let members = try members()
    let deadline = Loop.now + UInt64(timeoutMilliseconds) * 1_000_000
    while Loop.now < deadline {
      for (position, member) in members.enumerated() where await member.state()?.isLeader == true {
        return (members, position)
      }
      try await loopSleep(milliseconds: 20)
    }
    throw ValidationError("None of \(endpoints) leads within \(timeoutMilliseconds / 1000) s.")
  }
}

/// How an operation ended.
enum BenchOutcome: Sendable {
  case done
  /// This member cannot do it now: it does not lead, is overloaded or cannot be reached.
  case refused(String)
}

/// What a member says of itself.
struct BenchMemberState: Sendable {
  var isLeader: Bool
  /// How far its log goes, applied.
  var appliedIndex: UInt64
  var term: UInt64
}

/// What is appended.
struct BenchAppend: Sendable {
  /// Tells those that wait at the same time apart.
  var writer: Int
  /// Bytes of each value.
  var valueBytes: Int
  /// Events that stand or fall together (Kunlog only).
  var events = 1
  /// On one stream for all, instead of a call for each (Kunlog only).
  var isStreamed = false
  /// nil: it waits for ever. Not for streamed ones.
  var timeoutMilliseconds: Int?
}

/// A client of one member, of either system: the same operations through the same RPC code.
@LoopActor
protocol BenchMember: AnyObject {
  /// Appends events, or puts a key, that no other is like.
  func append(_ append: BenchAppend, then: @escaping @LoopActor (BenchOutcome) -> Void)
  /// A linearizable read.
  func read(then: @escaping @LoopActor (BenchOutcome) -> Void)
  /// The least that a request can be: answered by the one member, without log and without state.
  func ping(then: @escaping @LoopActor (BenchOutcome) -> Void)
  /// nil where it does not answer.
  func state() async -> BenchMemberState?
  /// Makes the system ready for the rest.
  func prepare() async throws
  func close()
}

/// Prints a value as one line of JSON.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys]
  StandardStream.output.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
}
