import Metadata
import MetadataWire

/// The latest records: what subscribers that keep up are served from. Those further behind read the log.
package struct RecentRecords: Sendable {
  /// A record as it was logged: its place, its bytes, and what filters ask first. Its events are not kept: most of those who
  /// get it want the bytes, and so many small objects would cost more than all the rest.
  package struct Element: Sendable {
    package let index: UInt64
    package let term: UInt64
    package let previousIndex: UInt64
    package let hash: RecordHash
    package let body: [UInt8]
    let families: EventFamilies
    let subjects: [EventSubject]

    /// - Parameter image: the image before the record; where that is not at hand, a later one.
    package init(record: Record, body: [UInt8], before image: Image) {
      index = record.index
      term = record.term
      previousIndex = record.previousIndex
      hash = record.hash
      self.body = body
      families = EventFamilies(of: record.events)
      subjects = EventSubject.of(record.events, image)
    }

    /// Bytes in memory, about.
    var sizeBytes: Int { body.count + subjects.count * MemoryLayout<EventSubject>.stride }

    /// The record, decoded again each time.
    package var record: Record {
      guard let content = try? RecordBody(decoding: body) else {
        preconditionFailure("record \(index) was decoded before, and its bytes have not changed since")
      }
      return Record(content, index: index, term: term, hash: hash)
    }
  }

  /// Bytes of records that are kept; the newest record is kept whatever its size.
  private let limitBytes: Int
  private var elements: [Element] = []
  private var sizeBytes = 0

  package init(limitBytes: Int) { self.limitBytes = limitBytes }

  mutating func append(_ element: Element) {
    elements.append(element)
    sizeBytes += element.sizeBytes
    guard sizeBytes > limitBytes else { return }
    // Some more than must be: old ones are no longer in the processor's cache, one by one they would be fetched at each append.
    var dropped = 0
    while sizeBytes > limitBytes - limitBytes / 8, dropped < elements.count - 1 {
      sizeBytes -= elements[dropped].sizeBytes
      dropped += 1
    }
    elements.removeFirst(dropped)
  }

  mutating func removeAll() {
    elements = []
    sizeBytes = 0
  }

  /// Up to `count` records after an index; nil where older ones than are kept would be needed.
  package func records(after index: UInt64, count: Int) -> ArraySlice<Element>? {
    guard let first = elements.first, first.previousIndex <= index else { return nil }
    var (low, high) = (0, elements.count)
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].index <= index { low = middle + 1 } else { high = middle }
    }
    return elements[low..<min(low + count, elements.count)]
  }

  /// What a filter leaves of the records after an index; nil where older ones than are kept would be needed.
  package func run(after index: UInt64, _ filter: SubscriptionFilter, count: Int) -> RecordRun? {
    guard let found = records(after: index, count: count), let last = found.last else { return nil }
    let wanted = filter.isEmpty ? Array(found) : found.filter { filter.passes($0.families, $0.subjects) }
    return RecordRun(elements: wanted, position: last.index)
  }

  package func element(at index: UInt64) -> Element? {
    guard index > 0, let found = records(after: index - 1, count: 1)?.first, found.index == index else { return nil }
    return found
  }
}

/// Consecutive records as a filter leaves them: what every subscriber with that filter at that place is sent next.
package struct RecordRun: Sendable {
  package let elements: [RecentRecords.Element]
  /// The last record that was looked at.
  package let position: UInt64
}
