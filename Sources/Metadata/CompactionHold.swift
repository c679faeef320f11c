/// Something that is under way, whose records must stay in the log: compaction does not pass the record that it began with.
package struct CompactionHold: Sendable, Hashable {
  /// The first record that is needed.
  package var index: UInt64
  /// What holds it, for people.
  package var text: String
  package init(index: UInt64, text: String) {
    self.index = index
    self.text = text
  }
}

extension Image {
  /// The oldest record that must stay in the log: everything before it may be compacted. nil: nothing is under way.
  package var oldestHeldIndex: UInt64? {
    let transaction = transactions.open.values.lazy.map(\.index).min()
    let migration = migrations.open.values.lazy.map(\.startedIndex).min()
    let change = schemaChanges.open.values.lazy.map(\.startedIndex).min()
    return [transaction, migration, change].compactMap(\.self).min()
  }

  /// All that holds compaction back, oldest first: transactions that are not resolved, migrations and schema changes
  /// that have not ended.
  package var compactionHolds: [CompactionHold] {
    var holds: [CompactionHold] = []
    for (id, transaction) in transactions.open.sorted(by: { ($0.value.index, $0.key) < ($1.value.index, $1.key) }) {
      let shards = transaction.participants.map(\.description).joined(separator: ", ")
      holds.append(
        CompactionHold(
          index: transaction.index, text: "transaction \(id), \(transaction.outcome), not resolved at shards \(shards)")
      )
    }
    for migration in migrations.open.values.sorted(by: { $0.plan.id < $1.plan.id }) {
      holds.append(CompactionHold(index: migration.startedIndex, text: migration.text))
    }
    for change in schemaChanges.open.values.sorted(by: { $0.plan.id < $1.plan.id }) {
      holds.append(CompactionHold(index: change.startedIndex, text: change.text))
    }
    return holds.sorted { ($0.index, $0.text) < ($1.index, $1.text) }
  }
}
