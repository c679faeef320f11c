import AccessControl
import EventLoop
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// One subscription: a cursor, and the credit that gRPC's flow control gives it. What the subscriber has not taken stays in the
/// log. While it has nothing to do it is this object and no more: the hub pumps it when there are records, the writer when
/// there is room; only what has to wait for a disk, or for the leader, is a task.
@LoopActor
final class Subscription {
  typealias Writer = RPCWriter<Kunlog_Metadata_V1_SealedSubscribeResponse>
  typealias Response = Kunlog_Metadata_V1_SealedSubscribeResponse

  private static let bookmarkMilliseconds = 1_000
  /// A subscriber that is ahead of this replica for so long is of no use to it, or it to the subscriber.
  private static let behindMilliseconds = 3_000
  /// A replica that has had no leader for so long sends its subscribers elsewhere: it may be cut off.
  private static let leaderlessMilliseconds = 3_000
  /// What is read for a subscriber that takes nothing for so long is given back; of an image, the image.
  private static let stallMilliseconds = 2_000
  private static let imageStallMilliseconds = 60_000
  private static let batchBytes = 64 * 1024
  /// Steps in one turn: a subscriber that is far behind does not keep the loop from the others.
  private static let stepsPerTurn = 8

  let group: FilterGroup
  let connection: ObjectIdentifier
  private let service: MetadataService
  private let request: Kunlog_Metadata_V1_SubscribeRequest
  private let writer: Writer
  private let end: RPCStreamEnd
  /// Who subscribes by what can be revoked meanwhile; nil where it cannot.
  private let revocable: AppendDesk.Asker?
  private var cursor: SubscriptionCursor
  private let start = Loop.now
  private var lastSent = Loop.now
  private var leaderlessSince: UInt64?
  /// A task works for it.
  private var isBusy = false
  private var isConfirmed = false
  private(set) var isOver = false

  init(
    _ service: MetadataService, _ request: Kunlog_Metadata_V1_SubscribeRequest, _ cursor: SubscriptionCursor,
    _ group: FilterGroup, _ writer: Writer, _ context: RPCContext, _ end: RPCStreamEnd
  ) {
    self.service = service
    self.request = request
    self.cursor = cursor
    self.group = group
    self.writer = writer
    self.end = end
    connection = context.connection
    revocable = AppendDesk.Asker(context).flatMap { $0.caller.isRevocable ? $0 : nil }
    // The call holds these, and ends.
    writer.onReady = { [self] in pump() }
    context.onCancel { [self] in finish(RPCError(.cancelled, "the subscriber has gone")) }
  }

  /// Begins; to be called once.
  func begin() {
    // A replica that has just started may have applied little of what is committed: who begins with its image would take the
    // past for the present.
    guard request.wantImage else { return pump() }
    work { [self] in try await service.confirm() }
  }

  /// Sends what there is, as far as the subscriber takes it.
  func pump() {
    guard !isBusy, !isOver else { return }
    let state = service.machine.state
    do {
      if let revocable { try service.desk.gate?.recheck(revocable.caller, peerAddress: revocable.address) }
      for _ in 0..<Self.stepsPerTurn {
        guard writer.isReady, try step(state) else { return }
      }
    } catch { return finish(error) }
    if !isBusy, !isOver { LoopTimer(afterMilliseconds: 0) { [self] in pump() } }
  }

  /// Sends what comes next. False where there is nothing, or it has to be waited for.
  private func step(_ state: MetadataState) throws -> Bool {
    if let position = cursor.sharedPosition, position < state.image.index,
      let step = try group.step(after: position, state)
    {
      if let messages = step.messages {
        guard writer.trySend(messages) else { return false }
        service.statistics.sentRecords &+= UInt64(step.run.elements.count)
        lastSent = Loop.now
      }
      cursor.advance(over: step.run)
      return true
    }
    switch cursor.next(state, credit: .max, isBookmarkDue: isBookmarkDue) {
    case .records(let elements):
      guard !elements.isEmpty else { return true }
      service.statistics.sentRecords &+= UInt64(elements.count)
      try send(service.hub.sealed.messages(elements))
      return true
    case .image(let image): work { [self] in try await send(image) }
    case .bookmark(let index):
      try checkLeader()
      service.statistics.sentBookmarks &+= 1
      try send(
        .init(
          .with {
            $0.bookmark = index; $0.follower = service.follower
          }))
      return true
    case .readLog(let index): work { [self] in try await readLog(from: index) }
    case .wait: break
    case .behind: try behind()
    case .compacted(let first):
      throw RPCError(.outOfRange, "records before index \(first) have been compacted")
    case .finished: finish(nil)
    }
    return false
  }

  /// The writer is ready: it takes this whatever its size.
  private func send(_ messages: SealedRecords.Message) throws {
    guard writer.trySend(messages) else { throw RPCError(.cancelled, "the call is over") }
    lastSent = Loop.now
  }

  private var isBookmarkDue: Bool { milliseconds(since: lastSent) >= bookmarkMilliseconds }

