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
  static let tabletsPerShard = 2
  static let tabletCount = shardCount * tabletsPerShard
  /// Accounts have the first numbers, lists those from here on.
  static let accountCount = 24
  static let firstList = 1_000
  static let initialBalance: Int64 = 100
  static let total = Int64(accountCount) * initialBalance

  static func tablet(_ cell: Int) -> Int { cell % tabletCount }
  static func shard(_ cell: Int) -> Int { tablet(cell) / tabletsPerShard }
  static func initial(_ cell: Int) -> Cell { cell < firstList ? .balance(initialBalance) : .list([]) }
  static func tabletID(_ tablet: Int) -> TabletID { TabletID(rawValue: UInt64(tablet + 1)) }
  /// The accounts of a shard.
  static func accounts(of shard: Int) -> [Int] { (0..<accountCount).filter { self.shard($0) == shard } }
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
  /// The moment of a snapshot over several shards.
  var snapshot: (hold: [UInt8], decisionIndex: UInt64)?
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
  }
  var life: UInt32
  var number: UInt32
  var body: Body
}
