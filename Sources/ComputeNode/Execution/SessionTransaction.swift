import EventLoop
import Metadata
import SQLTypes

/// A transaction of a session: a block (BEGIN … COMMIT) or an implicit one around a statement or several.
///
/// It joins a shard when it first needs its own state there: for a write, for reads that must see that write, and for
/// reads under REPEATABLE READ. All other reads are single requests. What it wrote on one shard commits there; what it wrote
/// on several commits in two phases (`TransactionCoordinator`).
@LoopActor
final class SessionTransaction {
  /// Unique for ever: what the shards know it by.
  private(set) var id: [UInt8]
  /// BEGIN was said.
  var isBlock: Bool
  var isRepeatableRead: Bool
  var isReadOnly: Bool
  /// What now() answers: microseconds since 2000-01-01 UTC.
  let startMicroseconds: Int64
  /// What txid_current() answers.
  let number: Int64
  /// Shards that know it, hence have to be told its end.
  private(set) var joined: Set<ShardID> = []
  /// Those of them where it has written, or locked to write.
  private(set) var written: Set<ShardID> = []
  /// REPEATABLE READ: all shards have joined at one moment of the cluster.
  var hasClusterSnapshot = false
  /// REPEATABLE READ: the epochs of the routes by which it came to tablets.
  private var epochs: [TabletID: UInt64] = [:]
  /// A statement has run: its isolation can no longer change.
  var hasRun = false
  /// It is one statement, outside of a block, that gives nothing to the client before it has ended: where a tablet of it has moved
  /// when a part is written already, all of it is undone and begun anew.
  var mayBeginAnew = false
  /// Statements that it has run.
  var statements = 0
  /// Definitions (DDL) took effect at once: a rollback does not undo them.
  var hasDefined = false
  /// Open savepoints, outermost first.
  var savepoints: [Savepoint] = []
  private var lastSavepoint: UInt32 = 0

  init(
    id: [UInt8], isBlock: Bool, isRepeatableRead: Bool, isReadOnly: Bool, startMicroseconds: Int64, number: Int64
  ) {
    self.number = number
    self.id = id
    self.isBlock = isBlock
    self.isRepeatableRead = isRepeatableRead
    self.isReadOnly = isReadOnly
    self.startMicroseconds = startMicroseconds
  }

  /// Whether a read of a shard must run within the transaction.
  func mustJoin(_ shard: ShardID) -> Bool { isRepeatableRead && isBlock || written.contains(shard) }

  func knows(_ shard: ShardID) -> Bool { joined.contains(shard) }

  func join(_ shard: ShardID) { joined.insert(shard) }

  func wrote(_ shard: ShardID) {
    joined.insert(shard)
    written.insert(shard)
  }

  /// Sets a savepoint; one of the same name is hidden until this one is released.
  func setSavepoint(_ name: String, settings: SessionSettings) {
    lastSavepoint += 1
    savepoints.append(
      Savepoint(
        name: name, number: lastSavepoint, settings: settings, written: written, hasDefined: hasDefined))
  }

  /// A first request to the shard was not carried out: the shard does not know it.
  func leave(_ shard: ShardID) {
    joined.remove(shard)
    written.remove(shard)
  }

  /// Its shards have been told its end, but it goes on: they know it by a new name from now on.
  func startAnew(id: [UInt8]) {
    forgetShards()
    self.id = id
  }

  /// Its shards have been told its end.
  func forgetShards() {
    joined = []
    written = []
    epochs = [:]
  }

  /// REPEATABLE READ: whether one of the tablets has moved since it was used.
  func hasMoved(_ fragments: [ShardFragment]) -> Bool {
    !epochs.isEmpty
      && fragments.contains { $0.tablets.contains { tablet in epochs[tablet.id].map { $0 != tablet.epoch } ?? false } }
  }

  /// Tablets were read, or written, by these routes.
  func used(_ fragments: [ShardFragment]) {
    guard isRepeatableRead, isBlock else { return }
    for tablet in fragments.lazy.flatMap(\.tablets) { epochs[tablet.id] = tablet.epoch }
  }
}

/// SAVEPOINT.
struct Savepoint {
  var name: String
  /// What the shards know it by.
  var number: UInt32
  /// The session's settings when it was set.
  var settings: SessionSettings
  /// Shards that had been written before.
  var written: Set<ShardID>
  /// Definitions had been made before.
  var hasDefined: Bool
}

/// Names transactions (`TransactionName`): node, start of the process, counter. 24 bytes.
@LoopActor
final class TransactionNames {
  private let prefix: [UInt8]
  private var counter: UInt64 = 0
  private let nodeID: NodeID
  private var lastNumber: Int64 = 0

  init(nodeID: NodeID, startMicroseconds: Int64) {
    self.nodeID = nodeID
    var bytes: [UInt8] = []
    withUnsafeBytes(of: nodeID.rawValue.bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: startMicroseconds.bigEndian) { bytes.append(contentsOf: $0) }
    prefix = bytes
  }

  /// A number that no other transaction of the cluster has (of nodes whose ids agree in their last ten bits, one might): rising
  /// at each node, and over all of them as far as their clocks agree.
  func nextNumber(atMicroseconds now: Int64) -> Int64 {
    lastNumber = max(lastNumber + 1, now)
    return lastNumber << 10 | Int64(nodeID.rawValue & 1023)
  }

  func next() -> [UInt8] {
    counter += 1
    return withUnsafeBytes(of: counter.bigEndian) { prefix + $0 }
  }
}
