import CNGHTTP2
import EventLoop

/// nghttp2's callbacks and options, which all sessions share.
///
/// Unchecked: made once, then only read by nghttp2.
struct HTTP2Callbacks: @unchecked Sendable {
  static let shared = HTTP2Callbacks()

  let callbacks: OpaquePointer?
  let options: OpaquePointer?

  private init() {
    var options: OpaquePointer?
    nghttp2_option_new(&options)
    // The peer gets new credit when a reader has taken the messages, not when the bytes arrive.
    nghttp2_option_set_no_auto_window_update(options, 1)
    nghttp2_option_set_peer_max_concurrent_streams(options, 100)
    nghttp2_option_set_no_closed_streams(options, 1)
    nghttp2_option_set_max_outbound_ack(options, 1000)
    self.options = options

    var callbacks: OpaquePointer?
    nghttp2_session_callbacks_new(&callbacks)
    self.callbacks = callbacks
    setReceiving()
    setSending()
  }

  private func setReceiving() {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, reference in
      guard let frame, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST else { return 0 }
      let id = frame.pointee.hd.stream_id
      onSession(reference) { $0.beganHeaders(id) }
      return 0
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, frame, name, nameBytes, value, valueBytes, _, reference in
      guard let frame else { return 0 }
      let id = frame.pointee.hd.stream_id
      nonisolated(unsafe) let name = UnsafeBufferPointer(start: name, count: nameBytes)
      nonisolated(unsafe) let value = UnsafeBufferPointer(start: value, count: valueBytes)
      return onSession(reference) { $0.receivedHeader(id, name, value) }
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, reference in
      guard let header = frame?.pointee.hd else { return 0 }
      onSession(reference) { $0.receivedFrame(type: header.type, flags: header.flags, id: header.stream_id) }
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, reference in
      nonisolated(unsafe) let bytes = UnsafeRawBufferPointer(start: bytes, count: count)
      onSession(reference) { $0.receivedData(id, bytes) }
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, reference in
      onSession(reference) { $0.streamClosed(id, code) }
      return 0
    }
  }

  private func setSending() {
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, reference in
      guard let header = frame?.pointee.hd, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
        header.type == UInt8(NGHTTP2_HEADERS.rawValue)
      else { return 0 }
      onSession(reference) { $0.sentEnd(header.stream_id) }
      return 0
    }
  }

  /// Where nghttp2 gets the data of any stream from.
  static var dataProvider: nghttp2_data_provider {
    nghttp2_data_provider(source: nghttp2_data_source()) { _, id, buffer, count, flags, _, reference in
      guard let flags else { return 0 }
      nonisolated(unsafe) let memory = UnsafeMutableRawBufferPointer(start: buffer, count: count)
      nonisolated(unsafe) let result = flags
      return onSession(reference) { $0.readData(id, memory, result) }
    }
  }
}

/// Calls the body with the session that nghttp2's user data point to: nghttp2 calls back on the loop, where it was called.
@inline(__always)
private func onSession<R>(_ reference: UnsafeMutableRawPointer?, _ body: @LoopActor (HTTP2Session) -> R) -> R {
  let session = Unmanaged<HTTP2Session>.fromOpaque(reference!).takeUnretainedValue()
  return LoopActor.assumeIsolated { body(session) }
}
