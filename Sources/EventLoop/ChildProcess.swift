import CLibUV
import Glibc

/// How a child process ended.
package enum ChildExit: Sendable, Equatable, CustomStringConvertible {
  /// It returned this code.
  case code(Int)
  /// It was killed by this signal.
  case signal(Int32)

  /// In words.
  package var description: String {
    switch self {
    case .code(let code): "exited with \(code)"
    case .signal(let signal): "killed by signal \(signal)"
    }
  }
}

/// A process that this process has started.
@LoopActor
package final class ChildProcess {
  /// Where a child's output goes.
  package enum Output: Sendable {
    /// Where this process's own goes.
    case inherit
    /// Nowhere.
    case discard
    /// To the end of the file, which is created with mode 0600.
    case append(String)
    /// To the callback; the buffer is valid during the call only.
    case pipe(@LoopActor @Sendable (UnsafeRawBufferPointer) -> Void)
  }

  /// The executable is missing, may not be run, or an output cannot be opened.
  package struct SpawnError: Error, Sendable, CustomStringConvertible {
    /// What was to be started.
    package let executable: String
    /// The system's text.
    package let reason: String
    /// In words.
    package var description: String { "cannot start \(executable): \(reason)" }
  }

  private let handle: UnsafeMutablePointer<uv_process_t> = .allocate(capacity: 1)
  private var onExit: (@LoopActor (ChildExit) -> Void)?
  private var pipes: [ChildPipe] = []

  /// The system's number of the process.
  package private(set) var pid: Int32 = 0
  /// How it ended; nil while it runs.
  package private(set) var exit: ChildExit?

  /// Starts the executable.
  ///
  /// - Parameters:
  ///   - arguments: without the executable's own name.
  ///   - environment: nil inherits this process's.
  ///   - detached: in a session of its own, so that a terminal's Ctrl-C does not reach it.
  ///   - onExit: called once, when it has ended; its piped output has been delivered before.
  package static func spawn(
    executable: String, arguments: [String] = [], environment: [String: String]? = nil, directory: String? = nil,
    output: Output = .inherit, errors: Output = .inherit, detached: Bool = false,
    onExit: @escaping @LoopActor (ChildExit) -> Void = { _ in }
  ) throws(SpawnError) -> ChildProcess {
    let child = ChildProcess(onExit)
    try child.start(executable, arguments, environment, directory, [output, errors], detached)
    return child
  }

  private init(_ onExit: @escaping @LoopActor (ChildExit) -> Void) {
    self.onExit = onExit
  }

  private func start(
    _ executable: String, _ arguments: [String], _ environment: [String: String]?, _ directory: String?,
    _ outputs: [Output], _ detached: Bool
  ) throws(SpawnError) {
    var options = uv_process_options_t()
    let argv = CStrings([executable] + arguments)
    let variables = environment.map { CStrings($0.map { "\($0)=\($1)" }.sorted()) }
    let file = CStrings([executable] + (directory.map { [$0] } ?? []))
    defer {
      argv.free()
      variables?.free()
      file.free()
    }
    options.file = UnsafePointer(file.pointers[0])
    options.args = argv.pointers.baseAddress
    options.env = variables?.pointers.baseAddress
    if directory != nil { options.cwd = UnsafePointer(file.pointers[1]) }
    if detached { options.flags |= UInt32(UV_PROCESS_DETACHED.rawValue) }
    options.exit_cb = { handle, status, signal in
      onLoop(handle?.pointee.data, ChildProcess.self) { $0.ended(signal == 0 ? .code(Int(status)) : .signal(signal)) }
    }

    var opened: [Int32] = []
    defer { for descriptor in opened { Glibc.close(descriptor) } }
    var containers = [uv_stdio_container_t(), uv_stdio_container_t(), uv_stdio_container_t()]
    for (index, output) in outputs.enumerated() {
      do throws(SpawnError) {
        containers[index + 1] = try container(output, descriptor: Int32(index + 1), executable, &opened)
      } catch {
        pipes.forEach { $0.close() }
        throw error
      }
    }
    let status = containers.withUnsafeMutableBufferPointer { containers in
      options.stdio_count = Int32(containers.count)
      options.stdio = containers.baseAddress
      return uv_spawn(LoopExecutor.shared.loop, handle, &options)
    }
    // Balanced when libuv has closed the handle, which it has initialized even where the start failed.
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    guard status == 0 else {
      onExit = nil
      pipes.forEach { $0.close() }
      closeHandle()
      throw SpawnError(executable: executable, reason: uvMessage(status))
    }
    pid = handle.pointee.pid
    pipes.forEach { $0.start { [weak self] in self?.reportExit() } }
  }

  private func container(
    _ output: Output, descriptor: Int32, _ executable: String, _ opened: inout [Int32]
  ) throws(SpawnError) -> uv_stdio_container_t {
    var container = uv_stdio_container_t()
    switch output {
    case .discard: container.flags = UV_IGNORE
    case .inherit:
      container.flags = UV_INHERIT_FD
      container.data.fd = descriptor
    case .append(let path):
      let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
      guard file >= 0 else {
        throw SpawnError(executable: executable, reason: "\(path): \(String(cString: strerror(errno)))")
      }
      opened.append(file)
      container.flags = UV_INHERIT_FD
      container.data.fd = file
    case .pipe(let onBytes):
      let pipe = ChildPipe(onBytes)
      pipes.append(pipe)
      container.flags = uv_stdio_flags(rawValue: UV_CREATE_PIPE.rawValue | UV_WRITABLE_PIPE.rawValue)
      container.data.stream = pipe.stream
    }
    return container
  }

  /// Sends the signal; nothing happens where the process has ended.
  package func signal(_ signal: Int32) {
    guard exit == nil else { return }
    uv_process_kill(handle, signal)
  }

  /// Suspends until the process has ended.
  package func waitForExit() async -> ChildExit {
    if let exit, onExit == nil { return exit }
    return await withUnsafeContinuation { continuation in
      let previous = onExit
      onExit = { exit in
        previous?(exit)
        continuation.resume(returning: exit)
      }
    }
  }

  private func ended(_ exit: ChildExit) {
    self.exit = exit
    closeHandle()
    reportExit()
  }

  /// Once the process has ended and its pipes have. A grandchild may hold a pipe open: half a second then.
  private func reportExit() {
    guard let exit, onExit != nil else { return }
    if pipes.contains(where: { $0.isOpen }) {
      LoopTimer(afterMilliseconds: 500) { [self] in
        pipes.forEach { $0.close() }
        reportExit()
      }
      return
    }
    let body = onExit
    onExit = nil
    body?(exit)
  }

  private func closeHandle() {
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let data = handle?.pointee.data else { return }
      onLoop(data, ChildProcess.self) { $0.handle.deallocate() }
      Unmanaged<ChildProcess>.fromOpaque(data).release()
    }
  }
}

