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
    case .paused(_, let reason), .failed(_, let reason), .reverseRequested(_, let reason), .reversed(_, let reason):
      return id + because(reason)
    case .reverseGivenUp(_, let isLost, let reason):
      return id + (isLost ? ", the source's copy does not follow any more" : "") + because(reason)
    case .progressed(_, let progress):
      return "\(id) \(progress.bytes) of \(progress.totalBytes) bytes, \(progress.rows) rows"
        + (progress.lagMilliseconds.map { ", \($0) ms behind" } ?? "")
    case .retried(_, let attempt, let resumesAt, let reason):
      return "\(id) attempt \(attempt), from: \(resumesAt.text)" + because(reason)
    case .transferred, .loaded, .writesCut, .finishing, .sourceDropped, .resumed, .rolledBack, .abandoned: return id
    }
  }

  static func text(_ event: PrivilegeEvent, _ names: ObjectNames) -> String {
    switch event {
    case .changed(let grant):
      let words = grant.privileges.words
      let options = grant.grantOptions.words
      return "\(grant.grantee.map { names[$0] } ?? "PUBLIC") on \(names[grant.objectID]): "
        + (words.isEmpty ? "nothing" : words.joined(separator: ", "))
        + (options.isEmpty ? "" : "; with grant option: \(options.joined(separator: ", "))")
    case .roleGranted(let membership):
      return "\(names[membership.roleID]) to \(names[membership.memberID])"
        + (membership.isAdmin ? ", with admin option" : "")
    case .roleRevoked(let role, let member): return "\(names[role]) from \(names[member])"
    }
  }

  static func text(_ event: MaterializedViewEvent, _ names: ObjectNames) -> String {
    switch event {
    case .created(let view): "\(names[view.tableID]) as \(view.query)"
    case .refreshed(let id, let isPopulated, let index):
      isPopulated ? "\(names[id]) as of index \(index)" : "\(names[id]), without rows"
    }
  }

  static func text(_ event: FunctionEvent, _ names: ObjectNames) -> String {
    switch event {
    case .created(let function), .replaced(let function):
      "\(function.signature) (\(function.id)) returns \(function.returnsSet ? "setof " : "")"
        + "\(function.result?.displayName ?? "void") as \(function.body)"
    case .dropped(let id): names[id]
    }
  }

  static func text(_ event: SchemaChangeEvent, _ names: ObjectNames) -> String {
    switch event {
    case .planned(let plan):
      "\(plan.id) of \(names[plan.objectID]): \(plan.text); steps: \(plan.steps.joined(separator: ", "))"
    case .stepDone(let id, let step): "\(id) step \(step)"
    case .completed(let id): "\(id)"
    case .failed(let id, let reason): "\(id)" + because(reason)
    }
  }

  private static func because(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }
}
