import EventLoop
import Metadata
import MetadataClient

/// Shows how migrations get on, until all have ended.
@LoopActor
final class MigrationWatch {
  private let client: MetadataClient
  private let ids: [MigrationID]
  private var shown: [MigrationID: String] = [:]
  private var waiter: CheckedContinuation<Void, Never>?

  init(_ client: MetadataClient, _ ids: [MigrationID]) {
    self.client = client
    self.ids = ids
  }

  /// - Throws: where one did not come to its end.
  func untilEnded() async throws {
    client.observe { [weak self] _ in self?.look() }
    look()
    if !hasEnded { await withCheckedContinuation { waiter = $0 } }
    let failed = ids.compactMap { client.image.migrations.ended[$0] }.filter { $0.outcome != .completed }
    guard failed.isEmpty else {
      throw CommandFailure(
        description: failed.map { migration in
          "Migration \(migration.plan.id) was not completed: \(migration.outcome?.text ?? "")"
            + (migration.remark.isEmpty ? "." : ": \(migration.remark).")
            + " The table is on shard \(migration.plan.source) as before."
        }.joined(separator: "\n"))
    }
  }

  private var hasEnded: Bool { ids.allSatisfy { client.image.migrations.open[$0] == nil } }

  private func look() {
    let table = client.image.migrations
    for id in ids {
      guard let migration = table.open[id] ?? table.ended[id] else { continue }
      let text = Self.line(migration)
      guard shown[id] != text else { continue }
      shown[id] = text
      print("migration \(id): \(text)")
    }
    guard hasEnded else { return }
    waiter?.resume()
    waiter = nil
  }

  /// How far it is.
  nonisolated static func line(_ migration: Migration) -> String {
    if let outcome = migration.outcome { return outcome.text }
    var line = "\(migration.percent) % \(migration.phase.text)"
    if migration.phase == .snapshotTaken, let snapshot = migration.snapshot {
      line += ", \(snapshot.lengthBytes) bytes"
    }
    if migration.isPaused { line += ", paused" }
    if migration.attempt > 0 { line += ", attempt \(migration.attempt + 1)" }
    if !migration.remark.isEmpty { line += " (\(migration.remark))" }
    return line
  }
}
