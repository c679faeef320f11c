import EventLoop
import PostgresWire
import SQLTypes

/// One client's connection: reads messages, lets the machines decide, does what they say with the backend's help.
///
/// One task per connection runs `run()`. Between its waits everything is synchronous on the loop; callbacks of the
/// connection only store bytes and wake it.
///
/// Bounds: what is read ahead while a statement runs (`readAheadBytes`, then reading pauses), what is written and not
/// yet taken by the client (the connection's high-water mark, then rows are no longer asked for).
@LoopActor
final class PostgresSession: SessionClient {
  /// Above this many unread bytes a busy session stops reading from the socket.
  private static let readAheadBytes = 256 << 10
  /// Output is handed to the connection in pieces of about this size.
  static let flushBytes = 64 << 10

  let connection: Connection
  /// Strong both ways until the session ends: a session may outlive the interest in its listener.
  let listener: PostgresListener
  private(set) var processID: Int32 = 0
  let secretKey = SecureRandom.int32()
  var decoder: FrontendDecoder
  var output = MessageWriter()
  var machine = SessionMachine()
  var backend: (any SessionBackend)?
  /// What the machine's numbers stand for.
  var statements: [Int: any ParsedStatement] = [:]
  var cursors: [Int: RowCursor] = [:]
  var simpleStatements: [StatementText] = []
  var copy: CopyInProgress?
  /// The connection has ended, or is to be ended: nothing more is done for the client.
  private(set) var isGone = false
  private var terminationError: SQLError?
  private var authenticationTimer: LoopTimer?
  private var inputWaiter: UnsafeContinuation<Void, Never>?
  private var drainWaiter: UnsafeContinuation<Void, Never>?
  private var isReadingPaused = false

  init(connection: Connection, listener: PostgresListener) {
    self.connection = connection
    self.listener = listener
    decoder = FrontendDecoder(limits: listener.configuration.limits)
  }

  /// Takes the connection over.
  func start() {
    connection.onBytes = { [unowned self] in received($0) }
    connection.onDrain = { [unowned self] in wakeDrainWaiter() }
    // Strong: the session lives until the connection has closed.
    connection.onClose = { [self] _ in closed() }
    authenticationTimer = LoopTimer(
      afterMilliseconds: listener.configuration.authenticationTimeoutMilliseconds
    ) { [weak self] in
      self?.terminate(SQLError(.queryCanceled, "canceling authentication due to timeout"))
    }
    LoopActor.start { await self.run() }
  }

  private func run() async {
    if await startUp() {
      authenticationTimer?.cancel()
      authenticationTimer = nil
      await serve()
    }
    authenticationTimer?.cancel()
    releaseAll()
    flush()
    connection.close()
    listener.remove(self)
  }

  /// Gives back everything that hangs on the session.
  private func releaseAll() {
    for (_, cursor) in cursors.sorted(by: { $0.key < $1.key }) { cursor.close() }
    cursors = [:]
    copy?.sink.fail()
    copy = nil
    statements = [:]
    backend?.close()
    backend = nil
  }

  // MARK: The connection's callbacks

  private func received(_ bytes: UnsafeRawBufferPointer) {
    guard !isGone else { return }
    decoder.append(bytes)
    if let waiter = inputWaiter {
      inputWaiter = nil
      waiter.resume()
    } else if decoder.bufferedBytes > Self.readAheadBytes, !isReadingPaused {
      isReadingPaused = true
      connection.pauseReading()
    }
  }

  private func closed() {
    isGone = true
    backend?.cancel()
    wakeAll()
  }

  private func wakeAll() {
    if let waiter = inputWaiter {
      inputWaiter = nil
      waiter.resume()
    }
    wakeDrainWaiter()
  }

  private func wakeDrainWaiter() {
    guard let waiter = drainWaiter else { return }
    drainWaiter = nil
    waiter.resume()
  }

  // MARK: From the listener

  /// Ends the session from outside: the client is told, a statement under way is cancelled.
  func terminate(_ error: SQLError) {
    guard !isGone else { return }
    isGone = true
    // In the middle of a row or of a handshake nothing can be said; an idle client and one that waits can be told.
    output.append(.errorResponse(.fatal, error))
    flush()
    backend?.cancel()
    connection.close()
    wakeAll()
  }

  /// A cancel request for this session.
  func cancelStatement() {
    guard !isGone else { return }
    backend?.cancel()
  }

  /// Takes the session's number; false where there are too many sessions.
  func admit() -> Bool {
    guard let number = listener.admit(self) else { return false }
    processID = number
    return true
  }

  // MARK: Input and output

  /// Waits for bytes, with everything sent that is pending; false where none will come.
  func waitForInput() async -> Bool {
    guard !isGone else { return false }
    flush()
    let before = decoder.bufferedBytes
    // A client that sends commands and reads no answers must not fill the memory with them.
    guard await drain() else { return false }
    if isReadingPaused {
      isReadingPaused = false
      connection.resumeReading()
    }
    if decoder.bufferedBytes == before {
      let idleTimer = idleTimer()
      await withUnsafeContinuation { inputWaiter = $0 }
      idleTimer?.cancel()
    }
    return !isGone
  }

  /// Ends a session that says nothing for longer than its settings allow; rows of a COPY are waited for without limit.
  private func idleTimer() -> LoopTimer? {
    guard copy == nil, let limit = backend?.idleLimit else { return nil }
    return LoopTimer(afterMilliseconds: limit.milliseconds) { [weak self] in self?.terminate(limit.error) }
  }

  /// Hands what is pending to the connection.
  func flush() {
    guard output.count > 0 else { return }
    connection.write(output.take())
  }

  /// Waits until the client has taken most of what was written; false where it does not.
  func drain() async -> Bool {
    // A connection that was aborted takes everything and sends nothing; its end is heard of only in a later turn of the loop.
    guard !isGone, connection.isOpen else { return false }
    guard connection.queuedBytes > Connection.highWaterMarkBytes else { return true }
    let timer = LoopTimer(afterMilliseconds: listener.configuration.stallTimeoutMilliseconds) { [weak self] in
      guard let self else { return }
      connection.abort(.timedOut("client \(connection.peerAddress) to read its results"))
    }
    await withUnsafeContinuation { drainWaiter = $0 }
    timer.cancel()
    return !isGone && connection.isOpen
  }

  /// Whether a piece of output is full: then `flushAndDrain` comes before more of it.
  var isOutputFull: Bool { output.count >= Self.flushBytes }

  /// Sends what is pending; false where the client does not take it.
  func flushAndDrain() async -> Bool {
    flush()
    return await drain()
  }

  // MARK: SessionClient

  var peerAddress: String { connection.peerAddress }

  func report(_ notice: SQLNotice) {
    output.append(.noticeResponse(notice))
    flushIfIdle()
  }

  func reportSetting(name: String, value: String) {
    output.append(.parameterStatus(name: name, value: value))
    flushIfIdle()
  }

  func deallocatePreparedStatement(named name: String?) -> Bool {
    let isThere = name.map { machine.hasStatement($0) } ?? true
    for id in machine.deallocate(name) { statements[id] = nil }
    return isThere
  }

  /// What comes while the session waits for its client would otherwise stay until the client says something.
  private func flushIfIdle() {
    if inputWaiter != nil { flush() }
  }
}
