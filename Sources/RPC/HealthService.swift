import EventLoop
import ProtocolGRPC

/// What `grpc.health.v1.Health` answers about the server and its services.
@LoopActor
package final class RPCHealth {
  /// A service's state.
  package enum Status: Sendable {
    case serving
    case notServing
  }

  private var statuses: [String: Status] = ["": .serving]
  private var isShutDown = false
  private var watchers: [Int: @LoopActor () -> Void] = [:]
  private var nextWatcher = 0

  nonisolated init() {}

  /// Sets the state of a service by its full name; the empty name is the whole server.
  package func set(_ service: String, _ status: Status) {
    statuses[service] = status
    notify()
  }

  func shutDown() {
    isShutDown = true
    notify()
  }

  func status(_ service: String) -> Grpc_Health_V1_HealthCheckResponse.ServingStatus? {
    guard let status = statuses[service] else { return nil }
    return status == .serving && !isShutDown ? .serving : .notServing
  }

  func watch(_ body: @escaping @LoopActor () -> Void) -> Int {
    nextWatcher += 1
    watchers[nextWatcher] = body
    return nextWatcher
  }

  func unwatch(_ watcher: Int) { watchers[watcher] = nil }

  private func notify() {
    for (_, watcher) in watchers.sorted(by: { $0.key < $1.key }) { watcher() }
  }
}

/// The standard health service.
@LoopActor
enum HealthService {
  private typealias Request = Grpc_Health_V1_HealthCheckRequest
  private typealias Response = Grpc_Health_V1_HealthCheckResponse

  static func register(_ health: RPCHealth, _ server: RPCServer) {
    let check = RPCMethod<Request, Response>(service: "grpc.health.v1.Health", method: "Check")
    server.handleUnary(check) { request, _, reply in
      guard let status = health.status(request.service) else {
        reply.fail(RPCError(.notFound, "unknown service \(request.service)"))
        return
      }
      reply.send(Response.with { $0.status = status })
    }
    let watch = RPCMethod<Request, Response>(service: "grpc.health.v1.Health", method: "Watch")
    server.handleStream(watch) { request, writer, context in
      try await serveWatch(health, request.service, writer, context)
    }
  }

  private static func serveWatch(
    _ health: RPCHealth, _ service: String, _ writer: RPCWriter<Response>, _ context: RPCContext
  ) async throws {
    let change = Change()
    let watcher = health.watch { change.signal() }
    defer { health.unwatch(watcher) }
    context.onCancel { change.signal() }
    var last: Response.ServingStatus?
    while !context.isCancelled {
      let status = health.status(service) ?? .serviceUnknown
      if status != last {
        last = status
        try await writer.send(Response.with { $0.status = status })
      }
      await change.wait()
    }
  }
}

/// Wakes one task, also where the signal came before the wait.
@LoopActor
private final class Change {
  private var isSignalled = false
  private var waiter: UnsafeContinuation<Void, Never>?

  func signal() {
    isSignalled = true
    waiter?.resume()
    waiter = nil
  }

  func wait() async {
    if !isSignalled { await withUnsafeContinuation { waiter = $0 } }
    isSignalled = false
  }
}
