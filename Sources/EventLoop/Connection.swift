import CLibUV
import Glibc

/// A TCP connection, with TLS or without.
///
/// Bytes are delivered while `onBytes` is set and reading is not paused. What is written within a turn of the loop leaves at
/// its end, as one write. Whoever ends the connection, `onClose` is called once, in a later turn phase than the cause, and
/// nothing is called after it. The connection keeps itself alive until then.
///
/// **Who comes late misses nothing.** Whoever makes a connection (`onMade`) and whoever gets it (`onBytes`, `onClose`) are told
/// apart, and the second may come turns after the first has finished. Until `onBytes` is set nothing is read: the peer's bytes,
/// and the end behind them, wait in the socket, or in TLS where they came with the handshake. A connection that has ended
/// keeps the reason (the first one that there was), and tells it to an `onClose` that is set afterwards, in a later turn phase.
@LoopActor
package final class Connection: TurnParticipant {
  enum State {
    /// Being made: libuv's handle exists, bytes may not be written.
    case connecting
    case open
    /// Closed by us: what was written is still being sent.
    case closing
    case closed
  }

  /// What became of a connection that is being made.
  enum Making {
    case established
    case ended(NetworkError?)
  }

  /// Above this many queued bytes a writer should wait for `onDrain`.
  package static let highWaterMarkBytes = 256 << 10
  /// `onDrain` is called when the queue falls to this many bytes.
  package static let lowWaterMarkBytes = 64 << 10
  /// What a peer may take to read the rest after `close()`, before it is cut off.
  private static let lingerMilliseconds = 5000
  /// What a peer may take for the handshake of TLS.
  static let handshakeMilliseconds = 10_000

  var state = State.connecting
  let handle: UnsafeMutablePointer<uv_tcp_t>
  private let writeRequest: UnsafeMutablePointer<uv_write_t>
  private var isReading = false
  private var isPaused = false
  /// Whether the rest of what the peer has sent waits for the next turn.
  private var isYielding = false
  private var isScheduled = false
  private var isWriting = false
  private var isAboveHighWaterMark = false
  /// Plain bytes that wait for the end of the turn.
  private var pending = ByteQueue()
  /// Bytes for the socket, encrypted where there is TLS.
  private var sending = ByteQueue()
  /// Bytes that libuv is writing; must not change while `isWriting`.
  private var inFlight = ByteQueue()
  private var saidGoodbye = false
  private var tls: TLSSession?
  private var handshakeTimer: LoopTimer?
  private var lingerTimer: LoopTimer?
  private var closeReason: NetworkError?
  /// libuv has let go of the handle: nothing happens any more, but that `onClose` is told.
  private var hasEnded = false
  /// Called once, for whoever makes the connection: the handshake of TLS has succeeded, or the connection has ended before
  /// this was taken back.
  var onMade: (@LoopActor (Making) -> Void)?

  /// The peer, as `address:port`.
  package internal(set) var peerAddress = "?"
  /// Whom the certificate is made out to that the peer presented and that was verified; nil without one.
  package private(set) var peerCertificate: PeerCertificate?
  /// The common name of that certificate.
  package var peerCertificateCommonName: String? { peerCertificate?.commonName }
  /// Whether what is sent is encrypted.
  package var isEncrypted: Bool { tls?.isEstablished ?? false }
  /// The application protocol that TLS agreed on.
  package private(set) var negotiatedProtocol: String?

  /// Takes bytes of the peer; the buffer is valid during the call only. None are delivered before this is set.
  package var onBytes: (@LoopActor (UnsafeRawBufferPointer) -> Void)? {
    didSet {
      // What it holds would be held for ever.
      if hasEnded { onBytes = nil } else { readingChanged() }
    }
  }
  /// Told once that the connection has ended, also where that was before this is set: nil where either side closed it in due
  /// form.
  package var onClose: (@LoopActor (NetworkError?) -> Void)? {
    didSet {
      if hasEnded, onClose != nil { LoopActor.post { [self] in tellEnd() } }
    }
  }
  /// Told that the queue has fallen to the low-water mark after it had been above the high one.
  package var onDrain: (@LoopActor () -> Void)? {
    didSet {
      if hasEnded { onDrain = nil }
    }
  }

  init() {
    handle = .allocate(capacity: 1)
    writeRequest = .allocate(capacity: 1)
    uv_tcp_init(LoopExecutor.shared.loop, handle)
    // Balanced when libuv has closed the handle.
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    writeRequest.pointee.data = handle.pointee.data
  }

  var stream: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
  }

  /// Whether it can be written to.
  package var isOpen: Bool { state == .open }

  /// Bytes written that the kernel has not taken yet.
  package var queuedBytes: Int { pending.count + sending.count + inFlight.count }

  /// Called when the socket is connected.
  func opened() {
    state = .open
    NetworkCounts.current.open += 1
    uv_tcp_nodelay(handle, 1)
    uv_tcp_keepalive(handle, 1, 60)
    peerAddress = Self.address(of: handle)
    readingChanged()
  }

  // MARK: TLS

  /// Goes on as the server of a TLS handshake. Bytes that were written before leave in clear; a configuration that cannot
  /// be loaded, and a handshake that fails, end the connection with the reason.
  package func startTLSServer(_ configuration: TLSConfiguration) {
    startTLS(configuration, .server, host: nil)
  }

  func startTLS(_ configuration: TLSConfiguration, _ role: TLSContext.Role, host: String?) {
    guard state == .open, tls == nil else { return }
    do throws(NetworkError) {
      let session = try TLSSession(configuration, role, host: host)
      moveToSending()
      tls = session
    } catch {
      abort(error)
      return
    }
    handshakeTimer = LoopTimer(afterMilliseconds: Self.handshakeMilliseconds) { [self] in
      abort(.timedOut("TLS handshake with \(peerAddress)"))
    }
    continueHandshake()
    readingChanged()
  }

  private func continueHandshake() {
    guard let tls, !tls.isEstablished else { return }
    let outcome = tls.handshake()
    // Also where it failed: the peer is told by an alert.
    transmit()
    guard state == .open else { return }
    switch outcome {
    case .wantsMore: break
    case .ended: abort(.tls("the peer ended the handshake"))
    case .failed(let reason): abort(.tls(reason))
    case .done:
      NetworkCounts.current.handshakes &+= 1
      handshakeTimer?.cancel()
      handshakeTimer = nil
      peerCertificate = tls.peerCertificate
      negotiatedProtocol = tls.negotiatedProtocol
      let made = onMade
      onMade = nil
      made?(.established)
      // Where nobody takes bytes yet the rest stays in the socket: the end must not overtake what TLS holds.
      readingChanged()
      if !pending.isEmpty { schedule() }
    }
  }

  // MARK: Reading

  /// Delivers nothing more until `resumeReading()`; the peer is slowed down by TCP's window.
  package func pauseReading() {
    isPaused = true
    readingChanged()
  }

  /// Delivers again, from the end of this turn on.
  package func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    readingChanged()
  }

  private var delivers: Bool { state == .open && onBytes != nil && !isPaused }

  private func readingChanged() {
    let mustRead =
      switch state {
      case .open: !isYielding && (delivers || (tls.map { !$0.isEstablished } ?? false))
      // Discards, to see the end that the peer sends.
      case .closing: true
      case .connecting, .closed: false
      }
    if mustRead, !isReading {
      isReading = true
      uv_read_start(stream, { _, _, buffer in buffer?.pointee = readBuffer.descriptor }) { stream, count, _ in
        onLoop(stream?.pointee.data, Connection.self) { $0.received(count) }
      }
    } else if !mustRead, isReading {
      isReading = false
      uv_read_stop(stream)
    }
    if delivers, let tls, tls.isEstablished, tls.hasInput { schedule() }
  }

  private func received(_ count: Int) {
    guard count != 0 else { return }
    // libuv would read on. So what has come is worked first: the disk and the peers have their part while the rest is read,
    // and one busy peer does not keep the others waiting.
    if count == readBuffer.memory.count {
      isYielding = true
      readingChanged()
      schedule()
    }
    guard count > 0 else {
      let status = Int32(count)
      finish(status == UV_EOF.rawValue ? nil : .broken(uvMessage(status)))
      return
    }
    guard state == .open else { return }
    NetworkCounts.current.receivedBytes &+= UInt64(count)
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(readBuffer.memory)[0..<count])
    guard let tls else {
      onBytes?(bytes)
      return
    }
    tls.receive(bytes)
    if !tls.isEstablished { continueHandshake() }
    deliverDecrypted()
  }

  private func deliverDecrypted() {
    guard let tls, tls.isEstablished else { return }
    while delivers {
      switch tls.read(into: readBuffer.memory) {
      case .done(let count):
        onBytes?(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(readBuffer.memory)[0..<count]))
      case .wantsMore:
        // An answer of TLS's own, if any, leaves with the turn.
        schedule()
        return
      case .ended:
        finish(nil)
        return
      case .failed(let reason):
        finish(.tls(reason))
        return
      }
    }
  }

  // MARK: Writing

  /// Queues the bytes; they leave at the end of this turn. Nothing happens on a connection that is not open.
  package func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { write($0) }
  }

  /// Queues a copy of the bytes; they leave at the end of this turn. Nothing happens on a connection that is not open.
  package func write(_ bytes: UnsafeRawBufferPointer) {
    guard state == .open, !bytes.isEmpty else { return }
    pending.append(bytes)
    if queuedBytes > Self.highWaterMarkBytes { isAboveHighWaterMark = true }
    schedule()
  }

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    Loop.transmitAtEndOfTurn(self)
  }

  /// Sends what the turn has written.
  package func endOfTurn() {
    // What this delivers leaves with `transmit` below: to register again for it would keep the loop awake for ever.
    deliverDecrypted()
    isScheduled = false
    if isYielding {
      isYielding = false
      readingChanged()
    }
    transmit()
  }

  /// Moves what was written to the bytes for the socket.
  private func moveToSending() {
    guard !pending.isEmpty else { return }
    if let tls {
      guard tls.isEstablished else { return }
      let failure = tls.write(pending.bytes)
      pending.removeAll()
      if let failure { finish(.tls(failure)) }
    } else if sending.isEmpty {
      swap(&pending, &sending)
    } else {
      sending.append(pending.bytes)
      pending.removeAll()
    }
  }

  private func transmit() {
    guard state == .open || state == .closing, !isWriting else { return }
    moveToSending()
    guard state != .closed else { return }
    if let tls {
      if state == .closing, !saidGoodbye {
        saidGoodbye = true
        tls.shutdown()
      }
      tls.moveOutput(to: sending)
    }
    if !sending.isEmpty {
      var buffer = uvBuffer(sending.bytes)
      let sent = uv_try_write(stream, &buffer, 1)
      guard sent >= 0 || sent == UV_EAGAIN.rawValue else {
        finish(.broken(uvMessage(sent)))
        return
      }
      sending.consume(max(0, Int(sent)))
      NetworkCounts.current.sentBytes &+= UInt64(max(0, sent))
      if !sending.isEmpty {
        waitForSocket()
        return
      }
      sending.removeAll()
    }
    drained()
  }

  /// Leaves the rest to libuv, which writes when the socket can take it.
  private func waitForSocket() {
    swap(&sending, &inFlight)
    var buffer = uvBuffer(inFlight.bytes)
    isWriting = true
    let status = uv_write(writeRequest, stream, &buffer, 1) { request, status in
      onLoop(request?.pointee.data, Connection.self) { $0.written(status) }
    }
    if status != 0 {
      isWriting = false
      finish(.broken(uvMessage(status)))
    }
  }

  private func written(_ status: Int32) {
    isWriting = false
    if status == 0 { NetworkCounts.current.sentBytes &+= UInt64(inFlight.count) }
    inFlight.removeAll()
    guard state != .closed else { return }
    guard status == 0 else {
      finish(.broken(uvMessage(status)))
      return
    }
    transmit()
  }

  private func drained() {
    if state == .closing {
      // The peer reads what was sent, then sees the end, then ends its side.
      var descriptor: Int32 = -1
      uv_fileno(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), &descriptor)
      if descriptor >= 0 { Glibc.shutdown(descriptor, Int32(SHUT_WR)) }
    } else if isAboveHighWaterMark, queuedBytes <= Self.lowWaterMarkBytes {
      isAboveHighWaterMark = false
      onDrain?()
    }
  }

  // MARK: Closing

  /// Sends what was written, then closes; a peer that does not read is cut off after 5 s.
  package func close() {
    switch state {
    case .closing, .closed: return
    case .connecting:
      finish(.closed)
      return
    case .open: break
    }
    guard tls.map({ $0.isEstablished }) ?? true else {
      finish(.closed)
      return
    }
    state = .closing
    handshakeTimer?.cancel()
    lingerTimer = LoopTimer(afterMilliseconds: Self.lingerMilliseconds) { [self] in finish(nil) }
    readingChanged()
    transmit()
  }

  /// Closes at once; what is queued is lost. The reason goes to `onClose`.
  package func abort(_ reason: NetworkError? = nil) {
    finish(reason)
  }

  private func finish(_ reason: NetworkError?) {
    guard state != .closed else { return }
    if state != .connecting { NetworkCounts.current.open -= 1 }
    if let tls, !tls.isEstablished { NetworkCounts.current.failedHandshakes &+= 1 }
    state = .closed
    isReading = false
    closeReason = reason
    handshakeTimer?.cancel()
    lingerTimer?.cancel()
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      onLoop(handle?.pointee.data, Connection.self) { $0.handleClosed() }
    }
  }

  private func handleClosed() {
    tls?.release()
    tls = nil
    pending.removeAll(keeping: 0)
    sending.removeAll(keeping: 0)
    inFlight.removeAll(keeping: 0)
    hasEnded = true
    onBytes = nil
    onDrain = nil
    let made = onMade
    onMade = nil
    made?(.ended(closeReason))
    tellEnd()
    let reference = handle.pointee.data
    handle.deallocate()
    writeRequest.deallocate()
    if let reference { Unmanaged<Connection>.fromOpaque(reference).release() }
  }

  /// Tells the end to whoever has asked and has not been told.
  private func tellEnd() {
    let told = onClose
    onClose = nil
    told?(closeReason)
  }

  private static func address(of handle: UnsafeMutablePointer<uv_tcp_t>) -> String {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        uv_tcp_getpeername(handle, address, &length) == 0 ? addressText(address) : "?"
      }
    }
  }
}

/// Where every connection reads to: the bytes are consumed before the next read, so one block serves all.
private struct ReadBuffer: @unchecked Sendable {  // confined to the loop's thread, on which libuv reads
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)

  var descriptor: uv_buf_t {
    uv_buf_init(memory.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(memory.count))
  }
}

private let readBuffer = ReadBuffer()

private func uvBuffer(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
  let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
  return uv_buf_init(start, UInt32(min(bytes.count, Int(UInt32.max >> 1))))
}

/// `address:port`, an IPv6 address in brackets.
func addressText(_ address: UnsafePointer<sockaddr>) -> String {
  var text = [CChar](repeating: 0, count: 64)
  uv_ip_name(address, &text, text.count)
  let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  if address.pointee.sa_family == sa_family_t(AF_INET6) {
    return address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
      "[\(name)]:\(UInt16(bigEndian: $0.pointee.sin6_port))"
    }
  }
  return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
    "\(name):\(UInt16(bigEndian: $0.pointee.sin_port))"
  }
}
