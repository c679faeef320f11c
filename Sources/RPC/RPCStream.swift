import CNGHTTP2
import EventLoop

/// One call as a stream of HTTP/2, either side: messages out with back-pressure, messages in with credit. What the headers
/// mean is the matter of `ServerCall` and `ClientCall`.
@LoopActor
class RPCStream {
  enum ReadResult {
    case bytes(Int)
    case nothingYet
    case end(Int, hasTrailers: Bool)
  }

  /// Longest list of headers that a peer may send.
  nonisolated static let maximumHeaderBytes = 64 << 10

  let options: RPCOptions
  private(set) var session: HTTP2Session?
  private(set) var id: Int32 = 0

  // Outbound: framed messages; `frames[firstFrame]` from `offset` on is next.
  private var frames: [[UInt8]] = []
  private var firstFrame = 0
  private var offset = 0
  private(set) var queuedBytes = 0 {
    didSet { session?.bufferedBytes += queuedBytes - oldValue }
  }
  private(set) var isOutboundFinished = false
  private var isDeferred = false
  private var wasFull = false

  // Inbound.
  private var headerBytes = 0
  private var deframer = MessageDeframer()
  /// What the deframer holds.
  private var partialBytes = 0 {
    didSet { session?.bufferedBytes += partialBytes - oldValue }
  }
  private var unconsumedBytes = 0
  private(set) var isInboundEnded = false
  private(set) var messageCount = 0
  /// Whether a reader has messages that nobody has taken: then the peer gets no credit.
  var isBacklogged = false {
    didSet { if !isBacklogged, oldValue { releaseCredit() } }
  }

  /// Set once the call is over on this side: nothing more is delivered or sent.
  private(set) var isOver = false
  /// Told when the queue has room again, and when the call is over.
  var onWritable: (@LoopActor () -> Void)?

  init(_ options: RPCOptions) {
    self.options = options
  }

  func attach(_ session: HTTP2Session, _ id: Int32) {
    self.session = session
    self.id = id
    session.bufferedBytes += queuedBytes
  }

  // MARK: For subclasses

  /// A header of any block. False refuses the stream.
  func receivedHeader(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool { true }
  /// A block of headers is complete.
  func receivedHeaders() {}
  /// A message is complete; the bytes are valid during the call only.
  func receivedMessage(_ bytes: UnsafeRawBufferPointer) throws(RPCError) {}
  /// The peer sends nothing more.
  func endedInbound() {}
  /// The messages received cannot be used.
  func failedInbound(_ error: RPCError) {}
  /// HTTP/2 has closed the stream.
  func streamClosed(_ code: UInt32) {}
  /// The connection has ended.
  func streamLost(_ reason: NetworkError?) {}
  /// What follows the messages; submitted while the last data are read.
  func trailers() -> HeaderBlock? { nil }

  // MARK: Outbound

  /// Whether a writer may go on.
  var isWritable: Bool { queuedBytes < options.writerQueueBytes }

  /// Queues a framed message.
  func enqueue(_ frame: [UInt8]) {
    guard !isOver, !isOutboundFinished else { return }
    frames.append(frame)
    queuedBytes += frame.count
    if !isWritable { wasFull = true }
    resumeIfDeferred()
  }

  /// Nothing more follows the messages that are queued.
  func finishOutbound() {
    guard !isOver, !isOutboundFinished else { return }
    isOutboundFinished = true
    resumeIfDeferred()
  }

  private func resumeIfDeferred() {
    guard isDeferred, let session else { return }
    isDeferred = false
    session.resume(id)
  }

  /// Whether messages wait to be sent.
  var hasQueuedMessages: Bool { firstFrame < frames.count }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> ReadResult {
    var written = 0
    while firstFrame < frames.count, written < buffer.count {
      let count = min(frames[firstFrame].count - offset, buffer.count - written)
      frames[firstFrame].withUnsafeBytes { frame in
        buffer.baseAddress!.advanced(by: written).copyMemory(from: frame.baseAddress! + offset, byteCount: count)
      }
      written += count
      offset += count
      guard offset == frames[firstFrame].count else { break }
      frames[firstFrame] = []
      firstFrame += 1
      offset = 0
    }
    if firstFrame == frames.count {
      frames.removeAll(keepingCapacity: true)
      firstFrame = 0
    } else if firstFrame >= 64 {
      frames.removeSubrange(0..<firstFrame)
      firstFrame = 0
    }
    queuedBytes -= written
    if wasFull, queuedBytes <= options.writerQueueBytes / 2 {
      wasFull = false
      onWritable?()
    }
    return result(written)
  }

  private func result(_ written: Int) -> ReadResult {
    if isOutboundFinished, frames.isEmpty {
      guard let block = trailers() else { return .end(written, hasTrailers: false) }
      session?.submitTrailers(id, block)
      return .end(written, hasTrailers: true)
    }
    guard written == 0 else { return .bytes(written) }
    isDeferred = true
    return .nothingYet
  }

  /// The last frame of this side has been sent. (The stream may wait for the peer's end, which no one needs any more.)
  func sentEnd() {}

  // MARK: Inbound

  func countHeader(_ bytes: Int) -> Bool {
    // As HTTP/2 counts: 32 bytes for each.
    headerBytes += bytes + 32
    return headerBytes <= Self.maximumHeaderBytes
  }

  func receivedBytes(_ bytes: UnsafeRawBufferPointer) {
    unconsumedBytes += bytes.count
    defer { if !isBacklogged { releaseCredit() } }
    guard !isOver else { return }
    do throws(RPCError) {
      try deframer.receive(bytes, maximumBytes: options.maximumMessageBytes) { message throws(RPCError) in
        guard !isOver else { return }
        messageCount += 1
        try receivedMessage(message)
      }
      if isOver { deframer.reset() }
      guard deframer.partialBytes != partialBytes else { return }
      partialBytes = deframer.partialBytes
      if let session, session.bufferedBytes > options.maximumBufferedBytes, partialBytes > FramedBytes.prefixBytes {
        throw RPCError(.resourceExhausted, "the connection holds \(session.bufferedBytes) bytes of messages already")
      }
    } catch {
      deframer.reset()
      partialBytes = 0
      failedInbound(error)
    }
  }

  func receivedEnd() {
    guard !isInboundEnded else { return }
    isInboundEnded = true
    guard !isOver else { return }
    guard deframer.isAtBoundary else {
      failedInbound(RPCError(.internalError, "the stream ended within a message"))
      return
    }
    endedInbound()
  }

  private func releaseCredit() {
    guard unconsumedBytes > 0 else { return }
    let count = unconsumedBytes
    unconsumedBytes = 0
    session?.consume(id, count, isOpen: true)
  }

  // MARK: End

  /// Ends the call on this side: what is queued is dropped, nothing more is delivered.
  func end() {
    guard !isOver else { return }
    isOver = true
    frames = []
    firstFrame = 0
    offset = 0
    queuedBytes = 0
    partialBytes = 0
    let writable = onWritable
    onWritable = nil
    isBacklogged = false
    writable?()
  }

  /// Tells the peer to stop.
  func reset(_ code: nghttp2_error_code) {
    session?.reset(id, code)
  }

  func closedByHTTP2(_ code: UInt32) {
    session?.consume(id, unconsumedBytes, isOpen: false)
    unconsumedBytes = 0
    session?.bufferedBytes -= queuedBytes + partialBytes
    session = nil
    streamClosed(code)
  }

  func connectionLost(_ reason: NetworkError?) {
    session = nil
    streamLost(reason)
  }
}
