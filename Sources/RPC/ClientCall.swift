import CNGHTTP2
import EventLoop

/// A call on the client's side: request headers out, status in.
@LoopActor
final class ClientCall: RPCStream {
  let path: String
  let metadata: RPCMetadata
  let timeoutMilliseconds: Int?
  private let deadline: UInt64?
  private var deadlineTimer: LoopTimer?

  private var httpStatus: Int?
  private var isGRPC = false
  private var statusCode: RPCStatusCode?
  private var statusMessage = ""
  private var unsupportedEncoding: String?
  private var headerBlocks = 0
  /// The block that is arriving; it becomes the initial or the trailing metadata.
  private var arriving: RPCMetadata = []
  private(set) var initialMetadata: RPCMetadata = []
  private(set) var trailingMetadata: RPCMetadata = []
  /// Why the call failed; nil while it goes on and when it has succeeded.
  private(set) var failure: RPCError?
  private(set) var isComplete = false

  /// Takes a message; the bytes are valid during the call only.
  var onMessage: (@LoopActor (UnsafeRawBufferPointer) throws(RPCError) -> Void)?
  /// Told once that the metadata that precede the messages have arrived.
  var onInitialMetadata: (@LoopActor (RPCMetadata) -> Void)?
  /// Told once how the call ended.
  var onComplete: (@LoopActor (RPCError?) -> Void)?
  /// Told once that the call is over, after `onComplete`: for the channel that counts its calls.
  var onRelease: (@LoopActor () -> Void)?

  init(path: String, metadata: RPCMetadata, timeoutMilliseconds: Int?, options: RPCOptions) {
    self.path = path
    self.metadata = metadata
    self.timeoutMilliseconds = timeoutMilliseconds
    deadline = timeoutMilliseconds.map { Loop.now &+ UInt64(max(0, $0)) &* 1_000_000 }
    super.init(options)
    if let timeoutMilliseconds {
      // Holds the call until it is complete, as its stream does: a weak reference would slow every other one down.
      deadlineTimer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [self] in
        stop(RPCError(.deadlineExceeded, "no answer within \(timeoutMilliseconds) ms"))
      }
    }
  }

  /// The request's headers; the timeout is what is left of it.
  func addHeaders(to headers: inout HeaderBlock) {
    if let deadline {
      let now = Loop.now
      let left = deadline > now ? Int((deadline - now) / 1_000_000) : 1
      headers.add("grpc-timeout", StatusText.timeout(milliseconds: left), isIndexed: false)
    }
    headers.add(metadata)
  }

  // MARK: Headers in

  override func receivedHeader(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
    if name.isEqual(to: ":status") {
      httpStatus = Int(String(decoding: value, as: UTF8.self))
    } else if name.isEqual(to: "content-type") {
      isGRPC = value.starts(with: "application/grpc")
    } else if name.isEqual(to: "grpc-status") {
      statusCode = Int(String(decoding: value, as: UTF8.self)).flatMap(RPCStatusCode.init) ?? .unknown
    } else if name.isEqual(to: "grpc-message") {
      statusMessage = StatusText.percentDecode(value)
    } else if name.isEqual(to: "grpc-encoding") {
      if !value.isEqual(to: "identity") { unsupportedEncoding = String(decoding: value, as: UTF8.self) }
    } else if !name.starts(with: ":"), !name.starts(with: "grpc-") {
      arriving.addReceived(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
    return true
  }

  override func receivedHeaders() {
    guard !isOver else { return }
    // 1xx: more headers follow.
    if let httpStatus, (100..<200).contains(httpStatus), headerBlocks == 0 {
      self.httpStatus = nil
      arriving = []
      return
    }
    headerBlocks += 1
    let metadata = arriving
    arriving = []
    if statusCode != nil {
      trailingMetadata = metadata
      if headerBlocks > 1 { return }
    }
    guard httpStatus == 200 else {
      stop(Self.error(httpStatus: httpStatus ?? 0))
      return
    }
    guard isGRPC else {
      stop(RPCError(.unknown, "the server does not speak gRPC (content type)"))
      return
    }
    if let unsupportedEncoding {
      stop(RPCError(.unimplemented, "the server compresses with \(unsupportedEncoding), which is not supported"))
      return
    }
    if headerBlocks == 1, statusCode == nil {
      initialMetadata = metadata
      onInitialMetadata?(metadata)
      onInitialMetadata = nil
    }
  }

  // MARK: Messages and end

  override func receivedMessage(_ bytes: UnsafeRawBufferPointer) throws(RPCError) {
    try onMessage?(bytes)
  }

  override func endedInbound() {
    guard let statusCode else {
      complete(RPCError(.unknown, "the server ended the call without a status"))
      return
    }
    complete(statusCode == .ok ? nil : RPCError(statusCode, statusMessage, metadata: trailingMetadata))
    // The server needs no more of what this side has not sent.
    if !isOutboundFinished { reset(NGHTTP2_CANCEL) }
  }

  override func failedInbound(_ error: RPCError) {
    stop(error)
  }

  override func streamClosed(_ code: UInt32) {
    complete(Self.error(http2: code))
  }

  override func streamLost(_ reason: NetworkError?) {
    complete(RPCError(.unavailable, reason?.description ?? "the server has closed the connection"))
  }

  /// Ends the call for a reason of this side's, and tells the server.
  func stop(_ error: RPCError) {
    guard !isComplete else { return }
    reset(NGHTTP2_CANCEL)
    complete(error)
  }

  func complete(_ error: RPCError?) {
    guard !isComplete else { return }
    isComplete = true
    failure = error
    deadlineTimer?.cancel()
    deadlineTimer = nil
    let completed = onComplete
    let released = onRelease
    onMessage = nil
    onComplete = nil
    onRelease = nil
    onInitialMetadata = nil
    end()
    completed?(error)
    released?()
  }

  private static func error(httpStatus: Int) -> RPCError {
    let code: RPCStatusCode =
      switch httpStatus {
      case 400: .internalError
      case 401: .unauthenticated
      case 403: .permissionDenied
      case 404: .unimplemented
      case 429, 502, 503, 504: .unavailable
      default: .unknown
      }
    return RPCError(code, "the server answered with HTTP status \(httpStatus)")
  }

  private static func error(http2 code: UInt32) -> RPCError {
    let status: RPCStatusCode =
      switch code {
      case NGHTTP2_REFUSED_STREAM.rawValue: .unavailable
      case NGHTTP2_CANCEL.rawValue: .cancelled
      case NGHTTP2_ENHANCE_YOUR_CALM.rawValue: .resourceExhausted
      case NGHTTP2_INADEQUATE_SECURITY.rawValue: .permissionDenied
      default: .internalError
      }
    return RPCError(status, "the stream was closed: \(String(cString: nghttp2_http2_strerror(code)))")
  }
}
