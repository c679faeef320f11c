import Coordination
import EventLoop
import Metadata
import SQLTypes

/// What the execution of statements asks of the shards: the storage protocol without its transport. The implementation
/// finds each shard's leader, waits for one where there is none, and follows redirects.
@LoopActor
package protocol ShardAccess: AnyObject {
  /// Sends a request; its answers come through the call.
  func execute(_ request: ShardRequest) -> any ShardCall

  /// Commits what a transaction wrote on a shard. Asked again, it gives the same answer.
  ///
  /// - Throws: `.transactionLost` where the shard does not know the transaction: it was rolled back, or its leader died
  ///   before it was committed; `.interrupted` where the outcome could not be learnt in time.
  func commit(_ transactionID: [UInt8], on shardID: ShardID) async throws(ShardFailure)

  /// First phase of a commit over several shards: what the transaction wrote on the shard is durable and undecided from then on.
  /// Asked again, it gives the same answer. False: it wrote nothing there, and has ended there.
  ///
  /// - Throws: as `commit`; after `.interrupted` it may be prepared.
  func prepare(
    _ transactionID: [UInt8], as id: GlobalTransactionID, participants: [ShardID], on shardID: ShardID
  ) async throws(ShardFailure) -> Bool

  /// Second phase: tells a shard what the metadata log has decided; returns once it is carried out there. The shard learns it
  /// from the log too, so that nothing is lost where this fails.
  func finish(
    _ transactionID: [UInt8], as id: GlobalTransactionID, _ outcome: TransactionOutcome, decisionIndex: UInt64,
    on shardID: ShardID
  ) async throws(ShardFailure)

  /// Holds back the end of transactions over several shards on a shard until a request with this hold has taken its snapshot, or
  /// for half a second; answers the last decision that was carried out there.
  func hold(_ name: [UInt8], on shardID: ShardID) async throws(ShardFailure) -> UInt64

  /// The transactions at the shards whose leaders answer: all, or those that wait for a lock or hold one that another waits for, at
  /// the shards that answer quickly.
  func transactions(onlyBlocking: Bool) async -> [ShardID: ShardTransactions]

  /// Undoes a transaction and releases its locks; does not wait for it, and is repeated where it fails.
  func rollback(_ transactionID: [UInt8], on shardID: ShardID)
}

/// The answers to one request, in order; ended by nil or by an error.
@LoopActor
package protocol ShardCall: AnyObject {
  /// The next answer; nil after the last. The shard waits where nobody asks.
  func next() async throws(ShardFailure) -> ShardAnswer?

  /// The rest is not wanted: a waiting `next` throws `.cancelled`, and the shard undoes the statement (and, without a
  /// transaction id, all of it). Does nothing after the last answer.
  func cancel()
}

/// Fragments for one shard, within one transaction.
package struct ShardRequest: Sendable, Equatable {
  package var shardID: ShardID
  /// The metadata index at which the fragments hold: the shard first catches up to it.
  package var metadataIndex: UInt64
  /// Empty: these fragments alone, read only.
  package var transactionID: [UInt8]
  /// The transaction has run on this shard before: a leader that does not know it has lost it. A first request may go
  /// to whoever leads, as often as needed.
  package var isContinuation: Bool
  package var fragments: [ShardFragment]
  /// Commit after the last fragment.
  package var commits: Bool
  package var isReadOnly: Bool
  package var isRepeatableRead: Bool
  package var session: ShardSession
  /// 0: wait for locks without limit.
  package var lockTimeoutMilliseconds: Int
  /// Numbers of the open savepoints, outermost first.
  package var savepoints: [UInt32] = []
  /// What was written since this savepoint is undone first; 0: nothing is.
  package var rollbackToSavepoint: UInt32 = 0
  /// What is read fits with what is read of other shards.
  package var snapshot: SnapshotPoint?
  package init(
    shardID: ShardID, metadataIndex: UInt64, transactionID: [UInt8] = [], isContinuation: Bool = false,
    fragments: [ShardFragment], commits: Bool = false, isReadOnly: Bool = false, isRepeatableRead: Bool = false,
    session: ShardSession, lockTimeoutMilliseconds: Int = 0
  ) {
    self.shardID = shardID
    self.metadataIndex = metadataIndex
    self.transactionID = transactionID
    self.isContinuation = isContinuation
    self.fragments = fragments
    self.commits = commits
    self.isReadOnly = isReadOnly
    self.isRepeatableRead = isRepeatableRead
    self.session = session
    self.lockTimeoutMilliseconds = lockTimeoutMilliseconds
  }
}

/// A snapshot over several shards: of all transactions over several shards, those whose decision is at or before an index of the
/// metadata log.
package struct SnapshotPoint: Sendable, Equatable {
  /// As `ShardAccess.hold` named it.
  package var hold: [UInt8]
  package var decisionIndex: UInt64
  /// All that is read of it, on whichever shards: none of them may have moved.
  package var tablets: [ShardFragment.Tablet] = []
  package init(hold: [UInt8], decisionIndex: UInt64) {
    self.hold = hold
    self.decisionIndex = decisionIndex
  }
}

