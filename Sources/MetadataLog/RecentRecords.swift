import Metadata

/// The latest records: what subscribers that keep up are served from. Those further behind read the log.
package struct RecentRecords: Sendable {
  /// A record with the bytes that were logged.
  package struct Element: Sendable {
    package let record: Record
    package let body: [UInt8]
    package init(record: Record, body: [UInt8]) {
      self.record = record
      self.body = body
    }
  }

  /// Bytes of bodies that are kept; the newest record is kept whatever its size.
  private let limitBytes: Int
  private var elements: [Element] = []
  // Those before it are to be dropped, many at once.
  private var first = 0
  private var sizeBytes = 0

  package init(limitBytes: Int) { self.limitBytes = limitBytes }

  mutating func append(_ element: Element) {
    elements.append(element)
    sizeBytes += element.body.count
    while sizeBytes > limitBytes, first < elements.count - 1 {
      sizeBytes -= elements[first].body.count
      first += 1
    }
    if first >= 256, first * 4 > elements.count {
      elements.removeFirst(first)
      first = 0
    }
  }

  mutating func removeAll() {
    elements = []
    first = 0
    sizeBytes = 0
  }

  /// Up to `count` records after an index; nil where older ones than are kept would be needed.
  package func records(after index: UInt64, count: Int) -> ArraySlice<Element>? {
    guard first < elements.count, elements[first].record.previousIndex <= index else { return nil }
    var (low, high) = (first, elements.count)
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].record.index <= index { low = middle + 1 } else { high = middle }
    }
    return elements[low..<min(low + count, elements.count)]
  }

  package func element(at index: UInt64) -> Element? {
    guard index > 0, let found = records(after: index - 1, count: 1)?.first, found.record.index == index else {
      return nil
    }
    return found
  }
}
