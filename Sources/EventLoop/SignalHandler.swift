import CLibUV

/// Calls the body on the loop whenever the process receives the signal, instead of what the signal does by default.
@LoopActor
package final class SignalHandler {
  private let handle: UnsafeMutablePointer<uv_signal_t> = .allocate(capacity: 1)
  private var body: (@LoopActor () -> Void)?

  /// Handles the signal from now on, whether or not the handler is referred to.
  package init(_ signal: Int32, _ body: @escaping @LoopActor () -> Void) {
    self.body = body
    uv_signal_init(LoopExecutor.shared.loop, handle)
    // Balanced when libuv has closed the handle.
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let status = uv_signal_start(
      handle, { handle, _ in onLoop(handle?.pointee.data, SignalHandler.self) { $0.body?() } }, signal)
    precondition(status == 0, "cannot handle signal \(signal): \(uvMessage(status))")
  }

  /// The signal does again what it does by default.
  package func cancel() {
    guard body != nil else { return }
    body = nil
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let data = handle?.pointee.data else { return }
      onLoop(data, SignalHandler.self) { $0.handle.deallocate() }
      Unmanaged<SignalHandler>.fromOpaque(data).release()
    }
  }
}
