import Metadata

/// What a leader knows beyond the committed state: its term, the records in flight, and the image with them.
struct Leadership: Sendable {
  /// A record that was proposed. A class: it is wide, and moves through a queue.
  final class InFlight: Sendable {
    let record: Record
    let body: [UInt8]
    init(record: Record, body: [UInt8]) {
      self.record = record
      self.body = body
    }
  }

  let term: UInt64
  /// Committed and in flight: what the next request is decided against. Its tree is not kept up.
  private(set) var speculation: Image
  private var inFlight: [InFlight] = []
  // Committed ones at the head, dropped together.
  private var first = 0

  /// The feature level that this program understands.
  let understands: UInt32

  init(term: UInt64, _ image: Image, understands: UInt32) {
    self.term = term
    self.understands = understands
    speculation = image
  }

  mutating func append(_ record: Record, body: [UInt8]) {
    speculation.applyWithoutTree(record)
    inFlight.append(InFlight(record: record, body: body))
  }

  /// The record in flight that has been committed now; nil where this leader did not propose it as the next one.
  mutating func takeFirst(index: UInt64, term: UInt64) -> InFlight? {
    guard first < inFlight.count, inFlight[first].record.index == index, inFlight[first].record.term == term else {
      return nil
    }
    let element = inFlight[first]
    first += 1
    if first == inFlight.count {
      inFlight.removeAll(keepingCapacity: first <= 4096)
      first = 0
    } else if first >= 256, first * 2 > inFlight.count {
      inFlight.removeFirst(first)
      first = 0
    }
    return element
  }

  /// Where nothing is in flight, the speculation is the committed image: they share memory again.
  mutating func settle(_ image: Image) {
    if first == inFlight.count { speculation = image }
  }
}
