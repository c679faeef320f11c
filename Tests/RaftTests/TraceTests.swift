import Foundation
import Testing

/// The traces in `Traces` are the core's specification by example. `RAFT_TRACE_RECORD=1 swift test --filter RaftTests`
/// writes what really happens into them, to be read and judged before it is committed.
@Suite("Traces")
struct TraceTests {
  static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Traces")
  static let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path))?.sorted() ?? []

  @Test("A trace has the effects that it says", arguments: names)
  func trace(name: String) throws {
    let file = Self.directory.appendingPathComponent(name)
    let text = try String(contentsOf: file, encoding: .utf8)
    let result = try TraceRunner.run(text)
    if ProcessInfo.processInfo.environment["RAFT_TRACE_RECORD"] != nil {
      try result.actual.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(result.actual == text)
  }

  @Test("The same trace gives the same effects twice", arguments: names)
  func deterministic(name: String) throws {
    let text = try String(contentsOf: Self.directory.appendingPathComponent(name), encoding: .utf8)
    #expect(try TraceRunner.run(text).actual == TraceRunner.run(text).actual)
  }

  @Test("All traces are there")
  func present() {
    #expect(
      Self.names == [
        "broken_connection.txt", "conflict.txt", "disk_identity.txt", "durable_vote.txt", "election.txt",
        "flow_control.txt", "forgotten.txt", "full_disk.txt", "full_disk_alone.txt", "leader_change.txt",
        "leader_replaced.txt", "membership.txt", "membership_restart.txt", "overload.txt", "prevote.txt", "promise.txt",
        "read_index.txt", "removed_leader.txt", "removed_member.txt", "replication.txt", "slow_disk.txt",
        "slow_voter.txt", "snapshot.txt",
        "snapshot_members.txt", "split_vote.txt", "transfer.txt", "unannounced.txt",
      ])
  }
}
