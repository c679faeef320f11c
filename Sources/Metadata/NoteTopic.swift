/// What the image keeps of the notes of a topic; the notes themselves are in the log.
package struct NoteTopic: Sendable, Hashable {
  package static let maximumNameBytes = 64
  package static let maximumContentBytes = 65_536
  package static let maximumTopics = 1_000

  /// How many there were.
  package var count: UInt64
  /// The record with the last one.
  package var lastIndex: UInt64
  package init(count: UInt64 = 0, lastIndex: UInt64 = 0) {
    self.count = count
    self.lastIndex = lastIndex
  }

  mutating func add(at index: UInt64) {
    count &+= 1
    lastIndex = index
  }
}