/// One text for the storage engine, with its values.
package struct ShardFragment: Sendable, Equatable {
  package struct Tablet: Sendable, Equatable {
    package var id: TabletID
    package var epoch: UInt64
    package init(id: TabletID, epoch: UInt64) {
      self.id = id
      self.epoch = epoch
    }
  }
  /// A writing fragment names the written tablet first, and writes only that.
  package var tablets: [Tablet]
  package var sql: String
  /// Rows of values of ?1, ?2 … as `RowCodec` encodes them: the text runs once for each row.
  package var parameters: [UInt8]
  package var parameterColumns: Int
  /// 0 and 1 both run it once.
  package var parameterRows: Int
  package var isWrite: Bool
  package var locking: WriteLocking
  /// Columns of each row that it answers; 0: none.
  package var resultColumns: Int
  package init(
    tablets: [Tablet], sql: String, parameters: [UInt8] = [], parameterColumns: Int = 0, parameterRows: Int = 0,
    isWrite: Bool = false, locking: WriteLocking = .tablet, resultColumns: Int = 0
  ) {
    self.tablets = tablets
    self.sql = sql
    self.parameters = parameters
    self.parameterColumns = parameterColumns
    self.parameterRows = parameterRows
    self.isWrite = isWrite
    self.locking = locking
    self.resultColumns = resultColumns
  }
}

/// How a fragment that writes is kept apart from other writers, until its transaction ends.
package enum WriteLocking: Sendable {
  /// The written tablet is locked.
  case tablet
  /// The rows that it changes are, where the engine can do that.
  case rows
  /// The same, of a text that touches at most one row per parameter row: the one of a key that it gives.
  case keyedRows
}

/// What functions that look at the session answer on the shard.
package struct ShardSession: Sendable, Equatable {
  /// Microseconds since 2000-01-01 UTC.
  package var transactionTimeMicroseconds: Int64
  /// Microseconds since 2000-01-01 UTC.
  package var statementTimeMicroseconds: Int64
  package var timeZone: String
  package var user: String
  package var database: String
  package init(
    transactionTimeMicroseconds: Int64, statementTimeMicroseconds: Int64, timeZone: String, user: String,
    database: String
  ) {
    self.transactionTimeMicroseconds = transactionTimeMicroseconds
    self.statementTimeMicroseconds = statementTimeMicroseconds
    self.timeZone = timeZone
    self.user = user
    self.database = database
  }
}

/// A part of the answer to a request.
package enum ShardAnswer: Sendable, Equatable {
  /// Rows of one fragment (by its place in the request), as `RowCodec` encodes them.
  case rows(fragment: Int, rowCount: Int, values: [UInt8])
  /// A fragment is through: the rows that it inserted, updated or deleted, over all its parameter rows.
  case done(fragment: Int, affected: Int)
  /// The last answer where a commit was asked.
  case committed
}

/// Why a request to a shard has no (further) answer.
package enum ShardFailure: Error, Sendable, Equatable {
  /// A statement failed; what the transaction wrote on the shard is undone.
  case statement(SQLError, ConstraintViolation?)
  /// A route has moved on: plan again at this metadata index or later. Nothing was done.
  case staleRoute(requiredIndex: UInt64)
  /// No leader was reached in time. Nothing was done.
  case unavailable(String)
  /// The connection broke: what was asked may or may not have been done.
  case interrupted(String)
  /// The shard's new leader does not know the transaction: it is rolled back.
  case transactionLost
  /// `cancel()`.
  case cancelled
}

/// The particulars of a violated constraint, from which the message is made.
package struct ConstraintViolation: Sendable, Equatable {
  package enum Kind: Sendable, Equatable { case unique, notNull, check }
  package var kind: Kind
  package var tabletID: TabletID
  /// The columns as far as the engine knows them.
  package var columns: [String]
  /// The constraint's or index's name as far as the engine knows it.
  package var name: String?
  /// The violated index, where the engine knows it by number.
  package var indexID: ObjectID?
  /// The violating row in the order of the table's columns, as stored; empty where it is not known.
  package var failingRow: [StoredValue]
  /// The fragment's place in the request.
  package var fragment: Int
  /// Which of the parameter rows, from 0.
  package var parameterRow: Int
  package init(
    kind: Kind, tabletID: TabletID, columns: [String] = [], name: String? = nil, indexID: ObjectID? = nil,
    failingRow: [StoredValue] = [], fragment: Int = 0, parameterRow: Int = 0
  ) {
    self.kind = kind
    self.tabletID = tabletID
    self.columns = columns
    self.name = name
    self.indexID = indexID
    self.failingRow = failingRow
    self.fragment = fragment
    self.parameterRow = parameterRow
  }
}
