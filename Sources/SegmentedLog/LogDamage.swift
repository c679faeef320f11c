import Raft

/// A place of a log where bytes that were durable are not what was written, or are gone.
package struct LogDamage: Sendable, Equatable, CustomStringConvertible {
  /// The file.
  package var path: String
  /// Where the damage begins, in bytes.
  package var offset: Int
  /// How long it is, in bytes.
  package var lengthBytes: Int

  package var description: String { "\(path) is damaged from byte \(offset) to byte \(offset + lengthBytes)" }
}

/// What damage has cost a log.
package struct LogLoss: Sendable, Equatable, CustomStringConvertible {
  /// The first entry that is missing.
  package var firstIndex: UInt64
  /// Up to where the log had promised to reach; where that is not known, a bound.
  package var promised: LogPosition

  /// Makes a loss.
  package init(firstIndex: UInt64, promised: LogPosition) {
    self.firstIndex = firstIndex
    self.promised = promised
  }

  package var description: String {
    "entries \(firstIndex) to \(promised.index) (of term \(promised.term)) are lost here. This member does not campaign and "
      + "votes for no member that lacks them, until a leader brings them. If no running member has them, the group halts: "
      + "start the members that have them, or restore the group from a backup"
  }
}
