import EventLoop
import Logging
import Metadata

/// Follows the log at one meta node after another: what a stream says is handed to its owner, message by message; where the
/// stream ends or falls silent it goes on at the next node, from where the owner says that it is. The one place that knows how to
/// reconnect; that nothing is missing or comes twice is for the owner to check, who has the records.
@LoopActor
final class LogFollower {
  typealias Message = MetadataSubscription.Message

  /// Where the next stream is to begin; nil: nobody wants one any more.
  private let request: @LoopActor () -> MetadataSubscription.Request?
  /// Takes a message; nothing more is read meanwhile. What it throws ends the stream; the next one begins elsewhere.
  private let take: @LoopActor (Message) async throws(MetadataError) -> Void
  /// Told what ended a stream, where asking another node will not help.
  private let refused: @LoopActor (MetadataError) -> Bool
  private let channels: MetadataChannels
  private let logger: Logger
  private var turn: MetadataChannels.Turn
  private var task: Task<Void, Never>?
  private var subscription: MetadataSubscription?
  private(set) var isStopped = false
  /// The meta node that is followed now, where one is.
  private(set) var followed: MetadataEndpoint?
  /// What that node said of itself last.
  var follower: MetadataFollower? { subscription?.follower }

  /// - Parameter refused: whether to give up, for an error that another node would repeat.
  init(
    _ channels: MetadataChannels, _ logger: Logger, request: @escaping @LoopActor () -> MetadataSubscription.Request?,
    refused: @escaping @LoopActor (MetadataError) -> Bool = { _ in false },
    take: @escaping @LoopActor (Message) async throws(MetadataError) -> Void
  ) {
    self.channels = channels
    self.logger = logger
    self.request = request
    self.refused = refused
    self.take = take
    turn = channels.firstTurn()
  }

  /// Begins; returns at once.
  func start() {
    guard task == nil, !isStopped else { return }
    task = Task { @LoopActor [weak self] in
      while let self, !self.isStopped { await self.followOne() }
    }
  }

  func stop() {
    guard !isStopped else { return }
    isStopped = true
    task?.cancel()
    subscription?.cancel()
  }

  /// Gives up the node that is followed; another one is next.
  func leave() { subscription?.cancel() }

  private func followOne() async {
    guard let request = request() else { return stop() }
    let endpoint = channels.endpoint(at: turn)
    let subscription = MetadataSubscription(request, on: channels.channel(endpoint))
    self.subscription = subscription
    followed = endpoint
    var heardOf = false
    var isRefused = false
    do throws(MetadataError) {
      while !isStopped, let message = try await subscription.next() {
        heardOf = true
        try await take(message)
      }
    } catch {
      if !isStopped {
        logger.info("following \(endpoint) ended: \(error)")
        isRefused = refused(error)
      }
    }
    subscription.cancel()
    self.subscription = nil
    followed = nil
    turn.ended(heardOf: heardOf)
    if isRefused { stop() }
    if !isStopped { try? await loopSleep(milliseconds: channels.backoffMilliseconds(turn)) }
  }
}
