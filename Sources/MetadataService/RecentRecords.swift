import Metadata
import ProtocolMetadata

/// The latest records, ready to be sent: what subscribers that keep up are served from. Those further behind read the log.
struct RecentRecords {
  struct Element {
    let record: Record
    let sealed: Kunlog_Metadata_V1_SealedRecord
    let sizeBytes: Int
  }

  /// Bytes of bodies that are kept; the newest record is kept whatever its size.
  private let limitBytes: Int
  private var elements: [Element] = []
  private var first = 0
  private var sizeBytes = 0

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  mutating func append(_ record: Record, body: [UInt8]) {
    let element = Element(
      record: record, sealed: Kunlog_Metadata_V1_SealedRecord(record, body: body), sizeBytes: body.count)
    elements.append(element)
    sizeBytes += element.sizeBytes
    while sizeBytes > limitBytes, first < elements.count - 1 {
      sizeBytes -= elements[first].sizeBytes
      first += 1
    }
    if first > 1024, first * 2 > elements.count {
      elements.removeSubrange(0..<first)
      first = 0
    }
  }

  mutating func removeAll() {
    elements = []
    first = 0
    sizeBytes = 0
  }

  /// Up to `count` records after an index; nil where older ones than are kept would be needed.
  func records(after index: UInt64, count: Int) -> ArraySlice<Element>? {
    guard first < elements.count, elements[first].record.previousIndex <= index else { return nil }
    var (low, high) = (first, elements.count)
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].record.index <= index { low = middle + 1 } else { high = middle }
    }
    return elements[low..<min(low + count, elements.count)]
  }

  func record(at index: UInt64) -> Record? {
    guard index > 0, let found = records(after: index - 1, count: 1)?.first, found.record.index == index else {
      return nil
    }
    return found.record
  }
}
