/// The last entries of a log, contiguous, within a bound of bytes.
package struct RecentEntries: Sendable {
  private var entries: [Entry] = []
  // Evicted entries at the head of the array, dropped for good when they outnumber the rest.
  private var evicted = 0
  /// The bytes that are held.
  package private(set) var sizeBytes = 0
  /// The bytes that should not be exceeded.
  package let limitBytes: Int

  /// Makes an empty buffer.
  package init(limitBytes: Int) { self.limitBytes = limitBytes }

  /// How many entries are held.
  package var count: Int { entries.count - evicted }

  /// Index of the oldest entry held; nil when there is none.
  package var firstIndex: UInt64? { count == 0 ? nil : entries[evicted].index }

  /// Adds the next entry; a gap empties the buffer first.
  package mutating func append(_ entry: Entry) {
    if count > 0, entries[entries.count - 1].index + 1 != entry.index { removeAll() }
    entries.append(entry)
    sizeBytes += entry.sizeBytes
  }

  /// Removes the entry and all after it.
  package mutating func truncate(from index: UInt64) {
    while count > 0, entries[entries.count - 1].index >= index {
      sizeBytes -= entries.removeLast().sizeBytes
    }
    if count == 0 { removeAll() }
  }

  /// Evicts the oldest while the bound is exceeded, but none after the index given.
  package mutating func trim(notAfter index: UInt64 = .max) {
    while sizeBytes > limitBytes, count > 1, entries[evicted].index <= index {
      sizeBytes -= entries[evicted].sizeBytes
      entries[evicted].payload = []
      evicted += 1
    }
    if evicted > 64, evicted > entries.count / 2 {
      entries.removeFirst(evicted)
      evicted = 0
    }
  }

  /// Forgets everything.
  package mutating func removeAll() {
    entries.removeAll()
    evicted = 0
    sizeBytes = 0
  }

  /// Entries from one index to another, at least one and as many as fit the limit; nil when the first is not held.
  package func slice(from first: UInt64, through last: UInt64, limitBytes: Int) -> [Entry]? {
    guard let held = firstIndex, first >= held, first <= last else { return nil }
    let start = evicted + Int(first - held)
    guard start < entries.count else { return nil }
    let bound = min(entries.count, start + Int(min(last - first + 1, UInt64(Int32.max))))
    var end = start
    var total = 0
    while end < bound {
      total += entries[end].sizeBytes
      if end > start, total > limitBytes { break }
      end += 1
    }
    return Array(entries[start..<end])
  }
}
