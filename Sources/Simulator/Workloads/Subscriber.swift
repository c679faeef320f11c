import Metadata
import MetadataLog
import Raft
import SegmentedLog

/// One who follows the log from one replica or another. What it was given is compared with the log that everybody agreed on.
struct Subscriber {
  let number: Int
  /// Whom it is connected to; nil: nobody.
  var slot: Int?
  /// Since when it is, or is not.
  var since: UInt64 = 0
  var generation: UInt16 = 0
  var cursor: SubscriptionCursor?
  /// All up to this record, by index, has been delivered; a place to resume at.
  var position: UInt64 = 0
  /// How many of the committed records that concerns: the next one to be given is at this place or after it.
  var ordinal = 0
  /// The families that it wants; nil: all.
  var family: EventFamily?
  var allowsImage: Bool
  /// It takes nothing before that time.
  var stalledUntil: UInt64 = 0
  /// When it was last sent something.
  var lastSent: UInt64 = 0
  /// The mean time between two looks, in microseconds.
  var pause: UInt64
}

/// The subscribers' side, and the service's.
extension World {
  func makeSubscribers() {
    for number in 0..<3 {
      let families: [EventFamily?] = [nil, .cluster, .catalog]
      subscribers.append(
        Subscriber(
          number: number, family: families[number], allowsImage: setupChance.below(4) != 0,
          pause: setupChance.between(300_000, 1_500_000)))
      add(.subscriberTimer, at: number, after: 1_500_000 + setupChance.below(1_000_000))
    }
  }

  func subscriberTimer(_ number: Int) {
    follow(number)
    add(.subscriberTimer, at: number, after: 1 + workChance.wait(mean: subscribers[number].pause))
  }

  private func follow(_ number: Int) {
    if let slot = subscribers[number].slot {
      let node = nodes[slot]
      if node.generation != subscribers[number].generation || !node.isAlive || workChance.below(200) == 0 {
        leave(number)
      } else if !node.isRunning || node.busyUntil > now || network.isCut(slot, Self.nodeSlots + Network.ends / 2) {
        // Not even a bookmark comes: the connection is given up.
        if subscribers[number].lastSent + 4_000_000 < now { leave(number) }
        return
      } else if node.core.raft.leaderID == nil, subscribers[number].lastSent + 3_000_000 < now {
        leave(number)
      }
    }
    if subscribers[number].slot == nil { connect(number) }
    guard let slot = subscribers[number].slot else { return }
    let node = nodes[slot]
    // Bounded work for each look: what is left stays in the log.
    for _ in 0..<8 {
      guard step(number, node) else { break }
    }
    if let cursor = subscribers[number].cursor, cursor.pendingCount > 500 {
      violated("16 bounded", "\(cursor.pendingCount) records are kept for subscriber \(number), who does not take them")
    }
  }

  /// Ends its connection, and looks for another replica.
  func leave(_ number: Int) {
    guard subscribers[number].slot != nil else { return }
    subscribers[number].slot = nil
    subscribers[number].since = now
  }

  /// Finds a replica, perhaps another one than before.
  func connect(_ number: Int, from position: UInt64? = nil) {
    let slot = workChance.below(Self.nodeSlots)
    let node = nodes[slot]
    guard node.isRunning, node.busyUntil <= now else { return }
    var request = SubscriptionCursor.Request()
    request.afterIndex = position ?? subscribers[number].position
    request.allowsImage = subscribers[number].allowsImage
    request.filter = SubscriptionFilter(families: subscribers[number].family.map { [$0] } ?? [])
    subscribers[number].slot = slot
    subscribers[number].since = now
    subscribers[number].generation = node.generation
    subscribers[number].cursor = SubscriptionCursor(request)
    tell("subscriber \(number) asks node \(node.id) for what follows \(request.afterIndex)")
    subscribers[number].lastSent = now
  }

