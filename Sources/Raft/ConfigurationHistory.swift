/// The configurations that the log holds: the one at its base and each later one.
///
/// A configuration is in force as soon as it is in the log, committed or not (Raft paper, section 6), and out of force
/// when its entry is replaced. So the history is needed back to the base, where a snapshot starts.
struct ConfigurationHistory: Sendable {
  struct Item: Sendable, Equatable {
    var index: UInt64
    var configuration: Configuration
  }
  private(set) var items: [Item]
  /// The configuration in force: that of the last item. Looked at for every message, so it has a place of its own.
  private(set) var current: Configuration

  init(base: Configuration, at index: UInt64) {
    items = [Item(index: index, configuration: base)]
    current = base
  }

  /// The entry that made it so.
  var currentIndex: UInt64 { items[items.count - 1].index }

  /// The entry that last changed what a quorum is; the next such change waits until it is committed.
  var quorumIndex: UInt64 {
    var position = items.count - 1
    while position > 0, items[position].configuration.hasQuorums(of: items[position - 1].configuration) {
      position -= 1
    }
    return items[position].index
  }

  mutating func append(_ configuration: Configuration, at index: UInt64) {
    precondition(index > currentIndex, "configurations follow each other")
    items.append(Item(index: index, configuration: configuration))
    current = configuration
  }

  /// Drops those whose entries are replaced; true when another one is in force thereby.
  mutating func truncate(from index: UInt64) -> Bool {
    let before = items.count
    while items.count > 1, items[items.count - 1].index >= index { items.removeLast() }
    current = items[items.count - 1].configuration
    return items.count != before
  }

  /// The configuration in force at an entry that is not compacted.
  func configuration(at index: UInt64) -> Configuration? { items.last { $0.index <= index }?.configuration }

  /// Forgets those that no entry from `index` on needs.
  mutating func compact(through index: UInt64) {
    guard let keep = items.lastIndex(where: { $0.index <= index }), keep > 0 else { return }
    items.removeFirst(keep)
  }
}
