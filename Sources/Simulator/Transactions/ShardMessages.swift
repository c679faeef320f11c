import Coordination
import Metadata

/// What a cell of a tablet holds: an account, or a list to which transactions append.
enum Cell: Equatable {
  case balance(Int64)
  case list([UInt32])
}

/// What a transaction does to one cell.
enum CellChange {
  case add(Int64)
  case append(UInt32)
}

/// Which cells there are, and where.
enum Cells {
  static let shardCount = 3
  static let tabletCount = shardCount * 2
  /// Accounts have the first numbers, lists those from here on.
  static let accountCount = 24
  static let firstList = 1_000
  static let initialBalance: Int64 = 100
  static let total = Int64(accountCount) * initialBalance

  static func tablet(_ cell: Int) -> Int { cell % tabletCount }
  /// The shard on which a tablet is made.
  static func home(_ tablet: Int) -> Int { tablet * shardCount / tabletCount }
  static func initial(_ cell: Int) -> Cell { cell < firstList ? .balance(initialBalance) : .list([]) }
  static func tabletID(_ tablet: Int) -> TabletID { TabletID(rawValue: UInt64(tablet + 1)) }
  static func tablet(_ id: TabletID) -> Int { Int(id.rawValue) - 1 }
  static func shard(_ id: ShardID) -> Int { Int(id.rawValue) - 1 }
}

/// A request to one replica of a shard. It arrives once or not at all, as on a connection, and only in the life of the process to
/// which the connection was.
struct ShardCall {
  enum Body {
    case execute(ShardStatement)
    case commit(TransactionName)
    case prepare(TransactionName, GlobalTransactionID, participants: [ShardID])
    case finish(TransactionName, GlobalTransactionID, TransactionOutcome, index: UInt64)
    case rollback(TransactionName)
    case hold([UInt8])
    case list(onlyBlocking: Bool)
    case move(MoveCall)
    /// A stretch of the rows of a snapshot.
    case readRows(MigrationID, token: [UInt8], number: Int)
    /// What the log says of the tablet after an entry; `from`: where reading has to begin.
    case readChanges(MigrationID, after: UInt64, from: UInt64)
  }
  var caller: UInt8
  var callerLife: UInt32
  var number: UInt32
  var shard: UInt8
  var replica: UInt8
  var replicaLife: UInt32
  var body: Body
}

/// A part of a transaction that one shard runs: reads of cells at one moment, or one write.
struct ShardStatement {
  /// nil: a read that is a transaction of its own.
  var name: TransactionName?
  /// The transaction is open there already.
  var continues: Bool
  var isRepeatableRead: Bool
  var reads: [Int]
  var write: (cell: Int, change: CellChange)?
  /// The epochs of the routes by which it comes, by tablet, and the metadata that it was planned by.
  var epochs: [Int: UInt64]
  var metadataIndex: UInt64
  /// The moment of a snapshot over several shards, and the epochs of all tablets that are read of it.
  var snapshot: (hold: [UInt8], decisionIndex: UInt64, epochs: [Int: UInt64])?
}

/// What a replica answers.
struct ShardAnswer {
  enum Failure {
    case deadlock
    /// 40001.
    case serialization
    /// The transaction is not known.
    case lost
    case busy
  }
  enum Body {
    /// The replica that leads, as far as is known.
    case notLeader(Int?)
    case cells([Cell])
    /// 0: nothing was written.
    case committed(UInt64)
    case prepared
    case nothingWritten
    case finished
    case held(UInt64)
    case report(ShardTransactions)
    case failed(Failure)
    case done
    /// A tablet is elsewhere, or not as the statement has it: to be planned anew with metadata at least so new.
    case staleRoute(UInt64)
    case moved(MigrationDriver.StepResult)
    case moveFailed(MigrationDriver.FailureKind, String)
    case rows(SimulatedShard.MovedRows)
    /// What there is to know up to an entry; `last`: the last one that there is.
    case changes(SimulatedShard.MovedChanges, last: UInt64)
  }
  var life: UInt32
  var number: UInt32
  var body: Body
}

/// A step of a migration, asked for by a manager.
struct MoveCall {
  var id: MigrationID
  var attempt: UInt32
  var step: MigrationDriver.Step
  var metadataIndex: UInt64
}
