import Coordination
import EventLoop
import Metadata
import ProtocolStorage
import RPC

extension TabletUsage {
  /// Asks a shard's replicas in turn until its leader answers: what its tablets take; nil: none did.
  @LoopActor
  package static func ask(
    replicas: [NodeID], timeoutMilliseconds: Int, channel: (NodeID) -> RPCChannel?
  ) async -> [TabletID: TabletUsage]? {
    for replica in replicas {
      guard let channel = channel(replica),
        let status = try? await channel.unary(
          StorageMethods.status, Kunlog_Storage_V1_StatusRequest.with { $0.usage = true },
          timeoutMilliseconds: timeoutMilliseconds),
        status.role == "leader"
      else { continue }
      var usage: [TabletID: TabletUsage] = [:]
      for tablet in status.usage {
        usage[TabletID(rawValue: tablet.tabletID)] = TabletUsage(
          sizeBytes: tablet.sizeBytes, operations: tablet.reads &+ tablet.writes)
      }
      return usage
    }
    return nil
  }
}