  /// Who wants to know how old what it has may be is told more often.
  private var bookmarkMilliseconds: Int {
    staleness.map { max(100, min(Self.bookmarkMilliseconds, $0 / 2)) } ?? Self.bookmarkMilliseconds
  }

  private var staleness: Int? {
    request.maximumStalenessMilliseconds == 0 ? nil : max(200, Int(request.maximumStalenessMilliseconds))
  }

  /// Up to where it has been served.
  var position: UInt64 { cursor.position }

  /// Bytes that are held for this subscriber alone.
  var heldBytes: Int { writer.queuedBytes + cursor.pendingBytes }

  /// Called now and then.
  func sweep() {
    guard !isOver else { return }
    do throws(RPCError) { try checkStaleness() } catch { return finish(error) }
    let silence = milliseconds(since: lastSent)
    if !writer.isReady, silence > Self.stallMilliseconds { cursor.dropPending() }
    if silence >= bookmarkMilliseconds { pump() }
  }

  private func checkStaleness() throws(RPCError) {
    guard let staleness else { return }
    let contact = service.replica.contactMilliseconds ?? UInt64(milliseconds(since: start))
    guard contact > staleness else { return }
    throw RPCError(
      .unavailable,
      "this meta node has heard of no \(service.replica.status.role == .leader ? "quorum" : "leader") for \(contact) ms,"
        + " more than the \(staleness) that the subscriber accepts: ask another one")
  }

  // MARK: Work that has to wait

  private func work(_ body: @escaping @LoopActor @Sendable () async throws -> Void) {
    isBusy = true
    LoopActor.start { [self] in
      var failure: (any Error)?
      do { try await body() } catch { failure = error }
      isBusy = false
      if let failure { finish(failure) } else { pump() }
    }
  }

  private func send(_ image: Image) async throws {
    service.statistics.sentImages &+= 1
    var encoder = ImageEncoder(image)
    while !isOver, let part = try encoder.next() {
      try await awaitRoom()
      try send(.init(.with { $0.image = .init(part) }))
      // A large image is not to keep the loop from the others.
      try await loopSleep(milliseconds: 0)
    }
  }

  /// A subscriber that takes no more of its image is not to keep that image from being released for ever.
  private func awaitRoom() async throws {
    var waits = 1
    while !writer.isReady, !isOver {
      guard milliseconds(since: lastSent) < Self.imageStallMilliseconds else {
        throw RPCError(
          .resourceExhausted, "nothing of the image was taken for \(Self.imageStallMilliseconds / 1000) s: begin anew")
      }
      try await loopSleep(milliseconds: waits)
      waits = min(waits * 2, 50)
    }
  }

  private func readLog(from index: UInt64) async throws {
    let entries: [CommittedEntry]
    do throws(ReplicaError) {
      entries = try await service.replica.entries(
        from: index, limitBytes: Self.batchBytes, readsArchive: request.readArchive)
    } catch {
      guard case .compacted(let first) = error else { throw RPCError(error) }
      return cursor.logCompacted(firstIndex: first)
    }
    // Applied here, but not yet reported so by the replica.
    guard !entries.isEmpty else { return try await loopSleep(milliseconds: 5) }
    do throws(ApplyError) {
      try cursor.logRead(entries.map { ($0.index, $0.term, $0.payload) }, service.machine.image)
    } catch { throw RPCError(.dataLoss, error.description) }
  }

  // MARK: Subscribers ahead of this replica, and a replica that is cut off

  private func behind() throws(RPCError) {
    let reached = max(service.machine.image.index, service.replica.appliedIndex)
    switch request.futureIndex {
    case .wait: try heartbeat()
    case .refuse:
      guard isConfirmed else {
        return work { [self] in
          try await service.confirm()
          isConfirmed = true
        }
      }
      guard reached < request.afterIndex else { return try heartbeat() }
      throw RPCError(
        .outOfRange, "index \(request.afterIndex) is in the future: the log goes to \(reached)",
        metadata: [("kunlog-reason", "future-index")])
    default:
      guard milliseconds(since: start) >= Self.behindMilliseconds else { return }
      throw RPCError(
        .unavailable, "this meta node is at index \(service.machine.image.index), behind \(request.afterIndex)")
    }
  }

  /// There is nothing to send but that it is still there.
  private func heartbeat() throws(RPCError) {
    guard isBookmarkDue else { return }
    try checkLeader()
    guard writer.trySend(try .init(.with { $0.follower = service.follower })) else { return }
    lastSent = Loop.now
  }

  private func checkLeader() throws(RPCError) {
    guard service.replica.leaderID == nil else {
      leaderlessSince = nil
      return
    }
    let since = leaderlessSince ?? Loop.now
    leaderlessSince = since
    guard milliseconds(since: since) < Self.leaderlessMilliseconds else {
      throw RPCError(.unavailable, "this meta node knows no leader")
    }
  }

  private func finish(_ error: (any Error)?) {
    guard !isOver else { return }
    isOver = true
    writer.onReady = nil
    service.hub.remove(self)
    end(error)
  }

  private func milliseconds(since time: UInt64) -> Int { Int((Loop.now - time) / 1_000_000) }
}
