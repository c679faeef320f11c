import EventLoop
import Glibc
import Metadata
import SQLTypes

/// Lets SQL functions on a worker's thread ask a session, which lives on the loop, and wait for its answer. The loop
/// itself never waits for a worker, so that none can wait for the other.
final class SessionFunctions: LocalSessionFunctions {
  /// Unchecked in that it is read on other threads only to be handed to the loop, which alone looks inside.
  private nonisolated(unsafe) weak var session: ComputeSession?

  init(_ session: ComputeSession) { self.session = session }

  func nextValue(_ sequence: UInt32) throws(SQLError) -> Int64 {
    try ask { (session) throws(SQLError) in try await session.nextValue(session.sequence(sequence).id) }
  }

  func currentValue(_ sequence: UInt32) throws(SQLError) -> Int64 {
    try ask { (session) throws(SQLError) in
      let sequence = try session.sequence(sequence)
      guard let value = session.lastValues[sequence.id] else {
        throw SQLError(
          .objectNotInPrerequisiteState, "currval of sequence \"\(sequence.name)\" is not yet defined in this session")
      }
      return value
    }
  }

  func lastValue() throws(SQLError) -> Int64 {
    try ask { (session) throws(SQLError) in
      guard let id = session.lastSequence, let value = session.lastValues[id], session.image.sequences[id] != nil else {
        throw SQLError(.objectNotInPrerequisiteState, "lastval is not yet defined in this session")
      }
      return value
    }
  }

  func setValue(_ sequence: UInt32, to value: Int64, isCalled: Bool) throws(SQLError) -> Int64 {
    try ask { (session) throws(SQLError) in
      try session.checkWritable("setval()")
      let sequence = try session.sequence(sequence)
      try session.checkOwner(sequence.ownerID, "sequence", sequence.name)
      try await session.services.sequences.set(sequence.id, to: value, isCalled: isCalled, principal: session.user)
      if isCalled { session.lastValues[sequence.id] = value }
      return value
    }
  }

  func setSetting(_ name: String, to value: String?, isLocal: Bool) throws(SQLError) -> String {
    try ask { (session) throws(SQLError) in
      try session.change(name, to: value, isLocal: isLocal)
      return session.shownValue(name) ?? ""
    }
  }

  /// Runs the question on the loop and blocks this thread until it is answered.
  private func ask<Answer: Sendable>(
    _ question: @escaping @LoopActor @Sendable (ComputeSession) async throws(SQLError) -> Answer
  ) throws(SQLError) -> Answer {
    let answer = BlockingAnswer<Answer>()
    Task { @LoopActor [self] in
      guard let session, !session.isClosed else {
        answer.give(.failure(SQLError(.adminShutdown, "the session is closed")))
        return
      }
      do throws(SQLError) {
        answer.give(.success(try await question(session)))
      } catch {
        answer.give(.failure(error))
      }
    }
    return try answer.wait().get()
  }
}

extension ComputeSession {
  func sequence(_ oid: UInt32) throws(SQLError) -> SequenceDefinition {
    let id = ObjectID(rawValue: oid)
    if let sequence = image.sequences[id] { return sequence }
    guard let relation = image.relation(id) else {
      throw SQLError(.undefinedTable, "could not open relation with OID \(oid)")
    }
    let name: String
    switch relation {
    case .table(let table): name = table.name
    case .index(let index): name = index.name
    case .view(let view): name = view.name
    case .sequence(let sequence): name = sequence.name
    }
    throw SQLError(.wrongObjectType, "\"\(name)\" is not a sequence")
  }
}

/// One answer, handed from one thread to another that waits for it.
///
/// Unchecked: `result` is touched under the mutex only.
private final class BlockingAnswer<Answer: Sendable>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
  private let condition: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
  private var result: Result<Answer, SQLError>?

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func give(_ result: Result<Answer, SQLError>) {
    pthread_mutex_lock(mutex)
    self.result = result
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  func wait() -> Result<Answer, SQLError> {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result { return result }
      pthread_cond_wait(condition, mutex)
    }
  }
}
