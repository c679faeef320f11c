import CNGHTTP2
import EventLoop

/// One HTTP/2 connection, either side: nghttp2's session between a `Connection` and its streams.
///
/// Frames that a turn of the loop produces leave at its end. While the socket does not take them, no more are produced: they
/// stay with their streams, whose writers wait.
@LoopActor
final class HTTP2Session: TurnParticipant {
  enum Role {
    case client
    /// Makes a stream for each request that a client sends.
    case server(makeStream: @LoopActor (HTTP2Session) -> RPCStream)
  }

  /// Time that a peer has for its first frames.
  private static let prefaceMilliseconds = 10_000

  let connection: Connection
  let options: RPCOptions
  private let role: Role
  private var raw: OpaquePointer?
  private(set) var streams: [Int32: RPCStream] = [:]
  /// Bytes of messages that its streams hold, incomplete or to be sent.
  var bufferedBytes = 0
  /// The stream last looked up: callbacks come in bursts.
  private var recent: RPCStream?
  private var isScheduled = false
  private var isGoingAway = false
  private(set) var lastReceived = Loop.now
  private var pingSent: UInt64?
  private var keepaliveTimer: LoopTimer?
  private var prefaceTimer: LoopTimer?

  /// Whom the peer's certificate makes it, or why nobody; found out at the first call.
  private var identified: Result<any RPCIdentity, RPCError>?

  /// Told that the peer takes no new streams.
  var onGoingAway: (@LoopActor () -> Void)?
  /// Told once that the connection has ended and that the streams have been told.
  var onClosed: (@LoopActor (NetworkError?) -> Void)?

  /// Takes over a connection that is established.
  init(_ connection: Connection, _ role: Role, _ options: RPCOptions) {
    self.connection = connection
    self.role = role
    self.options = options
    let reference = Unmanaged.passUnretained(self).toOpaque()
    let status =
      if case .client = role {
        nghttp2_session_client_new2(&raw, HTTP2Callbacks.shared.callbacks, reference, HTTP2Callbacks.shared.options)
      } else {
        nghttp2_session_server_new2(&raw, HTTP2Callbacks.shared.callbacks, reference, HTTP2Callbacks.shared.options)
      }
    precondition(status == 0, "nghttp2 session: \(HTTP2Session.text(status))")
    submitSettings()
    // These hold the session until the connection has ended.
    connection.onBytes = { self.receive($0) }
    connection.onDrain = { self.schedule() }
    connection.onClose = { self.connectionClosed($0) }
    startTimers()
    schedule()
  }

  /// Whether requests can be opened.
  var acceptsRequests: Bool { raw != nil && !isGoingAway && connection.isOpen }

  /// Who calls, by the certificate of the connection.
  func certificateIdentity(_ gate: any RPCGate) throws(RPCError) -> any RPCIdentity {
    if let identified { return try identified.get() }
    let result: Result<any RPCIdentity, RPCError>
    do throws(RPCError) {
      result = .success(
        try gate.identity(certificate: connection.peerCertificate, peerAddress: connection.peerAddress))
    } catch { result = .failure(error) }
    identified = result
    return try result.get()
  }

  // MARK: Settings and liveness