/// This side of a pipe to which a child writes.
@LoopActor
private final class ChildPipe {
  private let handle: UnsafeMutablePointer<uv_pipe_t> = .allocate(capacity: 1)
  private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 14, alignment: 16)
  private let onBytes: @LoopActor @Sendable (UnsafeRawBufferPointer) -> Void
  private var onEnd: (@LoopActor () -> Void)?
  private(set) var isOpen = true

  init(_ onBytes: @escaping @LoopActor @Sendable (UnsafeRawBufferPointer) -> Void) {
    self.onBytes = onBytes
    uv_pipe_init(LoopExecutor.shared.loop, handle, 0)
    // Balanced when libuv has closed the handle.
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  var stream: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
  }

  func start(onEnd: @escaping @LoopActor () -> Void) {
    self.onEnd = onEnd
    uv_read_start(
      stream,
      { handle, _, buffer in
        nonisolated(unsafe) let buffer = buffer
        onLoop(handle?.pointee.data, ChildPipe.self) {
          buffer?.pointee = uv_buf_init(
            $0.memory.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32($0.memory.count))
        }
      },
      { stream, count, _ in onLoop(stream?.pointee.data, ChildPipe.self) { $0.received(count) } })
  }

  private func received(_ count: Int) {
    if count > 0 { onBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[0..<count])) }
    if count < 0 { close() }
  }

  func close() {
    guard isOpen else { return }
    isOpen = false
    let ended = onEnd
    onEnd = nil
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let data = handle?.pointee.data else { return }
      onLoop(data, ChildPipe.self) {
        $0.handle.deallocate()
        $0.memory.deallocate()
      }
      Unmanaged<ChildPipe>.fromOpaque(data).release()
    }
    ended?()
  }
}

/// Strings as C wants an argument list: pointers, the last of them nil.
private struct CStrings {
  let pointers: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>

  init(_ strings: [String]) {
    pointers = .allocate(capacity: strings.count + 1)
    for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
    pointers[strings.count] = nil
  }

  func free() {
    for pointer in pointers { Glibc.free(pointer) }
    pointers.deallocate()
  }
}
