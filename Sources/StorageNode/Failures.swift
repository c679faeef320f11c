import FoundationEssentials
import ProtocolStorage
import SQLTypes
import StorageEngine

/// Failures as messages.
enum Failures {
  static func message(
    _ error: SQLError, isTransactionLost: Bool = false
  ) -> Kunlog_Storage_V1_SQLFailure {
    .with {
      $0.sqlState = error.sqlState.rawValue
      $0.message = error.message
      $0.detail = error.detail ?? ""
      $0.hint = error.hint ?? ""
      $0.transactionLost = isTransactionLost
    }
  }

  static func message(_ failure: EngineFailure, fragment: Int) -> Kunlog_Storage_V1_SQLFailure {
    var message = message(failure.error)
    message.fragment = UInt32(fragment)
    message.tabletID = failure.tabletID?.rawValue ?? 0
    message.parameterRow = UInt32(failure.parameterRow)
    message.failingRow = Data(RowCodec.encode(failure.failingRow))
    switch failure.constraint {
    case nil: break
    case .primaryKey(let columns):
      message.constraintKind = "primary_key"
      message.columns = columns
    case .unique(let columns):
      message.constraintKind = "unique"
      message.columns = columns
    case .notNull(let column):
      message.constraintKind = "not_null"
      message.columns = [column]
    case .check(let name):
      message.constraintKind = "check"
      message.constraintName = name
    case .index(let id):
      message.constraintKind = "index"
      message.constraintName = "\(id)"
    }
    return message
  }
}
