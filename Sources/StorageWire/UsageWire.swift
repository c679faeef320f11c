import Coordination
import EventLoop
import Metadata
import ProtocolStorage
import RPC

extension DiskSpace {
  /// What a replica says of its file system; nil: nothing.
  package init?(_ status: Kunlog_Storage_V1_StatusResponse) {
    guard status.diskTotalBytes > 0 else { return nil }
    self.init(freeBytes: status.diskFreeBytes, totalBytes: status.diskTotalBytes)
  }

  /// Asks replicas side by side; those that do not answer, or do not know, are left out.
  @LoopActor
  package static func ask(
    replicas: [NodeID], timeoutMilliseconds: Int, channel: (NodeID) -> RPCChannel?
  ) async -> [NodeID: DiskSpace] {
    var spaces: [NodeID: DiskSpace] = [:]
    for (replica, status) in await statuses(of: replicas, timeoutMilliseconds, channel) {
      spaces[replica] = DiskSpace(status)
    }
    return spaces
  }
}

extension ShardUsage {
  /// Asks a shard's replicas what their disks have, then its leader what the tablets take, which is work for who has many; nil: no
  /// leader answered.
  @LoopActor
  package static func ask(
    replicas: [NodeID], timeoutMilliseconds: Int, channel: (NodeID) -> RPCChannel?
  ) async -> ShardUsage? {
    let statuses = await statuses(of: replicas, timeoutMilliseconds, channel)
    var usage = ShardUsage(tablets: [:])
    for (replica, status) in statuses { usage.spaces[replica] = DiskSpace(status) }
    // One that does not say what it is may lead: it runs an older program.
    for (replica, status) in statuses where status.role == "leader" || status.role.isEmpty {
      guard let channel = channel(replica),
        let answer = try? await channel.unary(
          StorageMethods.status, Kunlog_Storage_V1_StatusRequest.with { $0.usage = true },
          timeoutMilliseconds: timeoutMilliseconds), answer.role == "leader"
      else { continue }
      for tablet in answer.usage {
        usage.tablets[TabletID(rawValue: tablet.tabletID)] = TabletUsage(
          sizeBytes: tablet.sizeBytes, operations: tablet.reads &+ tablet.writes)
      }
      return usage
    }
    return nil
  }
}

/// Role and space of those that answer, in the order of the replicas.
@LoopActor
private func statuses(
  of replicas: [NodeID], _ timeoutMilliseconds: Int, _ channel: (NodeID) -> RPCChannel?
) async -> [(NodeID, Kunlog_Storage_V1_StatusResponse)] {
  let questions = replicas.compactMap { replica in
    channel(replica).map { channel in
      (
        replica,
        Task { @LoopActor in
          try? await channel.unary(
            StorageMethods.status, Kunlog_Storage_V1_StatusRequest.with { $0.onlySpace = true },
            timeoutMilliseconds: timeoutMilliseconds)
        }
      )
    }
  }
  var answers: [(NodeID, Kunlog_Storage_V1_StatusResponse)] = []
  for (replica, question) in questions {
    if let answer = await question.value { answers.append((replica, answer)) }
  }
  return answers
}
