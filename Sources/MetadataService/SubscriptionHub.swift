import EventLoop
import Metadata
import MetadataLog
import RPC

/// All subscriptions of a node. When there are new records it goes through them, connection by connection, so that each
/// connection writes once; what comes meanwhile waits for the next pass. Between two passes as much time goes to everything else
/// as the last one took: few subscribers have a record at once, a thousand get some of them at a time, and no subscriber costs
/// a wake-up of its own.
@LoopActor
final class SubscriptionHub: TurnParticipant {
  /// The subscriptions of one connection.
  private final class Peer {
    let key: ObjectIdentifier
    var subscriptions: [Subscription] = []
    init(_ key: ObjectIdentifier) { self.key = key }
  }

  /// The longest pause between two passes.
  private static let maximumPauseNanoseconds: UInt64 = 10_000_000
  /// How many subscriptions are served before the loop looks after its sockets again.
  private static let sliceSubscriptions = 128
  /// It is looked who is due for a bookmark, or stalls: at a tenth of the connections at a time, so that those who are due
  /// together are not all served in one turn.
  private static let sweepMilliseconds = 25
  private static let sweepParts = 10

  let sealed = SealedRecords()
  private(set) var count = 0
  private var peers: [Peer] = []
  private var places: [ObjectIdentifier: Int] = [:]
  private var groups: [SubscriptionFilter: FilterGroup] = [:]

  /// The connection that is next in this pass; nil: there is no pass.
  private var next: Int?
  private var passStart: UInt64 = 0
  private var restUntil: UInt64 = 0
  private var isChanged = false
  private var isScheduled = false
  private var timer: LoopTimer?
  private var sweeper: LoopTimer?
  private var nextSwept = 0

  nonisolated init() {}

  // MARK: Who subscribes

  func group(_ filter: SubscriptionFilter) -> FilterGroup {
    if let group = groups[filter] { return group }
    let group = FilterGroup(filter, sealed)
    groups[filter] = group
    return group
  }

  func add(_ subscription: Subscription) {
    count += 1
    subscription.group.members += 1
    let key = subscription.connection
    if let place = places[key] {
      peers[place].subscriptions.append(subscription)
    } else {
      places[key] = peers.count
      let peer = Peer(key)
      peer.subscriptions = [subscription]
      peers.append(peer)
    }
    if sweeper == nil {
      sweeper = LoopTimer(afterMilliseconds: Self.sweepMilliseconds, repeatMilliseconds: Self.sweepMilliseconds) {
        [self] in sweep()
      }
    }
  }

  func remove(_ subscription: Subscription) {
    guard let place = places[subscription.connection],
      let position = peers[place].subscriptions.firstIndex(where: { $0 === subscription })
    else { return }
    count -= 1
    subscription.group.members -= 1
    if subscription.group.members == 0 { groups[subscription.group.filter] = nil }
    peers[place].subscriptions.remove(at: position)
    guard peers[place].subscriptions.isEmpty else { return }
    places[peers[place].key] = nil
    // The last one takes the place. Where this pass would then not come to it, it comes to it again.
    let last = peers.removeLast()
    if place < peers.count {
      peers[place] = last
      places[last.key] = place
      if let next, place < next { isChanged = true }
    }
    if count == 0 {
      sweeper?.cancel()
      sweeper = nil
    }
  }

  /// Bytes that are held for subscribers: bounded for each, whatever it does not take.
  var heldBytes: Int {
    peers.reduce(0) { $0 + $1.subscriptions.reduce(0) { $0 + $1.heldBytes } }
  }

  /// How many records the subscriber lacks that is furthest behind.
  func highestLag(at index: UInt64) -> UInt64 {
    var highest: UInt64 = 0
    for peer in peers {
      for subscription in peer.subscriptions { highest = max(highest, index - min(index, subscription.position)) }
    }
    return highest
  }

  /// How many subscribers lack more than so many records.
  func lagging(by records: UInt64, at index: UInt64) -> Int {
    peers.reduce(0) { sum, peer in
      sum + peer.subscriptions.count { index - min(index, $0.position) > records }
    }
  }

  // MARK: Passes

  /// There are records, or something else that subscriptions wait for.
  func changed() {
    isChanged = true
    guard count > 0, next == nil, timer == nil, !isScheduled else { return }
    let now = Loop.now
    guard now < restUntil else {
      // All that this turn applies goes into one pass.
      isScheduled = true
      return Loop.callAtEndOfTurn(self)
    }
    timer = LoopTimer(afterMilliseconds: Int((restUntil - now + 999_999) / 1_000_000)) { [self] in
      timer = nil
      begin()
    }
  }

  func endOfTurn() {
    isScheduled = false
    begin()
  }

  private func begin() {
    guard next == nil else { return }
    isChanged = false
    passStart = Loop.now
    next = 0
    slice()
  }

  private func slice() {
    var served = 0
    while let place = next, place < peers.count, served < Self.sliceSubscriptions {
      next = place + 1
      let subscriptions = peers[place].subscriptions
      served += subscriptions.count
      for subscription in subscriptions { subscription.pump() }
    }
    // What was queued leaves with this turn; the time that this takes belongs to the pass.
    timer = LoopTimer(afterMilliseconds: 0) { [self] in
      timer = nil
      if let next, next < peers.count { slice() } else { finish() }
    }
  }

  private func finish() {
    next = nil
    let now = Loop.now
    restUntil = now + min(now - passStart, Self.maximumPauseNanoseconds)
    if isChanged { changed() }
  }

  private func sweep() {
    let count = (peers.count + Self.sweepParts - 1) / Self.sweepParts
    if nextSwept >= peers.count { nextSwept = 0 }
    let part = peers[nextSwept..<min(nextSwept + count, peers.count)]
    nextSwept += count
    for peer in part {
      for subscription in peer.subscriptions { subscription.sweep() }
    }
    if next == nil { for group in groups.values { group.rest() } }
  }
}