  private func submitSettings() {
    var settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: UInt32(options.streamWindowBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(RPCStream.maximumHeaderBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue), value: 1 << 15),
    ]
    if case .client = role {
      settings.append(
        nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
    } else {
      settings.append(
        nghttp2_settings_entry(
          settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
          value: UInt32(options.maximumConcurrentStreams)))
    }
    nghttp2_submit_settings(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    nghttp2_session_set_local_window_size(
      raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(options.connectionWindowBytes))
  }

  /// They hold the session until the connection has ended.
  private func startTimers() {
    prefaceTimer = LoopTimer(afterMilliseconds: Self.prefaceMilliseconds) { [self] in
      connection.abort(.timedOut("waiting for HTTP/2"))
    }
    let interval = max(50, min(options.keepaliveMilliseconds, options.keepaliveTimeoutMilliseconds) / 2)
    keepaliveTimer = LoopTimer(afterMilliseconds: interval, repeatMilliseconds: interval) { [self] in
      checkLiveness()
    }
  }

  private func checkLiveness() {
    let now = Loop.now
    if let pingSent {
      if now > pingSent &+ UInt64(options.keepaliveTimeoutMilliseconds) * 1_000_000, lastReceived < pingSent {
        connection.abort(.timedOut("keepalive of \(connection.peerAddress)"))
      }
      return
    }
    if case .client = role, streams.isEmpty { return }
    guard now > lastReceived &+ UInt64(options.keepaliveMilliseconds) * 1_000_000 else { return }
    pingSent = now
    nghttp2_submit_ping(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    schedule()
  }

  /// Takes no new streams; ends the connection when those that are open have ended.
  func shutDown() {
    guard let raw, !isGoingAway else { return }
    isGoingAway = true
    if case .server = role {
      let last = nghttp2_session_get_last_proc_stream_id(raw)
      nghttp2_submit_goaway(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
    }
    schedule()
  }

  // MARK: Bytes

  private func receive(_ bytes: UnsafeRawBufferPointer) {
    guard let raw else { return }
    lastReceived = Loop.now
    let taken = nghttp2_session_mem_recv(raw, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    guard taken >= 0 else {
      connection.abort(.broken("not HTTP/2: \(HTTP2Session.text(Int32(taken)))"))
      return
    }
    schedule()
  }

  /// Has the frames that are ready sent at the end of this turn.
  func schedule() {
    guard !isScheduled, raw != nil else { return }
    isScheduled = true
    Loop.callAtEndOfTurn(self)
  }

  func endOfTurn() {
    isScheduled = false
    guard let raw else { return }
    while connection.queuedBytes < Connection.highWaterMarkBytes {
      var frame: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(raw, &frame)
      guard count >= 0 else {
        connection.abort(.broken("HTTP/2: \(HTTP2Session.text(Int32(count)))"))
        return
      }
      guard count > 0 else {
        closeIfDone()
        return
      }
      connection.write(UnsafeRawBufferPointer(start: frame, count: Int(count)))
    }
    // Beyond the high-water mark: `onDrain` schedules the rest.
  }

  private func closeIfDone() {
    let isOver = nghttp2_session_want_read(raw) == 0 && nghttp2_session_want_write(raw) == 0
    if isOver || (isGoingAway && streams.isEmpty) { connection.close() }
  }

  private func connectionClosed(_ reason: NetworkError?) {
    keepaliveTimer?.cancel()
    prefaceTimer?.cancel()
    let session = raw
    raw = nil
    recent = nil
    let open = streams.sorted { $0.key < $1.key }
    streams = [:]
    for (_, stream) in open { stream.connectionLost(reason) }
    nghttp2_session_del(session)
    let closed = onClosed
    onClosed = nil
    onGoingAway = nil
    closed?(reason)
  }

  // MARK: Streams, towards nghttp2

  /// Opens a stream with a request. False where the session takes none.
  func open(_ stream: RPCStream, _ headers: HeaderBlock) -> Bool {
    guard acceptsRequests else { return false }
    var provider = HTTP2Callbacks.dataProvider
    let id = headers.withPairs { pairs, count in nghttp2_submit_request(raw, nil, pairs, count, &provider, nil) }
    guard id > 0 else { return false }
    add(stream, id)
    schedule()
    return true
  }

  private func add(_ stream: RPCStream, _ id: Int32) {
    stream.attach(self, id)
    streams[id] = stream
    recent = stream
  }

  /// Sends a response's headers; with `hasBody` its messages follow, then `trailers`.
  func respond(_ id: Int32, _ headers: HeaderBlock, hasBody: Bool) {
    guard let raw else { return }
    var provider = HTTP2Callbacks.dataProvider
    _ = headers.withPairs { pairs, count in
      hasBody
        ? nghttp2_submit_response(raw, id, pairs, count, &provider)
        : nghttp2_submit_response(raw, id, pairs, count, nil)
    }
    schedule()
  }

  /// To be called while the stream's data are read, when they end.
  func submitTrailers(_ id: Int32, _ headers: HeaderBlock) {
    guard let raw else { return }
    _ = headers.withPairs { pairs, count in nghttp2_submit_trailer(raw, id, pairs, count) }
  }

  /// More data of the stream are there, after it had none.
  func resume(_ id: Int32) {
    guard let raw else { return }
    nghttp2_session_resume_data(raw, id)
    schedule()
  }

  func reset(_ id: Int32, _ code: nghttp2_error_code) {
    guard let raw else { return }
    nghttp2_submit_rst_stream(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code.rawValue)
    schedule()
  }

  /// Lets the peer send so many bytes more.
  func consume(_ id: Int32, _ count: Int, isOpen: Bool) {
    guard let raw, count > 0 else { return }
    if isOpen { nghttp2_session_consume_stream(raw, id, count) }
    nghttp2_session_consume_connection(raw, count)
    schedule()
  }

  static func text(_ status: Int32) -> String { String(cString: nghttp2_strerror(status)) }

  // MARK: Callbacks of nghttp2

  @inline(__always)
  private func stream(_ id: Int32) -> RPCStream? {
    if let recent, recent.id == id { return recent }
    guard let found = streams[id] else { return nil }
    recent = found
    return found
  }

  func beganHeaders(_ id: Int32) {
    guard case .server(let makeStream) = role, streams[id] == nil else { return }
    guard bufferedBytes <= options.maximumBufferedBytes else {
      reset(id, NGHTTP2_REFUSED_STREAM)
      return
    }
    add(makeStream(self), id)
  }

  func receivedHeader(
    _ id: Int32, _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>
  ) -> Int32 {
    guard let stream = stream(id) else { return 0 }
    return stream.countHeader(name.count + value.count) && stream.receivedHeader(name, value)
      ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
  }

  func receivedFrame(type: UInt8, flags: UInt8, id: Int32) {
    let endsStream = flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(type) {
    case NGHTTP2_HEADERS.rawValue:
      stream(id)?.receivedHeaders()
      if endsStream { stream(id)?.receivedEnd() }
    case NGHTTP2_DATA.rawValue:
      if endsStream { stream(id)?.receivedEnd() }
    case NGHTTP2_SETTINGS.rawValue:
      prefaceTimer?.cancel()
    case NGHTTP2_PING.rawValue:
      if flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 { pingSent = nil }
    case NGHTTP2_GOAWAY.rawValue:
      guard case .client = role else { return }
      isGoingAway = true
      let told = onGoingAway
      onGoingAway = nil
      told?()
    default: break
    }
  }

  func receivedData(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
    if let stream = stream(id) {
      stream.receivedBytes(bytes)
    } else {
      consume(id, bytes.count, isOpen: false)
    }
  }

  func sentEnd(_ id: Int32) {
    stream(id)?.sentEnd()
  }

  func streamClosed(_ id: Int32, _ code: UInt32) {
    if recent?.id == id { recent = nil }
    streams.removeValue(forKey: id)?.closedByHTTP2(code)
    if isGoingAway, streams.isEmpty { schedule() }
  }

  func readData(
    _ id: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ flags: UnsafeMutablePointer<UInt32>
  ) -> Int {
    guard let stream = stream(id) else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
    switch stream.read(into: buffer) {
    case .bytes(let count): return count
    case .nothingYet: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    case .end(let count, let hasTrailers):
      flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
      if hasTrailers { flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue }
      return count
    }
  }
}
