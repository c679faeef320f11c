import CLibUV
import Glibc

extension Connection {
  /// Connects, and completes the handshake of TLS where a configuration is given. A host with several addresses is tried at
  /// each of them, in order.
  package static func connect(
    host: String, port: Int, tls: TLSConfiguration? = nil, timeoutMilliseconds: Int = 5000
  ) async throws(NetworkError) -> Connection {
    let result = await withUnsafeContinuation {
      (continuation: UnsafeContinuation<Result<Connection, NetworkError>, Never>) in
      connect(host: host, port: port, tls: tls, timeoutMilliseconds: timeoutMilliseconds) {
        continuation.resume(returning: $0)
      }
    }
    return try result.get()
  }

  /// Connects, callback form: `then` is called once, later.
  package static func connect(
    host: String, port: Int, tls: TLSConfiguration? = nil, timeoutMilliseconds: Int = 5000,
    then: @escaping @LoopActor (Result<Connection, NetworkError>) -> Void
  ) {
    Connector(host: host, port: port, tls: tls, then: then).start(timeoutMilliseconds: timeoutMilliseconds)
  }
}

/// One attempt to connect: resolve, try each address, shake hands. Kept alive by what it waits for.
@LoopActor
private final class Connector {
  private let host: String
  private let port: Int
  private let tls: TLSConfiguration?
  private var then: (@LoopActor (Result<Connection, NetworkError>) -> Void)?
  private var timer: LoopTimer?
  private var addresses: [sockaddr_storage] = []
  private var current: Connection?
  private var lastError: NetworkError?

  init(
    host: String, port: Int, tls: TLSConfiguration?,
    then: @escaping @LoopActor (Result<Connection, NetworkError>) -> Void
  ) {
    self.host = host
    self.port = port
    self.tls = tls
    self.then = then
  }

  func start(timeoutMilliseconds: Int) {
    timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [self] in
      finish(.failure(.timedOut("connecting to \(host):\(port)")))
    }
    if let address = socketAddress(host, port) {
      addresses = [address]
      LoopActor.post { [self] in tryNext() }
    } else {
      resolve()
    }
  }

  private func resolve() {
    let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    let status = uv_getaddrinfo(
      LoopExecutor.shared.loop, request,
      { request, status, list in
        nonisolated(unsafe) let found = list
        onLoop(request?.pointee.data, Connector.self) { $0.resolved(status, found) }
        if let data = request?.pointee.data { Unmanaged<Connector>.fromOpaque(data).release() }
        request?.deallocate()
        uv_freeaddrinfo(list)
      }, host, "\(port)", &hints)
    if status != 0 {
      Unmanaged.passUnretained(self).release()
      request.deallocate()
      LoopActor.post { [self] in finish(.failure(.resolution(host: host, reason: uvMessage(status)))) }
    }
  }

  private func resolved(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
    guard status == 0 else {
      finish(.failure(.resolution(host: host, reason: uvMessage(status))))
      return
    }
    var next = list
    while let entry = next {
      var storage = sockaddr_storage()
      if let address = entry.pointee.ai_addr, Int(entry.pointee.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size {
        memcpy(&storage, address, Int(entry.pointee.ai_addrlen))
        addresses.append(storage)
      }
      next = entry.pointee.ai_next
    }
    tryNext()
  }

  private func tryNext() {
    guard then != nil else { return }
    guard !addresses.isEmpty else {
      finish(.failure(lastError ?? .resolution(host: host, reason: "no address")))
      return
    }
    var address = addresses.removeFirst()
    let connection = Connection()
    current = connection
    connection.onMade = { [self] outcome in
      switch outcome {
      case .established: finish(.success(connection))
      case .ended(let error):
        lastError = error ?? .connect(address: "\(host):\(port)", reason: "closed by the peer")
        tryNext()
      }
    }
    let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let status = withUnsafePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        uv_tcp_connect(request, connection.handle, address) { request, status in
          onLoop(request?.pointee.data, Connector.self) { $0.connected(status) }
          if let data = request?.pointee.data { Unmanaged<Connector>.fromOpaque(data).release() }
          request?.deallocate()
        }
      }
    }
    if status != 0 {
      Unmanaged.passUnretained(self).release()
      request.deallocate()
      connection.abort(.connect(address: "\(host):\(port)", reason: uvMessage(status)))
    }
  }

  private func connected(_ status: Int32) {
    guard then != nil, let current, current.state == .connecting else { return }
    guard status == 0 else {
      current.abort(.connect(address: "\(host):\(port)", reason: uvMessage(status)))
      return
    }
    current.opened()
    guard let tls else {
      finish(.success(current))
      return
    }
    current.startTLS(tls, .client, host: host)
  }

  private func finish(_ result: Result<Connection, NetworkError>) {
    guard let then else { return }
    self.then = nil
    timer?.cancel()
    timer = nil
    current?.onMade = nil
    if case .failure(let error) = result { current?.abort(error) }
    current = nil
    then(result)
  }
}

/// The address that the host's text is, without asking a resolver; nil where it is a name.
func socketAddress(_ host: String, _ port: Int) -> sockaddr_storage? {
  var storage = sockaddr_storage()
  let isFound = withUnsafeMutablePointer(to: &storage) { storage in
    storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { uv_ip4_addr(host, Int32(port), $0) == 0 }
      || storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { uv_ip6_addr(host, Int32(port), $0) == 0 }
  }
  return isFound ? storage : nil
}
