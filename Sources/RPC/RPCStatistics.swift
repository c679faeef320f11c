import EventLoop
import Metrics

/// What became of the calls of one method.
@LoopActor
final class MethodStatistics {
  let service: String
  let method: String
  /// Only of those with one answer: how long a stream lasts is its client's wish.
  let isUnary: Bool
  private(set) var counts: [UInt64] = Array(repeating: 0, count: 17)
  private(set) var latency = Histogram()

  init(path: String, isUnary: Bool) {
    let parts = path.split(separator: "/")
    service = String(parts.first ?? "")
    method = String(parts.last ?? "")
    self.isUnary = isUnary
  }

  /// A call has ended. On the way of each call: some ten nanoseconds, the clock included.
  func ended(_ code: RPCStatusCode, startedAt: UInt64) {
    counts[code.rawValue] &+= 1
    guard isUnary else { return }
    let now = Loop.now
    latency.record(now > startedAt ? now - startedAt : 0)
  }
}

extension RPCServer {
  /// Calls, connections and how long calls took, for those who watch the process. Methods that nobody has called are left out.
  package var metrics: MetricSet {
    var set = MetricSet()
    set.gauge("kunlog_rpc_connections", "Connections of clients of gRPC.", connectionCount)
    let requests = "Calls that this process has answered."
    let seconds = "From the arrival of a call's headers to its answer, of calls with one answer."
    for statistics in statistics {
      let labels = (("service", statistics.service), ("method", statistics.method))
      for (code, count) in statistics.counts.enumerated() where count > 0 {
        let name = RPCStatusCode(rawValue: code)?.description ?? "\(code)"
        set.counter("kunlog_rpc_requests_total", requests, count, labels.0, labels.1, ("code", name))
      }
      if statistics.isUnary, statistics.latency.count > 0 {
        set.histogram("kunlog_rpc_request_seconds", seconds, statistics.latency, labels.0, labels.1)
      }
    }
    set.counter("kunlog_rpc_unknown_methods_total", "Calls of methods that are not served here.", unknownMethods)
    if let gate {
      set.counter(
        "kunlog_access_refusals_total", "Calls and commands that were refused for who asked.", gate.refusals)
    }
    return set
  }
}
