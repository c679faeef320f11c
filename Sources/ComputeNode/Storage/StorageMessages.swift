import FoundationEssentials
import Metadata
import ProtocolStorage
import SQLTypes

/// Requests to shards as messages, and what comes back.
enum StorageMessages {
  static func execute(_ request: ShardRequest, _ clusterID: ClusterID) -> Kunlog_Storage_V1_ExecuteRequest {
    .with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = request.shardID.rawValue
      $0.metadataIndex = request.metadataIndex
      $0.transactionID = Data(request.transactionID)
      $0.continues = request.isContinuation
      $0.fragments = request.fragments.map(fragment)
      $0.commit = request.commits
      $0.readOnly = request.isReadOnly
      $0.repeatableRead = request.isRepeatableRead
      $0.session.transactionTimeMicroseconds = request.session.transactionTimeMicroseconds
      $0.session.statementTimeMicroseconds = request.session.statementTimeMicroseconds
      $0.session.timeZone = request.session.timeZone
      $0.session.user = request.session.user
      $0.session.database = request.session.database
      $0.lockTimeoutMilliseconds = UInt32(clamping: request.lockTimeoutMilliseconds)
      $0.savepoints = request.savepoints
      $0.rollbackToSavepoint = request.rollbackToSavepoint
      if let point = request.snapshot {
        $0.snapshot.hold = Data(point.hold)
        $0.snapshot.decisionIndex = point.decisionIndex
        $0.snapshot.tablets = point.tablets.map(reference)
      }
    }
  }

  private static func reference(_ tablet: ShardFragment.Tablet) -> Kunlog_Storage_V1_TabletReference {
    .with {
      $0.tabletID = tablet.id.rawValue
      $0.epoch = tablet.epoch
    }
  }

  private static func fragment(_ fragment: ShardFragment) -> Kunlog_Storage_V1_Fragment {
    .with {
      $0.tablets = fragment.tablets.map(reference)
      $0.sql = fragment.sql
      $0.parameters = Data(fragment.parameters)
      $0.parameterColumns = UInt32(clamping: fragment.parameterColumns)
      $0.parameterRows = UInt32(clamping: fragment.parameterRows)
      $0.isWrite = fragment.isWrite
      switch fragment.locking {
      case .tablet: break
      case .rows: $0.locking = .rows
      case .keyedRows: $0.locking = .keyedRows
      }
      $0.resultColumns = UInt32(clamping: fragment.resultColumns)
    }
  }

  /// The error as the shard words it.
  static func error(_ failure: Kunlog_Storage_V1_SQLFailure) -> SQLError {
    SQLError(
      SQLState(rawValue: failure.sqlState), failure.message, detail: failure.detail.isEmpty ? nil : failure.detail,
      hint: failure.hint.isEmpty ? nil : failure.hint)
  }

  static func failure(_ failure: Kunlog_Storage_V1_SQLFailure) -> ShardFailure {
    if failure.transactionLost { return .transactionLost }
    let kind: ConstraintViolation.Kind
    switch failure.constraintKind {
    case "primary_key", "unique", "index": kind = .unique
    case "not_null": kind = .notNull
    case "check": kind = .check
    default: return .statement(error(failure), nil)
    }
    let isIndex = failure.constraintKind == "index"
    return .statement(
      error(failure),
      ConstraintViolation(
        kind: kind, tabletID: TabletID(rawValue: failure.tabletID), columns: failure.columns,
        name: failure.constraintName.isEmpty || isIndex ? nil : failure.constraintName,
        indexID: isIndex ? UInt32(failure.constraintName).map { ObjectID(rawValue: $0) } : nil,
        failingRow: (try? RowCodec.decode(Array(failure.failingRow))) ?? [], fragment: Int(failure.fragment),
        parameterRow: Int(failure.parameterRow)))
  }
}
