import EventLoop
import ProtocolMetadata
import RPC

/// One client's stream of appends: each is decided when it comes, and answered in its turn. Bounded: what is not answered stops
/// the reading, and flow control then stops the sender.
@LoopActor
final class AppendStream {
  typealias Response = AppendDesk.Response

  /// Requests without an answer, beyond which no more are read.
  static let maximumUnanswered = 4096

  private let desk: AppendDesk
  private let writer: RPCWriter<Response>
  private let asker: AppendDesk.Asker?
  private let statistics: MetadataStatistics
  private var reader: RPCReader<AppendDesk.Request>?
  /// Answers in the order of the requests, from the one numbered `firstNumber` on; nil: not known yet.
  private var answers: [Result<Response, RPCError>?] = []
  private var sent = 0
  private var firstNumber = 0
  private var isEnded = false
  private var continuation: UnsafeContinuation<RPCError?, Never>?

  init(
    _ desk: AppendDesk, _ writer: RPCWriter<Response>, from asker: AppendDesk.Asker?, _ statistics: MetadataStatistics
  ) {
    self.statistics = statistics
    self.desk = desk
    self.writer = writer
    self.asker = asker
  }

  /// Returns when all requests are answered and the client has ended the stream.
  func run(_ reader: RPCReader<AppendDesk.Request>) async throws(RPCError) {
    self.reader = reader
    statistics.appendStreams &+= 1
    statistics.openAppendStreams += 1
    defer { statistics.openAppendStreams -= 1 }
    writer.onReady = { [weak self] in self?.flush() }
    let error: RPCError? = await withUnsafeContinuation { continuation in
      self.continuation = continuation
      reader.onMessage = { [self] in take($0) }
      reader.onEnd = { [self] in end($0) }
    }
    writer.onReady = nil
    self.reader = nil
    if let error { throw error }
  }

  private func take(_ request: AppendDesk.Request) {
    let number = firstNumber + answers.count
    answers.append(nil)
    if unanswered >= Self.maximumUnanswered { reader?.isPaused = true }
    let startedAt = reader?.receivedAt ?? 0
    desk.append(request, from: asker) { [self] answer in
      statistics.answered(answer, startedAt: startedAt)
      guard continuation != nil else { return }
      answers[number - firstNumber] = answer
      if number == firstNumber + sent { flush() }
    }
  }

  private var unanswered: Int { answers.count - sent }

  private func flush() {
    while sent < answers.count, let answer = answers[sent] {
      switch answer {
      case .success(let response):
        guard writer.isReady, writer.trySend(response) else { return }
        sent += 1
      case .failure(let error): return finish(error)
      }
    }
    if sent >= 1024 || sent == answers.count {
      answers.removeFirst(sent)
      firstNumber += sent
      sent = 0
    }
    if reader?.isPaused == true, unanswered < Self.maximumUnanswered / 2 { reader?.isPaused = false }
    if isEnded, answers.isEmpty { finish(nil) }
  }

  /// The client sends no more: nil, in due form.
  private func end(_ error: RPCError?) {
    if let error { return finish(error) }
    isEnded = true
    flush()
  }

  private func finish(_ error: RPCError?) {
    continuation?.resume(returning: error)
    continuation = nil
  }
}
