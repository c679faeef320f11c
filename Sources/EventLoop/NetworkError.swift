/// Why a connection could not be made, or ended.
package enum NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The name has no address.
  case resolution(host: String, reason: String)
  /// Nobody answers at the address, or it is refused.
  case connect(address: String, reason: String)
  /// The address cannot be listened at.
  case listen(address: String, reason: String)
  /// What was being done took longer than its limit.
  case timedOut(String)
  /// Certificates, keys or the handshake.
  case tls(String)
  /// The established connection broke.
  case broken(String)
  /// The connection was closed on this side.
  case closed

  /// In words, for logs and operators.
  package var description: String {
    switch self {
    case .resolution(let host, let reason): "cannot resolve \(host): \(reason)"
    case .connect(let address, let reason): "cannot connect to \(address): \(reason)"
    case .listen(let address, let reason): "cannot listen at \(address): \(reason)"
    case .timedOut(let what): "\(what) timed out"
    case .tls(let reason): "TLS: \(reason)"
    case .broken(let reason): "connection broken: \(reason)"
    case .closed: "connection closed"
    }
  }
}
