/// What the process's connections have done so far, for those who watch it.
package struct NetworkCounts: Sendable {
  /// Connections that are open now.
  package internal(set) var open = 0
  /// Connections that clients have made.
  package internal(set) var accepted: UInt64 = 0
  /// Handshakes of TLS that succeeded, on either side.
  package internal(set) var handshakes: UInt64 = 0
  /// Handshakes of TLS that did not.
  package internal(set) var failedHandshakes: UInt64 = 0
  /// Bytes of all connections, those of TLS as they are on the wire.
  package internal(set) var receivedBytes: UInt64 = 0
  package internal(set) var sentBytes: UInt64 = 0

  /// All connections of this process.
  @LoopActor package internal(set) static var current = NetworkCounts()
}
