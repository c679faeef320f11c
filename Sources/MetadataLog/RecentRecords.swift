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

    package init(record: Record, body: [UInt8]) {
      index = record.index
      term = record.term
      previousIndex = record.previousIndex
      hash = record.hash
      self.body = body
      families = EventFamilies(of: record.events)
    }

    /// The record, decoded again each time.
    package var record: Record {
      guard let content = try? RecordBody(decoding: body) else {
        preconditionFailure("record \(index) was decoded before, and its bytes have not changed since")
      }
      return Record(content, index: index, term: term, hash: hash)
    }
  }

  /// Bytes of bodies that are kept; the newest record is kept whatever its size.
  private let limitBytes: Int
  private var elements: [Element] = []
  private var sizeBytes = 0

  package init(limitBytes: Int) { self.limitBytes = limitBytes }

  mutating func append(_ element: Element) {
    elements.append(element)
    sizeBytes += element.body.count
    guard sizeBytes > limitBytes else { return }
    // Some more than must be: old ones are no longer in the processor's cache, one by one they would be fetched at each append.
    var dropped = 0
    while sizeBytes > limitBytes - limitBytes / 8, dropped < elements.count - 1 {
      sizeBytes -= elements[dropped].body.count
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

  package func element(at index: UInt64) -> Element? {
    guard index > 0, let found = records(after: index - 1, count: 1)?.first, found.index == index else { return nil }
    return found
  }
}

/// A set of event families.
struct EventFamilies: Sendable, Equatable {
  private var bits: UInt32 = 0

  init(_ families: some Sequence<EventFamily>) {
    for family in families { insert(family) }
  }

  /// Those of the events.
  init(of events: [Event]) {
    for event in events { insert(event.family) }
  }

  func intersects(_ other: EventFamilies) -> Bool { bits & other.bits != 0 }

  func contains(_ family: EventFamily) -> Bool { bits & EventFamilies.bit(family) != 0 }

  private mutating func insert(_ family: EventFamily) { bits |= EventFamilies.bit(family) }

  private static func bit(_ family: EventFamily) -> UInt32 {
    switch family {
    case .cluster: 1
    case .nodes: 2
    case .shards: 4
    case .catalog: 8
    case .roles: 16
    case .placement: 32
    case .notes: 64
    case .transactions: 128
    case .managers: 256
    case .migrations: 512
    }
  }
}
