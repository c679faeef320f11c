import EventLoop

/// Who calls: what a gate makes, and the handlers get back. What else it knows is a matter of the gate and the handlers.
package protocol RPCIdentity: AnyObject, Sendable {
  /// The node that calls; nil where it is none.
  var callerNodeID: UInt64? { get }
}

/// Finds out who calls, and decides who may call what, before a handler hears of the call.
@LoopActor
package protocol RPCGate: AnyObject {
  /// How many calls, and commands within calls, it has refused.
  var refusals: UInt64 { get }
  /// Who calls, by the certificate of the connection; asked once per connection.
  /// - Parameter certificate: nil where the client presented none, or there is no TLS.
  func identity(certificate: PeerCertificate?, peerAddress: String) throws(RPCError) -> any RPCIdentity
  /// Who calls, by what the call itself says (`authorization`); asked at each call that says it.
  func identity(authorization: String, peerAddress: String) throws(RPCError) -> any RPCIdentity
  /// Throws where the caller may not call the method (`/package.Service/Method`).
  func admit(_ caller: any RPCIdentity, to path: String, peerAddress: String) throws(RPCError)
}
