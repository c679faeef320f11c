import ArgumentParser
import EventLoop
import FoundationEssentials
import ProtocolEtcd
import RPC

/// A client of one etcd server.
@LoopActor
final class EtcdMember: BenchMember {
  private static let put = RPCMethod<Etcdserverpb_PutRequest, Etcdserverpb_PutResponse>(
    service: "etcdserverpb.KV", method: "Put")
  private static let range = RPCMethod<Etcdserverpb_RangeRequest, Etcdserverpb_RangeResponse>(
    service: "etcdserverpb.KV", method: "Range")
  private static let status = RPCMethod<Etcdserverpb_StatusRequest, Etcdserverpb_StatusResponse>(
    service: "etcdserverpb.Maintenance", method: "Status")
  private static let moveLeader = RPCMethod<Etcdserverpb_MoveLeaderRequest, Etcdserverpb_MoveLeaderResponse>(
    service: "etcdserverpb.Maintenance", method: "MoveLeader")
  /// The key that is read.
  private static let readKey = Data("kunlog-bench-read".utf8)

  private let channel: RPCChannel
  /// Tells this process' keys from those of others.
  private let run = UInt64.random(in: 0...UInt64.max)
  private var lastKey: UInt64 = 0

  init(_ channel: RPCChannel) { self.channel = channel }

  func append(_ append: BenchAppend, then: @escaping @LoopActor (BenchOutcome) -> Void) {
    // As appends have it, each makes something new.
    lastKey += 1
    var request = Etcdserverpb_PutRequest()
    request.key = Data("\(run)/\(lastKey)".utf8)
    request.value = BenchValue.data(append.valueBytes, lastKey)
    channel.unary(Self.put, request, timeoutMilliseconds: append.timeoutMilliseconds) { then(BenchOutcome($0)) }
  }

  func read(then: @escaping @LoopActor (BenchOutcome) -> Void) {
    channel.unary(Self.range, Etcdserverpb_RangeRequest.with { $0.key = Self.readKey }, timeoutMilliseconds: nil) {
      then(BenchOutcome($0))
    }
  }

  func ping(then: @escaping @LoopActor (BenchOutcome) -> Void) {
    channel.unary(Self.status, Etcdserverpb_StatusRequest(), timeoutMilliseconds: nil) { then(BenchOutcome($0)) }
  }

  func state() async -> BenchMemberState? {
    guard let status = try? await ask() else { return nil }
    return BenchMemberState(
      isLeader: status.leader != 0 && status.leader == status.header.memberID, appliedIndex: status.raftIndex,
      term: status.raftTerm)
  }

  private func ask() async throws -> Etcdserverpb_StatusResponse {
    try await channel.unary(Self.status, Etcdserverpb_StatusRequest(), timeoutMilliseconds: 1000)
  }

  func prepare() async throws {
    let request = Etcdserverpb_PutRequest.with {
      $0.key = Self.readKey
      $0.value = BenchValue.data(256, 0)
    }
    _ = try await channel.unary(Self.put, request, timeoutMilliseconds: 5000)
  }

  /// Gives the leadership, which this member has, to another.
  func transfer(to other: EtcdMember) async throws {
    let target = try await other.ask().header.memberID
    _ = try await channel.unary(Self.moveLeader, .with { $0.targetID = target }, timeoutMilliseconds: 5000)
  }

  func close() { channel.close() }
}

extension BenchOutcome {
  /// Of a call whose answer does not matter.
  init<Response>(_ result: Result<Response, RPCError>) {
    switch result {
    case .success: self = .done
    case .failure(let error): self = .refused("\(error)")
    }
  }
}

/// Values that are written: no two alike, cheap to make.
enum BenchValue {
  /// So many bytes, at least 8.
  static func data(_ count: Int, _ number: UInt64) -> Data {
    var data = Data(repeating: UInt8(ascii: "x"), count: max(8, count))
    for position in 0..<8 { data[position] = UInt8(truncatingIfNeeded: number >> (8 * position)) }
    return data
  }
}
