/// What is due at a time. Small and without references: an hour has hundreds of thousands of them.
struct Event: Sendable {
  /// When, in microseconds of virtual time.
  var time: UInt64
  // Events of one time come in the order in which they were added.
  fileprivate var order: UInt32 = 0
  /// What.
  var kind: EventKind
  /// At which node, client or whatever the kind concerns.
  var target: UInt8
  /// Which life of the target it belongs to: of an earlier life it means nothing any more.
  var generation: UInt16
  /// Depends on the kind.
  var value: UInt32

  init(time: UInt64, kind: EventKind, target: Int, generation: UInt16 = 0, value: Int = 0) {
    self.time = time
    self.kind = kind
    self.target = UInt8(target)
    self.generation = generation
    self.value = UInt32(value)
  }
}

/// The kinds of event.
enum EventKind: UInt8, Sendable {
  /// A message or a client's packet arrives; the value names it.
  case arrival
  /// A node's core asked to be woken.
  case nodeTimer
  /// A node's batch of log writes is done.
  case diskDone
  /// A node's read of the log is done.
  case diskRead
  /// A node's state machine has applied a batch, or restored a snapshot.
  case applied
  /// A node starts.
  case nodeStart
  /// A paused node goes on.
  case nodeResume
  /// A client goes on: its pause is over, or the answer did not come.
  case clientTimer
  /// A subscriber looks around.
  case subscriberTimer
  /// A fault of some kind begins; the target is the kind.
  case faultBegins
  /// A fault ends; the value names the episode.
  case faultEnds
  /// A phase of the run begins.
  case phase
  /// A node takes a snapshot, if that is worth while.
  case snapshot
  /// A node whose disk is full looks for space.
  case spaceCheck
  /// A connection breaks or stands again; the value names both ends.
  case connection
  /// Something is due for compute nodes, shards or the manager; the value names the timer.
  case transaction
}

/// Events in order of time: a heap with four branches, which halves the depth of one with two.
struct EventQueue {
  private var heap: [Event] = []
  private var added: UInt32 = 0

  var count: Int { heap.count }
  /// When the next one is due.
  var nextTime: UInt64? { heap.first?.time }

  mutating func add(_ event: Event) {
    var event = event
    event.order = added
    added &+= 1
    heap.append(event)
    heap.withUnsafeMutableBufferPointer { heap in
      var position = heap.count - 1
      while position > 0 {
        let parent = (position - 1) >> 2
        guard Self.precedes(event, heap[parent]) else { break }
        heap[position] = heap[parent]
        position = parent
      }
      heap[position] = event
    }
  }

  mutating func popNext() -> Event? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return first }
    heap.withUnsafeMutableBufferPointer { heap in
      let count = heap.count
      var position = 0
      while true {
        let child = position << 2 + 1
        guard child < count else { break }
        var best = child
        var next = child + 1
        while next < min(child + 4, count) {
          if Self.precedes(heap[next], heap[best]) { best = next }
          next += 1
        }
        guard Self.precedes(heap[best], last) else { break }
        heap[position] = heap[best]
        position = best
      }
      heap[position] = last
    }
    return first
  }

  @inline(__always)
  private static func precedes(_ one: Event, _ other: Event) -> Bool {
    one.time < other.time || (one.time == other.time && one.order < other.order)
  }
}
