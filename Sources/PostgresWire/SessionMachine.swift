import SQLTypes

/// A session after its start (PostgreSQL 15 manual, 55.2.2 and 55.2.3): simple and extended query, COPY.
///
/// Pure: each input returns what to send and what to do next; statements and portals are numbers here, what they stand
/// for is the shell's. Rows and COPY data do not pass through: the shell encodes them between two inputs.
///
/// Invariants:
/// - One effect at a time: a message is only taken while nothing is under way (`isAwaitingMessage`).
/// - Every Query and every Sync is answered by exactly one ReadyForQuery.
/// - After an error of the extended protocol nothing is done or answered until Sync.
/// - No portal outlives its transaction.
package struct SessionMachine: Sendable {
  /// Where the session stands.
  enum State: Sendable, Equatable {
    /// A message is awaited.
    case ready
    /// The text of a simple query is being taken apart.
    case splitting
    /// The statement of a simple query at an index runs.
    case runningSimple(index: Int, count: Int)
    /// A simple query is over, its implicit transaction is being ended.
    case endingSimple
    /// Parse is under way.
    case parsing(name: String, id: Int, declaredTypes: [UInt32])
    /// Execute is under way.
    case executing(portal: String)
    /// Sync's commit is under way.
    case syncing
    /// The failed implicit transaction of a pipeline is being rolled back.
    case abortingPipeline
    /// Messages are dropped until Sync.
    case skipping
    /// The client sends COPY data.
    case copyIn(CopyOrigin)
    /// A message of COPY is being handled by the backend.
    case handlingCopy(CopyOrigin)
    /// The connection ends.
    case ended
  }

  /// What a COPY belongs to, and where the session goes on after it.
  enum CopyOrigin: Sendable, Equatable {
    case simple(index: Int, count: Int)
    case extended(portal: String)
  }

  /// A prepared statement, as the protocol sees it.
  struct Statement: Sendable, Equatable {
    let id: Int
    let parameterTypes: [SQLType]
    let columns: [ResultColumn]?
  }

  /// A portal.
  struct Portal: Sendable, Equatable {
    let id: Int
    let statement: Statement
    let parameters: [StoredValue]
    let resultFormats: [FormatCode]
    var progress = Progress.new

    enum Progress: Sendable, Equatable {
      /// Not run yet.
      case new
      /// Stopped at a row limit.
      case suspended
      /// All rows are sent; running it again gives none, with this tag.
      case exhausted(tag: String)
      /// It returned no rows, or failed: it cannot run again.
      case done
    }
  }

  /// What to do once the replies are written.
  package enum Effect: Sendable, Equatable {
    /// Read the next message; send what is pending where none is there yet.
    case awaitMessage
    /// Send what is pending, read the next message.
    case flush
    /// Take a simple query apart, then call `querySplit` or `failed`.
    case split(String)
    /// Parse and run a simple query's statement, then tell how it goes.
    case runSimple(index: Int, endsTransaction: Bool)
    /// Parse, keep the statement under the number, then call `parsed` or `failed`.
    case parse(id: Int, sql: String, parameterTypes: [UInt32])
    /// Run a portal from its start, then tell how it goes. The shell adds whether Sync follows.
    case execute(ExecuteRequest)
    /// Go on with a suspended portal.
    case resume(portal: Int, rowLimit: Int)
    /// Hand over COPY data, then call `copyContinues` or `failed`.
    case copyData([UInt8])
    /// COPY's data has ended, then call `completed` or `failed`.
    case copyDone
    /// The client has given COPY up: tell the sink, then call `failed` with the error.
    case copyAbort(SQLError)
    /// Commit the implicit transaction, if there is one; then `transactionEnded` or `failed`.
    case commit
    /// Tell the backend that the transaction has failed; then `transactionEnded`.
    case abort
    /// Close once the replies are out.
    case close
  }

  /// A portal to run.
  package struct ExecuteRequest: Sendable, Equatable {
    /// The portal's number: its rows are kept under it while it is suspended.
    package let portal: Int
    /// The statement's number.
    package let statement: Int
    /// Values of its parameters.
    package let parameters: [StoredValue]
    /// Formats of the columns.
    package let resultFormats: [FormatCode]
    /// At most so many rows; 0 = all.
    package let rowLimit: Int
  }

  /// What an input leads to.
  package struct Step: Sendable, Equatable {
    /// To be sent, in order.
    package var replies: [BackendMessage]
    /// To be done after them.
    package var effect: Effect
    /// Statements and portals that the shell forgets before the effect.
    package var dropped: [Int] = []

    /// A step.
    package init(replies: [BackendMessage] = [], effect: Effect, dropped: [Int] = []) {
      self.replies = replies
      self.effect = effect
      self.dropped = dropped
    }
  }

  /// Bounds of what a session may keep open.
  package struct Limits: Sendable, Equatable {
    /// Prepared statements.
    package var statements = 10_000
    /// Portals.
    package var portals = 1_000

    /// The default limits.
    package init() {}
  }

  var state = State.ready
  var statements: [String: Statement] = [:]
  var portals: [String: Portal] = [:]
  var nextID = 1
  let limits: Limits
  /// As of the last input that told it.
  var status = TransactionStatus.idle

  /// What the text forms of bound parameters depend on; the owner keeps it current.
  package var conversionContext = ConversionContext.standard

  /// A session that has just been opened.
  package init(limits: Limits = Limits()) { self.limits = limits }

  /// Whether `receive` may be called.
  package var isAwaitingMessage: Bool {
    switch state {
    case .ready, .skipping, .copyIn: true
    default: false
    }
  }

  /// Whether COPY data is awaited.
  package var isInCopy: Bool {
    if case .copyIn = state { return true }
    return false
  }

  /// A message has come.
  package mutating func receive(_ message: FrontendMessage) -> Step {
    switch state {
    case .ready: return receiveReady(message)
    case .skipping: return receiveSkipping(message)
    case .copyIn(let origin): return receiveCopy(message, origin)
    default: preconditionFailure("a message is not taken while \(state)")
    }
  }

  /// The connection cannot go on (lost framing, shutdown, too slow): the client is told, if it listens.
  package mutating func fatal(_ error: SQLError) -> Step {
    state = .ended
    return Step(replies: [.errorResponse(.fatal, error)], effect: .close)
  }

  /// `DEALLOCATE`: forgets a named statement, or all where the name is nil.
  ///
  /// - Returns: the numbers to forget.
  package mutating func deallocate(_ name: String?) -> [Int] {
    if let name { return statements[name] == nil ? [] : releaseStatement(name) }
    return statements.keys.sorted().flatMap { releaseStatement($0) }
  }

  /// Whether there is a statement of a name.
  package func hasStatement(_ name: String) -> Bool { statements[name] != nil }

  private mutating func receiveReady(_ message: FrontendMessage) -> Step {
    switch message {
    case .query(let sql): return receiveQuery(sql)
    case .parse(let parse): return receiveParse(parse)
    case .bind(let bind): return receiveBind(bind)
    case .describe(let object): return receiveDescribe(object)
    case .execute(let portal, let rowLimit): return receiveExecute(portal, rowLimit)
    case .close(let object): return receiveClose(object)
    case .sync:
      state = .syncing
      return Step(effect: .commit)
    case .flush: return Step(effect: .flush)
    case .terminate:
      state = .ended
      return Step(effect: .close)
    // What is left of a COPY that has failed.
    case .copyData, .copyDone, .copyFail: return Step(effect: .awaitMessage)
    case .functionCall:
      state = .endingSimple
      let error = SQLError(.featureNotSupported, "function call messages are not supported", hint: "Use SELECT.")
      return Step(replies: [.errorResponse(.error, error)], effect: .abort)
    case .authenticationResponse:
      return fatal(SQLError(.protocolViolation, "invalid frontend message type 112"))
    case .malformed(let tag, let error):
      guard tag == FrontendMessage.Tag.query || tag == FrontendMessage.Tag.functionCall else {
        return failPipeline(error)
      }
      state = .endingSimple
      return Step(replies: [.errorResponse(.error, error)], effect: .abort)
    }
  }

  private mutating func receiveSkipping(_ message: FrontendMessage) -> Step {
    switch message {
    case .sync:
      // The failed transaction has been rolled back; nothing is left to commit.
      return becomeReady()
    case .terminate:
      state = .ended
      return Step(effect: .close)
    default: return Step(effect: .awaitMessage)
    }
  }

  /// ReadyForQuery; outside of a block all portals end here.
  mutating func becomeReady() -> Step {
    state = .ready
    var dropped: [Int] = []
    if status == .idle, !portals.isEmpty {
      dropped = portals.keys.sorted().flatMap { releasePortal($0) }
    }
    return Step(replies: [.readyForQuery(status)], effect: .flush, dropped: dropped)
  }

  /// An error of the extended protocol: everything is dropped until Sync.
  mutating func failPipeline(_ error: SQLError) -> Step {
    state = .abortingPipeline
    return Step(replies: [.errorResponse(.error, error)], effect: .abort)
  }

  /// Forgets a portal, and its statement where only the portal still needed it; returns the numbers to drop.
  mutating func releasePortal(_ name: String) -> [Int] {
    guard let portal = portals.removeValue(forKey: name) else { return [] }
    let isKept =
      statements.values.contains { $0.id == portal.statement.id }
      || portals.values.contains { $0.statement.id == portal.statement.id }
    return isKept ? [portal.id] : [portal.id, portal.statement.id]
  }

  /// Forgets a statement by name; a portal that was made of it keeps it alive below.
  mutating func releaseStatement(_ name: String) -> [Int] {
    guard let statement = statements.removeValue(forKey: name) else { return [] }
    return portals.values.contains { $0.statement.id == statement.id } ? [] : [statement.id]
  }

  /// A number for a statement or portal, never used twice in a session.
  mutating func takeID() -> Int {
    defer { nextID += 1 }
    return nextID
  }
}