  /// One step of the cursor; false when there is nothing more to do now.
  private func step(_ number: Int, _ node: Node) -> Bool {
    guard var cursor = subscribers[number].cursor else { return false }
    defer { subscribers[number].cursor = subscribers[number].slot == nil ? nil : cursor }
    let credit = subscribers[number].stalledUntil > now ? 0 : 1 + workChance.below(64)
    let isBookmarkDue = now > subscribers[number].lastSent + 1_000_000
    switch cursor.next(node.state, credit: credit, isBookmarkDue: isBookmarkDue) {
    case .records(let elements):
      for element in elements { delivered(number, element, node) }
      if !elements.isEmpty { subscribers[number].lastSent = now }
      checkCursor(number, cursor)
      return true
    case .image(let image):
      deliveredImage(number, image, node)
      subscribers[number].lastSent = now
      return true
    case .bookmark(let index):
      deliveredBookmark(number, index, node)
      subscribers[number].lastSent = now
      return false
    case .readLog(let index): return readLog(&cursor, from: index, number, node)
    case .wait: return false
    case .behind:
      if workChance.below(4) == 0 { leave(number) }
      return false
    case .compacted(let first):
      // Told so, it begins anew with the image.
      tell("subscriber \(number) is told that the log of node \(node.id) begins at \(first)")
      if first <= subscribers[number].position + 1 {
        violated(
          "11 subscriber",
          "subscriber \(number) was told that \(first) is the first, it is at \(subscribers[number].position)")
      }
      subscribers[number].allowsImage = true
      leave(number)
      return false
    case .finished:
      leave(number)
      return false
    }
  }

  private func readLog(
    _ cursor: inout SubscriptionCursor, from index: UInt64, _ number: Int, _ node: Node
  ) -> Bool {
    guard let log = node.log else { return false }
    var next = index
    do throws(LogStoreError) {
      while next <= node.core.appliedIndex {
        guard next > log.base.base.index else {
          cursor.logCompacted(firstIndex: log.base.base.index + 1)
          return true
        }
        let entries = try log.entries(
          from: next, through: node.core.appliedIndex, limitBytes: 4_096, directory: node.disk.path)
        let commands = entries.filter { $0.kind == .command }
        if !commands.isEmpty {
          do throws(ApplyError) {
            try cursor.logRead(commands.map { ($0.index, $0.term, $0.payload) }, node.state.image)
          } catch { violated("11 subscriber", "subscriber \(number) at node \(node.id): \(error)") }
          return true
        }
        guard let last = entries.last else { return false }
        next = last.index + 1
      }
    } catch { processFails(node, error.description) }
    return false
  }

  // MARK: - What it is given

  private func delivered(_ number: Int, _ element: RecentRecords.Element, _ node: Node) {
    result.delivered += 1
    let record = element.record
    var ordinal = subscribers[number].ordinal
    let family = subscribers[number].family
    while ordinal < log.records.count, !log.records[ordinal].concerns(family) { ordinal += 1 }
    guard ordinal < log.records.count, log.records[ordinal].index == record.index else {
      let expected = ordinal < log.records.count ? "\(log.records[ordinal].index)" : "nothing"
      violated(
        "11 subscriber",
        "subscriber \(number) was given \(record.index) by node \(node.id), expected was \(expected) after \(subscribers[number].position)"
      )
      return
    }
    if log.records[ordinal].hash != CommittedLog.short(record.hash) {
      violated("11 subscriber", "subscriber \(number) was given another record \(record.index) than was committed")
    }
    hash.mix(record.index)
    subscribers[number].ordinal = ordinal + 1
    subscribers[number].position = record.index
  }

  private func deliveredImage(_ number: Int, _ image: Image, _ node: Node) {
    guard image.index >= subscribers[number].position else {
      return violated("11 subscriber", "subscriber \(number) was given an image of \(image.index), before its place")
    }
    guard image.index == 0 || log.hash(at: image.index) == CommittedLog.short(image.hash) else {
      return violated("11 subscriber", "subscriber \(number) was given an image that nobody committed")
    }
    subscribers[number].position = image.index
    subscribers[number].ordinal = log.ordinal(after: image.index)
  }

  private func deliveredBookmark(_ number: Int, _ index: UInt64, _ node: Node) {
    var ordinal = subscribers[number].ordinal
    while ordinal < log.records.count, log.records[ordinal].index <= index {
      if log.records[ordinal].concerns(subscribers[number].family) {
        return violated(
          "11 subscriber",
          "a bookmark of node \(node.id) says \(index), but subscriber \(number) was not given \(log.records[ordinal].index)"
        )
      }
      ordinal += 1
    }
    // Nothing up to a bookmark may come later: it must not name what is not committed so far.
    if index > (log.records.last?.index ?? 0) {
      violated("11 subscriber", "a bookmark of node \(node.id) says \(index), beyond the last committed record")
    }
    subscribers[number].ordinal = ordinal
    subscribers[number].position = max(subscribers[number].position, index)
  }

  private func checkCursor(_ number: Int, _ cursor: SubscriptionCursor) {
    if cursor.position < subscribers[number].position {
      violated(
        "11 subscriber", "the cursor of subscriber \(number) is at \(cursor.position), behind what it handed out")
    }
  }
}
