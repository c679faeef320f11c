/// Limits and intervals of a server or a channel.
package struct RPCOptions: Sendable, Hashable {
  /// A message longer than this, sent or received, fails its call with RESOURCE_EXHAUSTED.
  package var maximumMessageBytes = 16 << 20
  /// Calls that one peer may have open on a connection to a server; more are refused by HTTP/2.
  package var maximumConcurrentStreams = 1024
  /// Calls that a channel may have open or waiting; more fail with RESOURCE_EXHAUSTED.
  package var maximumPendingCalls = 65_536
  /// Bytes that a peer may send on one call beyond what its reader has taken.
  package var streamWindowBytes = 256 << 10
  /// Bytes that a peer may send on a connection, over all calls, beyond what their readers have taken.
  package var connectionWindowBytes = 16 << 20
  /// Bytes that a connection may hold of messages that are incomplete or wait to be sent. Beyond it, a server refuses new
  /// calls and fails those that add to their incomplete message.
  package var maximumBufferedBytes = 64 << 20
  /// Bytes that a call's writer queues before it is not ready.
  package var writerQueueBytes = 128 << 10
  /// Silence after which the peer is pinged (a client does so only while it has calls open).
  package var keepaliveMilliseconds = 10_000
  /// Time that a pinged peer has to answer; then the connection ends.
  package var keepaliveTimeoutMilliseconds = 10_000
  /// Time to connect, TLS included.
  package var connectTimeoutMilliseconds = 5000
  /// Time from a failed attempt to connect to the next; doubles up to the maximum, with jitter.
  package var initialBackoffMilliseconds = 100
  /// The longest time between attempts to connect.
  package var maximumBackoffMilliseconds = 3000

  /// The defaults.
  package init() {}
}
