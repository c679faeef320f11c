import Coordination
import EventLoop
import Metadata
import SQLTypes

/// Ends deadlocks between transactions that wait for each other on several shards. (Those within one shard the shard ends itself,
/// at once.)
///
/// While a request of a transaction takes long, the shards are asked who waits for whom. Each compute node looks at the same
/// waits and finds the same victims (`WaitGraph`), and ends those that are its own.
@LoopActor
final class DeadlockDetector {
  /// A request that takes longer may be waiting for a lock.
  private static let suspicionMilliseconds: UInt64 = 40
  private static let intervalMilliseconds = 50
  /// A request that has been at work for so long, and waits for nothing, is looked at less often.
  private static let longMilliseconds: UInt64 = 1000
  private static let longIntervalMilliseconds: UInt64 = 500

  private struct Waiting {
    var transaction: TransactionName
    var scope: StatementScope
    var since: UInt64
  }

  private let shards: any ShardAccess
  private var requests: [Int: Waiting] = [:]
  private var nextNumber = 0
  private var timer: LoopTimer?
  private var isAsking = false
  private var previous = WaitGraph<TransactionName>([])
  /// Own transactions that waited when the shards were asked last.
  private var waiters: Set<TransactionName> = []
  private var lastAsked: UInt64 = 0
  /// Since the process started.
  private(set) var victims: UInt64 = 0

  init(shards: any ShardAccess) { self.shards = shards }

  /// A request of the transaction is on its way, which may wait for a lock; answers a number for `end`.
  func begin(_ transaction: [UInt8], _ scope: StatementScope) -> Int {
    nextNumber += 1
    requests[nextNumber] = Waiting(transaction: TransactionName(transaction), scope: scope, since: Loop.now)
    if timer == nil {
      timer = LoopTimer(
        afterMilliseconds: Self.intervalMilliseconds, repeatMilliseconds: Self.intervalMilliseconds
      ) { [weak self] in self?.tick() }
    }
    return nextNumber
  }

  func end(_ number: Int) { requests[number] = nil }

  private func tick() {
    guard !requests.isEmpty else {
      timer?.cancel()
      timer = nil
      previous = WaitGraph([])
      return
    }
    let now = Loop.now
    let isUrgent = requests.values.contains { request in
      let age = (now - min(now, request.since)) / 1_000_000
      return age >= Self.suspicionMilliseconds
        && (age < Self.longMilliseconds || waiters.contains(request.transaction)
          || now - lastAsked > Self.longIntervalMilliseconds * 1_000_000)
    }
    guard isUrgent, !isAsking else { return }
    isAsking = true
    lastAsked = now
    LoopActor.start {
      await self.look()
      self.isAsking = false
    }
  }

  private func look() async {
    let reports = await shards.transactions(onlyBlocking: true).values
    let graph = WaitGraph(reports: reports)
    waiters = Set(reports.flatMap(\.transactions).filter { $0.wait != nil }.map(\.name))
    let victims = graph.confirmed(by: previous).victims()
    previous = graph
    for request in requests.values where victims.contains(request.transaction) {
      self.victims &+= 1
      request.scope.stop(
        SQLError(
          .deadlockDetected, "deadlock detected",
          detail: "The transaction waited for another one that, over several shards, waited for it.",
          hint: "Retry the transaction."))
    }
  }
}
