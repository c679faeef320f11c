import CLibUV
import Glibc

/// Listens at one address and hands out connections.
@LoopActor
package final class TCPListener {
  private let handle: UnsafeMutablePointer<uv_tcp_t>
  private let tls: TLSConfiguration?
  private let maximumHandshakes: Int
  private var onConnection: (@LoopActor (Connection) -> Void)?
  private var isClosed = false
  /// Handshakes of TLS that are under way.
  private var handshakes = 0

  /// The port listened at; where 0 was asked for, the one that the system chose.
  package private(set) var port = 0

  /// Listens at once.
  ///
  /// - Parameters:
  ///   - host: an address, or a name that has one (asked synchronously: names belong into a start-up only).
  ///   - tls: where given, connections are handed out when the handshake has succeeded (10 s at most).
  ///   - maximumHandshakes: a connection that comes while so many handshakes are under way is closed.
  ///   - onConnection: takes the connection over; one without `onBytes` is not read from.
  package init(
    host: String, port: Int, backlog: Int = 512, tls: TLSConfiguration? = nil, maximumHandshakes: Int = 1024,
    onConnection: @escaping @LoopActor (Connection) -> Void
  ) throws(NetworkError) {
    self.tls = tls
    self.onConnection = onConnection
    self.maximumHandshakes = maximumHandshakes
    handle = .allocate(capacity: 1)
    let address = "\(host):\(port)"
    guard (0...65535).contains(port), var storage = socketAddress(host, port) ?? Self.lookUp(host, port) else {
      handle.deallocate()
      throw .listen(address: address, reason: "not an address")
    }
    if let tls { _ = try TLSContext.load(tls, .server) }
    uv_tcp_init(LoopExecutor.shared.loop, handle)
    // Balanced when libuv has closed the handle.
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    var status = withUnsafePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { uv_tcp_bind(handle, $0, 0) }
    }
    if status == 0 {
      let stream = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
      status = uv_listen(stream, Int32(backlog)) { stream, status in
        onLoop(stream?.pointee.data, TCPListener.self) { $0.accept(status) }
      }
    }
    guard status == 0 else {
      close()
      throw .listen(address: address, reason: uvMessage(status))
    }
    self.port = boundPort()
  }

  /// Stops to listen; connections that were handed out stay.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    onConnection = nil
    uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
      guard let data = handle?.pointee.data else { return }
      onLoop(data, TCPListener.self) { $0.handle.deallocate() }
      Unmanaged<TCPListener>.fromOpaque(data).release()
    }
  }

  private func accept(_ status: Int32) {
    guard status == 0, !isClosed else { return }
    let connection = Connection()
    let stream = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
    let accepted = uv_accept(stream, connection.stream)
    guard accepted == 0 else {
      connection.abort(.broken(uvMessage(accepted)))
      return
    }
    connection.opened()
    NetworkCounts.current.accepted &+= 1
    guard let tls else {
      onConnection?(connection)
      return
    }
    guard handshakes < maximumHandshakes else {
      connection.abort(.closed)
      return
    }
    handshakes += 1
    connection.onMade = { [self, unowned connection] outcome in
      handshakes -= 1
      guard case .established = outcome else { return }
      if let onConnection { onConnection(connection) } else { connection.abort(.closed) }
    }
    connection.startTLSServer(tls)
  }

  private static func lookUp(_ host: String, _ port: Int) -> sockaddr_storage? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let first = list, let address = first.pointee.ai_addr else {
      return nil
    }
    defer { freeaddrinfo(list) }
    var storage = sockaddr_storage()
    memcpy(&storage, address, min(Int(first.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size))
    return storage
  }

  private func boundPort() -> Int {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { storage in
      _ = storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { uv_tcp_getsockname(handle, $0, &length) }
      // The port stands at the same place for both families.
      return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    }
  }
}
