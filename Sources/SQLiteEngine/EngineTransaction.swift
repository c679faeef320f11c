import EventLoop
import Metadata
import SQLTypes
import StorageEngine

/// A transaction at the leader: what it holds, and what runs for it.
@LoopActor
final class EngineTransaction {
  let id: TransactionID
  let options: TransactionOptions
  /// Connections within an open write transaction, by tablet, which it holds alone.
  var writers: [TabletID: TabletConnection] = [:]
  /// What it has changed in tablets that it holds beside others, whose rows it has locked.
  var overlays: [TabletID: TabletOverlay] = [:]
  /// Tablets that it holds, alone or beside others.
  var locked: Set<TabletID> = []
  /// Another leader had prepared it: its changes are in the log only.
  var isAdopted = false
  /// Open savepoints, outermost first: a writer sets them before its next write.
  var savepoints: [UInt32] = []
  /// REPEATABLE READ: connections that keep snapshots, each of one tablet or of several that a statement reads together.
  var snapshots: [[TabletID]: TabletConnection] = [:]
  /// REPEATABLE READ: the last entry that each tablet's snapshot contains.
  var snapshotIndexes: [TabletID: UInt64] = [:]
  /// REPEATABLE READ: the shard's last entry when the first snapshot was taken. A tablet that has changed since has no
  /// snapshot of that moment any more.
  var snapshotIndex: UInt64?
  /// Its changes were handed out to be logged: only the log, or the loss of leadership, ends it now.
  var isSealed = false
  /// Why it can only be undone.
  var doom: SQLError?
  /// The connection that works for it at the moment.
  var running: TabletConnection?
  private var isEntered = false
  private var leaveWaiters: [UnsafeContinuation<Void, Never>] = []

  /// Whether it has changed the tablet, rather than locked it only.
  func hasWritten(_ tablet: TabletID) -> Bool {
    writers[tablet]?.recorder?.hasChanges == true || overlays[tablet]?.isEmpty == false
  }

  init(id: TransactionID, options: TransactionOptions) {
    self.id = id
    self.options = options
  }

  /// Begins a request. Throws where another one has not ended, or the transaction can only be undone.
  func enter() throws(SQLError) {
    if let doom { throw doom }
    guard !isEntered else {
      throw SQLError(.objectInUse, "another request of this transaction has not ended")
    }
    guard !isSealed else { throw SQLError(.invalidTransactionState, "the transaction is being committed") }
    isEntered = true
  }

  /// Ends a request.
  func leave() {
    isEntered = false
    for waiter in leaveWaiters { waiter.resume() }
    leaveWaiters = []
  }

  private var isEnding = false
  private var hasEnded = false
  private var endWaiters: [UnsafeContinuation<Void, Never>] = []

  /// True for the first who ends it; others wait until it has ended.
  func beginEnd() async -> Bool {
    if !isEnding {
      isEnding = true
      return true
    }
    while !hasEnded { await withUnsafeContinuation { endWaiters.append($0) } }
    return false
  }

  /// Takes the right to end it, at once; false where someone else has it.
  func claimEnd() -> Bool {
    guard !isEnding else { return false }
    isEnding = true
    return true
  }

  /// It holds nothing any more.
  func finishEnd() {
    isEnding = true
    hasEnded = true
    for waiter in endWaiters { waiter.resume() }
    endWaiters = []
  }

  /// Waits until no request runs.
  func left() async {
    while isEntered {
      await withUnsafeContinuation { leaveWaiters.append($0) }
    }
  }
}
