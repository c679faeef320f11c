import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog migration complete`.
struct MigrationComplete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "complete",
    abstract: "End a move whose source was kept (table move --keep-source): the source's copy is deleted.")

  @OptionGroup var change: MigrationChange

  @LoopActor
  func run() async throws {
    let client = try await change.run({ _, id in .complete(id) }) { sibling in
      sibling.isResting ? .complete(sibling.plan.id) : nil
    }
    defer { client.stop() }
    print("migration \(change.id) ends; the source's copy is being deleted")
    try await MigrationWatch(client, [MigrationID(rawValue: change.id)]).untilEnded()
  }
}

/// `kunlog migration reverse`.
struct MigrationReverse: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reverse",
    abstract: "Take a table back whose move has kept its source (table move --keep-source).",
    discussion: """
      The source's copy has followed since the route moved: nothing that was written meanwhile is lost. Both sides are compared, then \
      statements wait for a moment, and the route is at the source again. kunlog migration abort calls it off before that.
      """)

  @OptionGroup var change: MigrationChange

  @LoopActor
  func run() async throws {
    let id = MigrationID(rawValue: change.id)
    let client = try await change.run({ _, id in .reverse(id, reason: change.reason) }) { sibling in
      sibling.isResting ? .reverse(sibling.plan.id, reason: change.reason) : nil
    }
    defer { client.stop() }
    client.warnWithoutManager("it begins once one runs")
    try await MigrationWatch(client, [id]).untilEnded(as: .reversed)
  }
}

/// `kunlog migration abort`.
struct MigrationAbort: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "abort",
    abstract: "End a move before its route has moved: the table stays where it is, what was copied is deleted.",
    discussion: "Of a move that is being reversed: the table stays where it is too, and the source's copy follows on.")

  @OptionGroup var change: MigrationChange

  private func calledOff(_ migration: Migration) -> MigrationCommand? {
    guard migration.wayBack != nil else { return .fail(migration.plan.id, reason: change.reason) }
    return .giveUpReverse(migration.plan.id, attempt: migration.attempt, isLost: false, reason: change.reason)
  }

  @LoopActor
  func run() async throws {
    let id = MigrationID(rawValue: change.id)
    let client = try await change.run({ image, id in
      image.migrations.open[id].flatMap(calledOff) ?? .fail(id, reason: change.reason)
    }) { sibling in
      let isUnderWay =
        sibling.phase.isForward
        || sibling.wayBack != nil && [.routed, .reversing].contains(sibling.phase)
      return isUnderWay ? calledOff(sibling) : nil
    }
    defer { client.stop() }
    if let migration = client.image.migrations.open[id], migration.phase == .routed {
      return print("migration \(change.id): the table stays on shard \(migration.plan.target)")
    }
    print("migration \(change.id) ends; its copy is being deleted")
    if client.warnWithoutManager("one has to run for that") { return }
    while client.image.migrations.open[id] != nil { try await loopSleep(milliseconds: 20) }
    print("migration \(change.id): \(client.image.migrations.ended[id]?.outcome?.text ?? "ended")")
  }
}
