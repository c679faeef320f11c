import EventLoop
import Metadata
import SQLTypes

/// What a storage node asks of the engine that holds a replica's tablets. One engine serves one replica of one shard.
///
/// Concurrency: the engine's bookkeeping is confined to the loop, its blocking work runs on threads of its own. Any number of
/// transactions run side by side; the requests of one transaction come one after another. Writers lock the rows that they change, or
/// the tablet, until the transaction ends; readers see what is committed and never wait for writers.
///
/// Durability: the shard's log is what is durable. The engine records, with each change and atomically with it, the log index
/// that a tablet contains, so that replay after a crash applies every entry once.
@LoopActor
package protocol StorageEngine: AnyObject {
  /// Opens the directory and answers what it contains. Throws where it belongs to another format or cannot be read.
  func open() async throws(SQLError) -> EngineState
  /// The tablets that exist, as of the last applied entry.
  var tablets: [TabletID: TabletSummary] { get }
  /// The highest log index that any tablet contains; a log that ends before it does not belong to these tablets.
  var highestIndex: UInt64 { get }

  // Transactions at the leader.

  /// Starts a transaction; nothing is locked yet. Throws where the name is taken.
  func begin(_ id: TransactionID, options: TransactionOptions) throws(SQLError)
  /// Runs one fragment within a transaction. Rows arrive in batches through `rows`, which answers false to stop. A fragment
  /// that fails is undone alone; the transaction goes on as the caller decides. Answers the number of rows changed.
  func execute(
    _ fragment: EngineFragment, in id: TransactionID, session: EngineSession,
    rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64
  /// Takes the snapshots of a REPEATABLE READ transaction now, all at one moment: of each group of tablets that a fragment will
  /// read together. 40001 where a tablet has changed since the transaction's first snapshot.
  func fixSnapshots(of id: TransactionID, tablets: [[TabletID]]) async throws(EngineFailure)
  /// Runs statements of one tablet, each of which is undone alone where it fails, in a transaction that it begins: the quick
  /// path of single writes. Rows are collected, up to `EngineStatement.maximumRowBytes` each. Throws (and ends the
  /// transaction) where none could run.
  func run(
    _ statements: [EngineStatement], on tablet: TabletID, in id: TransactionID, lockTimeoutMilliseconds: Int
  ) async throws(SQLError) -> [Result<EngineOutcome, EngineFailure>]
  /// Says which savepoints are open from now on, outermost first, by ascending numbers that the transaction uses once each.
  func setSavepoints(_ savepoints: [UInt32], in id: TransactionID) throws(SQLError)
  /// Undoes what the transaction has written since the savepoint was set; the locks stay.
  func rollback(_ id: TransactionID, toSavepoint savepoint: UInt32) async throws(EngineFailure)
  /// What the transaction has changed, by ascending tablet, ready to be logged; empty where it wrote nothing. Asked once. 54000
  /// where it is more than the engine may keep; the transaction can then only be undone.
  func changes(of id: TransactionID) async throws(SQLError) -> [TabletChangeset]
  /// Holds the locks of a transaction that was prepared under another leader, which its changes need, until its entry comes
  /// (`EngineEntry.commit`) or it is rolled back. Waits for who still holds them.
  func adopt(_ id: TransactionID, _ changesets: [TabletChangeset]) async
  /// Whether transactions, others than these, hold rows of the tablet, rather than the whole of it.
  func hasLockedRows(_ tablet: TabletID, besides: Set<TransactionID>) -> Bool
  /// Which tablets a transaction has locked, and for which it waits.
  var locks: [TransactionID: TransactionLocks] { get }
  /// Undoes the transaction and ends it; unknown ones are ignored.
  func rollback(_ id: TransactionID) async
  /// Undoes all transactions, among them those that wait for a lock.
  func rollbackAll() async
  /// Waits until no transaction holds the tablet, then keeps new ones out until the schema change is applied (or
  /// `releaseExclusive`). Transactions that still hold it after `graceMilliseconds` are undone.
  func lockExclusive(_ tablets: [TabletID], graceMilliseconds: Int) async
  /// Gives up what `lockExclusive` took.
  func releaseExclusive(_ tablets: [TabletID])

  // Tablets that move from shard to shard.

  /// Waits until no transaction holds the tablet, then refuses it to all (`SQLError.fenced`), those that wait included.
  /// Transactions that still hold it after `graceMilliseconds` are undone.
  func fence(_ tablet: TabletID, graceMilliseconds: Int) async
  /// Refuses these tablets to transactions, and no others.
  func setFences(_ tablets: Set<TabletID>)
  /// The tablet's rows as they are now, whatever is applied later.
  func readRows(of tablet: TabletID) async throws(SQLError) -> any TabletRows
  /// Cuts changes into changes of about `pieceBytes`, which do the same one after another.
  func split(_ changes: [UInt8], pieceBytes: Int) throws(SQLError) -> [[UInt8]]
  /// Changes of one tablet as one.
  func join(_ changes: [[UInt8]]) -> [UInt8]

  // What the shard's log says, at every replica.

  /// Applies entries in order. One call at a time. A tablet that already contains an entry leaves it alone, so that replay
  /// is harmless. Failures mean that this replica can no longer follow its log. A definition that the engine cannot carry
  /// out, which every replica finds alike, is no failure: see `TabletSummary.refusals`.
  ///
  /// A full disk is none: the engine uses what it has set aside for that, then waits for space, and tells so (`onFull`).
  func apply(_ entries: [EngineEntry]) async throws(SQLError)
  /// Told when the disk is full, and when it is so no longer.
  var onFull: (@LoopActor (EngineSpace) -> Void)? { get set }
  /// What waits for space fails from now on: the node ends.
  func stopWaiting()
  /// Remembers that all entries up to `index` are contained, with the node's own state as of that index.
  func checkpoint(at index: UInt64, nodeState: [UInt8]) async throws(SQLError)

  // Whole state.

  /// Fixes the tablets' present content, which must be that of `index`, and writes it to a file with the node's state. Entries
  /// may be applied again as soon as `onFixed` is called.
  func writeSnapshot(
    to path: String, index: UInt64, nodeState: [UInt8], onFixed: @escaping @LoopActor () -> Void
  ) async throws(SQLError)
  /// Replaces all tablets by the file's; answers what it contains. Nothing is changed where the file is damaged.
  func restoreSnapshot(from path: String) async throws(SQLError) -> EngineState
  /// Throws everything away: the next start begins at index 0.
  func discard() async throws(SQLError)
  /// Sizes, for operators.
  func statistics() async -> EngineStatistics
  /// Ends all transactions, makes what is applied durable and closes.
  func close() async
}

/// The rows of a tablet as of a moment, by ascending key.
@LoopActor
package protocol TabletRows: AnyObject {
  /// Inserts of the next rows, of about so many bytes; nil after the last. The same rows give the same bytes on every replica
  /// of every shard.
  func next(limitBytes: Int) async throws(SQLError) -> [UInt8]?
  /// Begins again with the first row.
  func rewind() async
  /// Rows that were given out.
  var count: UInt64 { get }
  func close()
}

extension SQLState {
  /// Within a storage node: the tablet is about to move to another shard, and writes wait. Not shown to clients.
  package static let tabletFenced = SQLState(rawValue: "KL001")
}

extension SQLError {
  package static func fenced(_ tablet: TabletID) -> SQLError {
    SQLError(.tabletFenced, "tablet \(tablet) is about to move to another shard")
  }
}

/// What an engine whose disk is full does about it.
package enum EngineSpace: Sendable, Hashable {
  /// It has used what was set aside; what is logged is applied.
  case usesReserve
  /// Nothing is applied until there is space.
  case waits
  /// It goes on.
  case hasSpace
}

/// What an engine's directory or a snapshot contains.
package struct EngineState: Sendable, Hashable {
  /// All entries up to here are contained; 0: nothing is.
  package var index: UInt64
  /// The node's own state as of `index`, as it was given to `checkpoint`.
  package var nodeState: [UInt8]
  package init(index: UInt64, nodeState: [UInt8]) {
    self.index = index
    self.nodeState = nodeState
  }
}

/// A tablet as far as the reconciliation with the metadata's image needs it.
package struct TabletSummary: Sendable, Hashable {
  /// Indexes other than the primary key.
  package var indexes: Set<ObjectID>
  /// Raised by each TRUNCATE.
  package var generation: UInt64
  /// The index of the last entry that concerned it.
  package var appliedIndex: UInt64
  /// Definitions that the engine could not carry out, and why: nothing can be done with the tablet while there are any, but
  /// to drop what is refused. The same at every replica. They count as made, else they would be tried for ever.
  package var refusals: [TabletPart: String]
  package init(
    indexes: Set<ObjectID>, generation: UInt64, appliedIndex: UInt64, refusals: [TabletPart: String] = [:]
  ) {
    self.indexes = indexes
    self.generation = generation
    self.appliedIndex = appliedIndex
    self.refusals = refusals
  }
}

/// What an engine may refuse to make of a tablet's definition.
package enum TabletPart: Sendable, Hashable {
  case table
  case index(ObjectID)
}

extension TabletSummary {
  /// Why nothing can be done with the tablet; nil where all is well. 58000, with what to do.
  ///
  /// - Parameters:
  ///   - table: the table's name, as the metadata has it.
  ///   - index: the name of an index.
  package func refusal(of table: String, index: (ObjectID) -> String?) -> SQLError? {
    if let reason = refusals[.table] {
      return SQLError(
        .systemError, "table \"\(table)\" cannot be used: the storage engine refused its definition", detail: reason,
        hint: "Drop the table.", table: table)
    }
    let indexes = refusals.keys.compactMap { if case .index(let id) = $0 { id } else { nil } }
    guard let id = indexes.min(), let reason = refusals[.index(id)] else { return nil }
    let name = index(id) ?? "\(id)"
    return SQLError(
      .systemError, "table \"\(table)\" cannot be used: the storage engine refused the definition of index \"\(name)\"",
      detail: reason, hint: "Drop the index.", table: table)
  }
}

/// A transaction's name, chosen by the compute node and never used twice.
package struct TransactionID: Sendable, Hashable {
  package var bytes: [UInt8]
  package init(bytes: [UInt8]) { self.bytes = bytes }
}

/// The tablets that a transaction has locked, and the one that it waits for.
package struct TransactionLocks: Sendable, Hashable {
  package struct Wait: Sendable, Hashable {
    package var tablet: TabletID
    /// Who holds the tablet's lock or waits before it. A schema change is not among them.
    package var blockers: [TransactionID]
    /// On the loop's clock, in nanoseconds.
    package var since: UInt64
    package init(tablet: TabletID, blockers: [TransactionID], since: UInt64) {
      self.tablet = tablet
      self.blockers = blockers
      self.since = since
    }
  }
  package var held: [TabletID]
  package var wait: Wait?
  package init(held: [TabletID] = [], wait: Wait? = nil) {
    self.held = held
    self.wait = wait
  }
}

/// How a transaction behaves from its begin to its end.
package struct TransactionOptions: Sendable, Hashable {
  package var isReadOnly: Bool
  /// All that is read is as it was at the transaction's first read, else each fragment takes a new snapshot.
  package var isRepeatableRead: Bool
  /// How long a writer waits for a tablet; 0: for ever.
  package var lockTimeoutMilliseconds: Int
  package init(isReadOnly: Bool = false, isRepeatableRead: Bool = false, lockTimeoutMilliseconds: Int = 0) {
    self.isReadOnly = isReadOnly
    self.isRepeatableRead = isRepeatableRead
    self.lockTimeoutMilliseconds = lockTimeoutMilliseconds
  }
}

/// What a metadata event means for a tablet.
package enum TabletChange: Sendable, Hashable {
  case create(TabletID, TableDefinition, indexes: [IndexDefinition], generation: UInt64)
  case drop(TabletID)
  case createIndex(TabletID, TableDefinition, IndexDefinition)
  case dropIndex(TabletID, ObjectID)
  /// TRUNCATE: the tablet is emptied and gets the generation.
  case clear(TabletID, generation: UInt64)

  /// The tablet that it changes.
  package var tabletID: TabletID {
    switch self {
    case .create(let id, _, _, _), .drop(let id), .createIndex(let id, _, _), .dropIndex(let id, _), .clear(let id, _):
      id
    }
  }
}

/// The rows that one transaction changed in one tablet, in the engine's own format, old values included.
package struct TabletChangeset: Sendable, Hashable {
  package var tabletID: TabletID
  package var bytes: [UInt8]
  package init(tabletID: TabletID, bytes: [UInt8]) {
    self.tabletID = tabletID
    self.bytes = bytes
  }
}

/// An entry of the shard's log as the engine sees it.
package enum EngineEntry: Sendable {
  /// A transaction that was executed or adopted here: its changes become visible, and it ends. The changesets are what
  /// `changes(of:)` gave: they are applied where the transaction was adopted, or undone in the meantime.
  case commit(TransactionID, [TabletChangeset], index: UInt64)
  /// Changes that another replica executed, or that are replayed.
  case changes([TabletChangeset], index: UInt64)
  case schema([TabletChange], index: UInt64)

  /// Its index in the shard's log.
  package var index: UInt64 {
    switch self {
    case .commit(_, _, let index), .changes(_, let index), .schema(_, let index): index
    }
  }
}

/// One text to run: see `Fragment` in proto/kunlog/storage/v1/storage.proto.
package struct EngineFragment: Sendable {
  /// A fragment that writes names the written tablet first.
  package var tablets: [TabletID]
  package var sql: String
  /// Rows of values, encoded by `RowCodec`; the text runs once per row, or once where there is none.
  package var parameters: [UInt8]
  package var parameterColumns: Int
  package var parameterRows: Int
  package var isWrite: Bool
  /// The rows that it changes may be locked one by one, where the engine can do that; else the written tablet is locked.
  package var locksRows: Bool
  /// 0: none.
  package var resultColumns: Int
  package init(
    tablets: [TabletID], sql: String, parameters: [UInt8] = [], parameterColumns: Int = 0, parameterRows: Int = 0,
    isWrite: Bool, locksRows: Bool = false, resultColumns: Int
  ) {
    self.tablets = tablets
    self.sql = sql
    self.parameters = parameters
    self.parameterColumns = parameterColumns
    self.parameterRows = parameterRows
    self.isWrite = isWrite
    self.locksRows = locksRows
    self.resultColumns = resultColumns
  }
}

/// A write on its own, for `StorageEngine.run`.
package struct EngineStatement: Sendable {
  /// What the rows of one statement may take before it is refused: it must then run by itself, streamed.
  package static let maximumRowBytes = 4 << 20
  package var fragment: EngineFragment
  package var session: EngineSession
  package init(fragment: EngineFragment, session: EngineSession) {
    self.fragment = fragment
    self.session = session
  }
}

/// What a statement of `StorageEngine.run` answers.
package struct EngineOutcome: Sendable {
  /// Rows inserted, updated or deleted.
  package var affected: UInt64
  package var rows: [EncodedRows]
  package init(affected: UInt64, rows: [EncodedRows]) {
    self.affected = affected
    self.rows = rows
  }
}

/// Rows as `RowCodec` encodes them, one after another.
package struct EncodedRows: Sendable {
  package var count: Int
  package var bytes: [UInt8]
  package init(count: Int, bytes: [UInt8]) {
    self.count = count
    self.bytes = bytes
  }
}

/// What functions such as now() and current_user answer; times in microseconds since 2000-01-01 UTC.
package struct EngineSession: Sendable, Hashable {
  package var transactionTime: Int64
  package var statementTime: Int64
  package var timeZone: String
  package var user: String
  package var database: String
  package init(transactionTime: Int64, statementTime: Int64, timeZone: String, user: String, database: String) {
    self.transactionTime = transactionTime
    self.statementTime = statementTime
    self.timeZone = timeZone
    self.user = user
    self.database = database
  }
}

/// Why a fragment failed; where a constraint is violated, which.
package struct EngineFailure: Error, Sendable {
  package enum Constraint: Sendable, Hashable {
    case primaryKey(columns: [String])
    case unique(columns: [String])
    case notNull(column: String)
    case check(name: String)
    /// A unique index over expressions of the columns.
    case index(ObjectID)
  }
  package var error: SQLError
  package var constraint: Constraint?
  package var tabletID: TabletID?
  /// Index of the parameter row at fault.
  package var parameterRow: Int
  /// The row that violates the constraint, in the order of the table's columns, as far as the engine can tell.
  package var failingRow: [StoredValue]
  package init(
    error: SQLError, constraint: Constraint? = nil, tabletID: TabletID? = nil, parameterRow: Int = 0,
    failingRow: [StoredValue] = []
  ) {
    self.error = error
    self.constraint = constraint
    self.tabletID = tabletID
    self.parameterRow = parameterRow
    self.failingRow = failingRow
  }
}

/// Sizes, for operators.
package struct EngineStatistics: Sendable, Hashable {
  package var tablets: Int
  package var sizeBytes: UInt64
  package var openTransactions: Int
  /// Of the tablets' files, without what comes and goes beside them.
  package var sizes: [TabletID: UInt64]
  package init(tablets: Int, sizeBytes: UInt64, openTransactions: Int, sizes: [TabletID: UInt64] = [:]) {
    self.tablets = tablets
    self.sizeBytes = sizeBytes
    self.openTransactions = openTransactions
    self.sizes = sizes
  }
}
