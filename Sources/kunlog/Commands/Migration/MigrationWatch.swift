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

  /// Returns when all have ended, or rest with their source kept.
  ///
  /// - Parameter outcome: how they should end; nil: completed, or resting.
  /// - Throws: where one did not come to its end.
  func untilEnded(as outcome: MigrationOutcome? = nil) async throws {
    client.observe { [weak self] _ in self?.look() }
    look()
    if !hasEnded { await withCheckedContinuation { waiter = $0 } }
    let table = client.image.migrations
    let failed = ids.compactMap { table.open[$0] ?? table.ended[$0] }.filter {
      $0.outcome != outcome ?? .completed && (outcome != nil || $0.outcome != nil)
    }
    guard failed.isEmpty else {
      throw CommandFailure(
        description: failed.map { migration in
          guard migration.outcome != nil else {
            return "Migration \(migration.plan.id) was not reversed: \(migration.remark). The table is on shard "
              + "\(migration.plan.target) as before."
          }
          return "Migration \(migration.plan.id) was not completed: \(migration.outcome?.text ?? "")"
            + (migration.remark.isEmpty ? "." : ": \(migration.remark).")
            + (migration.outcome == .rolledBack ? " The table is on shard \(migration.plan.source) as before." : "")
        }.joined(separator: "\n"))
    }
  }

  private var hasEnded: Bool {
    ids.allSatisfy { client.image.migrations.open[$0].map(\.isResting) ?? true }
  }

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
    if let progress = migration.progress { line += ", " + text(progress) }
    if migration.isResting {
      let id = migration.plan.id
      line +=
        migration.wayBack?.isLost == true
        ? "; there is no way back: kunlog migration complete \(id)"
        : "; the copy on shard \(migration.plan.source) is kept current: kunlog migration complete \(id), or reverse \(id)"
    } else if migration.wayBack?.isRequested == true {
      line += ", on its way back"
    }
    if migration.isPaused { line += ", paused" }
    if migration.attempt > 0 { line += ", attempt \(migration.attempt + 1)" }
    if !migration.remark.isEmpty { line += " (\(migration.remark))" }
    return line
  }

  /// How far a step is.
  nonisolated static func text(_ progress: MigrationProgress) -> String {
    var parts: [String] = []
    if progress.bytes > 0 {
      parts.append("\(progress.bytes)" + (progress.totalBytes > 0 ? " of \(progress.totalBytes)" : "") + " bytes")
      if progress.rows > 0 { parts.append("\(progress.rows) rows") }
      parts.append("\(progress.bytesPerSecond) bytes/s")
    }
    if let lag = progress.lagMilliseconds { parts.append("\(lag) ms behind") }
    if let seconds = progress.secondsLeft { parts.append("\(seconds) s left") }
    return parts.joined(separator: ", ")
  }
}

extension MetadataClient {
  /// Tells who waits for a manager that none acts; answers whether that is so.
  @discardableResult
  func warnWithoutManager(_ consequence: String) -> Bool {
    guard image.manager.nodeID == nil else { return false }
    StandardStream.error.write("No manager acts at the moment: \(consequence) (kunlog manager).\n")
    return true
  }
}
