import Metadata
import SQLTypes

/// What events about transactions, managers and migrations say, in one line.
extension EventText {
  static func text(_ event: TransactionEvent) -> String {
    switch event {
    case .decided(let id, let outcome, let participants):
      "\(id) \(outcome), shards \(participants.map(\.description).joined(separator: ", "))"
    case .resolved(let id): "\(id)"
    case .settled(let before):
      "node \(before.coordinator): all before incarnation \(before.incarnation), sequence \(before.sequence)"
    }
  }

  static func text(_ event: ManagerEvent, _ names: ObjectNames) -> String {
    switch event {
    case .elected(let id, let epoch): "node \(names[id]), epoch \(epoch)"
    case .resigned(let epoch): "epoch \(epoch)"
    }
  }

  static func text(_ event: MigrationEvent, _ names: ObjectNames) -> String {
    let id = "\(event.migrationID)"
    switch event {
    case .planned(let plan):
      return "\(id) tablet \(names[plan.tabletID]) from shard \(plan.source) to shard \(plan.target), epoch "
        + "\(plan.epoch)" + because(plan.reason)
    case .snapshotTaken(_, let snapshot):
      return "\(id) at node \(names[snapshot.nodeID]), index \(snapshot.shardIndex), \(snapshot.lengthBytes) bytes"
    case .caughtUp(_, let index): return "\(id) to index \(index)"
    case .routed(let route):
      return "\(id) tablet \(names[route.tabletID]) to shard \(route.shardID), epoch \(route.epoch)"
    case .paused(_, let reason), .failed(_, let reason), .reversed(_, let reason): return id + because(reason)
    case .retried(_, let attempt, let resumesAt, let reason):
      return "\(id) attempt \(attempt), from: \(resumesAt.text)" + because(reason)
    case .transferred, .loaded, .writesCut, .finishing, .sourceDropped, .resumed, .rolledBack, .abandoned: return id
    }
  }

  private static func because(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }
}
