import EventLoop
import Metadata
import RPC

/// Notices that a node which was asked has fallen silent while another one leads: a leader that stands still, or one behind a
/// network that swallows packets, keeps its connections, and only a timeout would tell.
///
/// A request that has no answer after a while has the other nodes asked who leads; where they name another one, the request is
/// cancelled, so that it is sent there under the same request id. A leader that is merely slow is left in peace.
@LoopActor
final class LeaderWatch {
  private struct Question {
    let endpoint: MetadataEndpoint
    let since: UInt64
    let call: RPCCall
  }

  private unowned let channels: MetadataChannels
  private var questions: [UInt64: Question] = [:]
  private var lastNumber: UInt64 = 0
  private var timer: LoopTimer?
  private var suspects: Set<MetadataEndpoint> = []

  private static let patienceMilliseconds = 150
  private static let tickMilliseconds = 50

  init(_ channels: MetadataChannels) { self.channels = channels }

  /// Watches a request; the number ends that.
  func begin(_ call: RPCCall, to endpoint: MetadataEndpoint) -> UInt64 {
    lastNumber += 1
    questions[lastNumber] = Question(endpoint: endpoint, since: Loop.now, call: call)
    if timer == nil {
      timer = LoopTimer(afterMilliseconds: Self.tickMilliseconds, repeatMilliseconds: Self.tickMilliseconds) {
        [weak self] in self?.tick()
      }
    }
    return lastNumber
  }

  func end(_ number: UInt64) { questions[number] = nil }

  func stop() {
    timer?.cancel()
    timer = nil
  }

  private func tick() {
    // Kept while requests come and go, so that a busy client does not set a timer for each.
    guard !questions.isEmpty else { return stop() }
    let now = Loop.now
    for question in questions.values
    where now - question.since >= UInt64(Self.patienceMilliseconds) * 1_000_000
      && suspects.insert(question.endpoint).inserted
    {
      Task { @LoopActor in
        await self.ask(about: question.endpoint)
        self.suspects.remove(question.endpoint)
      }
    }
  }

  private func ask(about suspect: MetadataEndpoint) async {
    for endpoint in channels.others(than: suspect) {
      guard questions.values.contains(where: { $0.endpoint == suspect }), timer != nil else { return }
      guard
        let status = try? await MetadataStatus.ask(channels.channel(endpoint), timeoutMilliseconds: 200),
        let leader = status.leaderAddress, leader != suspect
      else { continue }
      channels.leader = leader
      for (number, question) in questions.sorted(by: { $0.key < $1.key }) where question.endpoint == suspect {
        questions[number] = nil
        question.call.cancel()
      }
      return
    }
  }
}
