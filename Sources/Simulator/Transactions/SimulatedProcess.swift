import Metadata

/// A process beside the metadata group: a compute node, a shard's replica or a manager. What its memory holds is lost with it.
final class SimulatedProcess {
  /// Its place in the network.
  let end: Int
  /// Counts its lives: what belongs to an earlier one means nothing any more.
  private(set) var life: UInt32 = 1
  private(set) var isUp = true
  private(set) var isPaused = false
  /// What waits for the end of a pause.
  private var held: [() -> Void] = []
  /// Requests that have come: a connection delivers each once.
  var seen: Set<UInt32> = []
  /// Requests to shards that are under way, by number, and what is done with each one's answer; nil: there was none.
  var calls: [UInt32: (ShardAnswer?) -> Void] = [:]
  /// Requests to the metadata group that are under way, by attempt.
  var asks: [UInt32: MetadataAsk] = [:]
  /// The node of the metadata group that it asks next.
  var metadataTarget = 0
  /// The newest metadata that it has seen.
  var image = Image()
  /// It hears nothing of the metadata log until then.
  var deafUntil: UInt64 = 0

  init(end: Int) { self.end = end }

  func crash() {
    life += 1
    isUp = false
    isPaused = false
    held = []
    seen = []
    calls = [:]
    asks = [:]
    image = Image()
  }

  func start() { isUp = true }
  func pause() { isPaused = isUp }

  /// Does what has waited, in order.
  func resume() {
    isPaused = false
    let waiting = held
    held = []
    let life = life
    for body in waiting where self.life == life { run(body) }
  }

  /// Does something in the process as soon as it is not paused; nothing where it is down.
  func run(_ body: @escaping () -> Void) {
    guard isUp else { return }
    if isPaused { held.append(body) } else { body() }
  }
}

/// Something that is asked of the metadata group until it answers.
final class MetadataAsk {
  let request: AppendRequest
  /// The transaction whose decision is asked for.
  let decides: GlobalTransactionID?
  let deadline: UInt64
  let done: (MetadataAnswer) -> Void
  init(
    _ request: AppendRequest, decides: GlobalTransactionID?, deadline: UInt64,
    done: @escaping (MetadataAnswer) -> Void
  ) {
    self.request = request
    self.decides = decides
    self.deadline = deadline
    self.done = done
  }
}

/// What the metadata group has answered.
enum MetadataAnswer {
  case appended
  /// The decision that stands.
  case decision(TransactionOutcome, index: UInt64)
  /// The transaction is past.
  case past
  case rejected
  /// It could not be learnt in time.
  case unknown
}
