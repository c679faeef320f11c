import EventLoop
import PostgresWire
import SQLTypes

/// Listens for PostgreSQL's clients and keeps their sessions.
///
/// Bounds: `maximumSessions` sessions, and as many connections again (at most 100) that have not said yet who they are;
/// whatever exceeds them is refused (53300) or, where even that would cost too much, closed.
@LoopActor
package final class PostgresListener {
  /// What a listener depends on.
  package struct Configuration: Sendable {
    /// The address to listen at.
    package var host: String
    /// The port; 0 lets the system choose.
    package var port: Int
    /// Sessions at the same time.
    package var maximumSessions = 200
    /// TLS for clients that ask for it; nil answers that there is none.
    package var tls: TLSConfiguration?
    /// Whether clients without TLS are refused.
    package var requiresTLS = false
    /// From the connection to the end of authentication.
    package var authenticationTimeoutMilliseconds = 60_000
    /// How long a client may leave its results unread before its connection ends.
    package var stallTimeoutMilliseconds = 300_000
    /// How much a client may send in one message.
    package var limits = FrontendDecoder.Limits()

    /// A configuration with the default bounds.
    package init(host: String, port: Int, tls: TLSConfiguration? = nil) {
      self.host = host
      self.port = port
      self.tls = tls
    }
  }

  let configuration: Configuration
  let factory: any SessionBackendFactory
  /// Of all sessions so far.
  package let statistics = StatementStatistics()
  /// Salts of roles that do not exist hang on it.
  let mockSecret = SecureRandom.bytes(32)
  private var listener: TCPListener?
  /// Every connection that lives.
  private var connections: [ObjectIdentifier: PostgresSession] = [:]
  /// Sessions by the number that cancel requests carry; those that have passed the startup packet.
  private var sessions: [Int32: PostgresSession] = [:]
  private var lastProcessID: Int32 = 0
  private var isClosed = false

  /// Listens at once.
  package init(configuration: Configuration, factory: any SessionBackendFactory) throws(NetworkError) {
    self.configuration = configuration
    self.factory = factory
    listener = try TCPListener(host: configuration.host, port: configuration.port) { [weak self] connection in
      self?.accept(connection)
    }
  }

  /// The port listened at.
  package var port: Int { listener?.port ?? 0 }

  /// Sessions that have passed the startup packet.
  package var sessionCount: Int { sessions.count }

  /// Connections, those included that have not said yet who they are.
  package var connectionCount: Int { connections.count }

  /// Takes no new connections; sessions go on.
  package func stopAccepting() {
    listener?.close()
    listener = nil
  }

  /// Stops to listen and ends every session with 57P01 once its statement has been cancelled.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    listener?.close()
    let error = SQLError(.adminShutdown, "terminating connection due to administrator command")
    for session in connections.values { session.terminate(error) }
  }

  private func accept(_ connection: Connection) {
    let newcomers = connections.count - sessions.count
    guard !isClosed, newcomers < min(configuration.maximumSessions, 100) + 1 else {
      connection.abort(nil)
      return
    }
    let session = PostgresSession(connection: connection, listener: self)
    connections[ObjectIdentifier(session)] = session
    session.start()
  }

  /// Gives a session its number; nil where there are too many.
  func admit(_ session: PostgresSession) -> Int32? {
    guard sessions.count < configuration.maximumSessions else { return nil }
    repeat {
      lastProcessID = lastProcessID == Int32.max ? 1 : lastProcessID + 1
    } while sessions[lastProcessID] != nil
    sessions[lastProcessID] = session
    return lastProcessID
  }

  /// A cancel request: does nothing unless number and key are both right.
  func cancel(processID: Int32, secretKey: Int32) {
    guard let session = sessions[processID], session.secretKey == secretKey else { return }
    session.cancelStatement()
  }

  /// The session has ended.
  func remove(_ session: PostgresSession) {
    connections[ObjectIdentifier(session)] = nil
    if sessions[session.processID] === session { sessions[session.processID] = nil }
  }
}
