import Metadata

/// The moves that this manager has planned, each for something, and what is left alone for a while because its move has failed: 5 s,
/// and twice as long after each further failure, up to 64 times.
struct MoveBackoff<Subject: Hashable> {
  private static var firstMilliseconds: UInt64 { 5_000 }

  private var planned: [MigrationID: Subject] = [:]
  private var failures: [Subject: (count: UInt64, until: UInt64)] = [:]

  mutating func planned(_ id: MigrationID, for subject: Subject) { planned[id] = subject }

  /// Takes note of moves that have ended. `now`: in milliseconds, here and below.
  mutating func noteEnded(_ image: Image, _ now: UInt64) {
    for (id, subject) in planned.sorted(by: { $0.key < $1.key }) where image.migrations.open[id] == nil {
      planned[id] = nil
      guard image.migrations.ended[id]?.outcome != .completed else {
        failures[subject] = nil
        continue
      }
      let count = (failures[subject]?.count ?? 0) + 1
      failures[subject] = (count, now + Self.firstMilliseconds << min(count - 1, 6))
    }
  }

  func isLeftAlone(_ subject: Subject, _ now: UInt64) -> Bool { failures[subject].map { $0.until > now } ?? false }

  /// Forgets failures of what is no more.
  mutating func keep(where isThere: (Subject) -> Bool) { failures = failures.filter { isThere($0.key) } }
}
