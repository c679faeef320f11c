/// A session's transaction state as ReadyForQuery reports it (PostgreSQL 15 manual, 55.7).
package enum TransactionStatus: UInt8, Sendable, Equatable {
  /// Not in a transaction block (`I`).
  case idle = 0x49
  /// In a transaction block (`T`).
  case inTransaction = 0x54
  /// In a transaction block that has failed: only its end is accepted (`E`).
  case failed = 0x45
}
