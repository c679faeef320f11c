import EventLoop
import Foundation
import Raft
import Testing

@testable import Replica

/// Three replicas of a list, in one process.
@LoopActor
final class ReplicaCluster {
  let directory: String
  let network = InProcessNetwork()
  var replicas: [NodeID: Replica<ListMachine>] = [:]
  var adjust: (inout ReplicaConfiguration) -> Void = { _ in }

  init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("replicas-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  func start(_ ids: NodeID..., members: [NodeID] = [1, 2, 3]) async throws {
    for id in ids {
      var configuration = ReplicaConfiguration(
        clusterID: Array(1...16), groupID: "test", nodeID: id,
        members: members.map { Member(id: $0, address: "in-process:\($0)") }, dataDirectory: directory + "/\(id)")
      configuration.segmentBytes = 64 * 1024
      configuration.keptEntries = 5
      configuration.readTimeoutMilliseconds = 700
      configuration.seed = id
      adjust(&configuration)
      let replica = Replica(
        configuration: configuration, machine: ListMachine(), transport: network.transport(of: id))
      replicas[id] = replica
      try await replica.start()
    }
  }

  func stop(_ id: NodeID) async {
    await replicas.removeValue(forKey: id)?.stop()
  }

  func stopAll() async {
    for id in replicas.keys.sorted() { await stop(id) }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// The leader, once there is one that is ready.
  func leader(except: NodeID? = nil) async throws -> Replica<ListMachine> {
    try await eventually("a leader") {
      self.replicas.sorted { $0.key < $1.key }.map(\.value).first {
        $0.isLeader && $0.configuration.nodeID != except && !self.network.cut.contains($0.configuration.nodeID)
      }
    }
  }

  func follower() async throws -> Replica<ListMachine> {
    let leader = try await leader()
    return try #require(replicas.sorted { $0.key < $1.key }.map(\.value).first { $0 !== leader })
  }

  /// Waits until there is a value; a test that hangs fails after ten seconds.
  func eventually<T>(_ what: String, _ value: @LoopActor () -> T?) async throws -> T {
    for _ in 0..<2000 {
      if let found = value() { return found }
      try await loopSleep(milliseconds: 5)
    }
    throw NeverHappened(what: what)
  }

  func everyoneHas(_ items: [String]) async throws {
    _ = try await eventually("\(items.count) items everywhere") {
      self.replicas.values.allSatisfy { $0.machine.items == items } ? true : nil
    }
  }
}

struct NeverHappened: Error { var what: String }

extension Replica {
  func propose(_ text: String) async throws(ReplicaError) -> Machine.Output { try await propose(Array(text.utf8)) }
}
