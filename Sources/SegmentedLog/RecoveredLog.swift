import Raft

/// What was found in a log's directory.
package struct RecoveredLog: Sendable {
  /// Whose log it is; with the directory's own number.
  package var identity: LogIdentity
  /// Term and vote.
  package var hardState = HardState()
  /// Up to where the log had promised to reach, while it does not.
  package var promised: LogPosition?
  /// Where the log begins, and its latest snapshot.
  package var base: LogBase
  /// The term of every entry.
  package var terms: TermIndex
  /// The configurations after the base, in order.
  package var configurations: [(index: UInt64, configuration: Configuration)] = []
  /// Where the entries lie.
  package var positions = EntryPositions()
  /// The segments, oldest first.
  package var segments: [LiveSegment] = []
  /// Files for later segments.
  package var spares: [String] = []
  /// Files of segments that were dropped from the log and kept.
  package var archive = LogArchive()
  /// The greatest number that a segment ever had.
  package var lastSegment: UInt64 = 0
  /// Where the next batch goes in the last segment; nil: a new segment must be begun.
  package var endOffset: Int?
  /// Where the last segment ends.
  package var previousEndOffset = 0
  /// Places where bytes that were durable are not what was written.
  package var damages: [LogDamage] = []
  /// What that has cost; nil: nothing that still counts.
  package var loss: LogLoss?
  /// What makes the loss durable; written before anything else.
  var repairs: [LogWrite] = []
  var stateFile: StateFile
  var stateWrites: UInt64 = 0
  var wasClosed = false

  /// What consensus has to know of it.
  package var forRaft: Raft.Recovered {
    var recovered = Raft.Recovered(
      hardState: hardState, snapshot: base.snapshot, terms: terms, baseConfiguration: base.base.configuration,
      configurations: configurations, commitIndex: base.snapshot.index, promised: promised)
    recovered.disk = identity.disk
    return recovered
  }

  /// Whether nothing was ever written.
  package var isNew: Bool { lastSegment == 0 }
}

/// A segment in use.
package struct LiveSegment: Sendable {
  /// Its number; each is above that of the segment before.
  package var number: UInt64
  /// Its file.
  package var file: any LogFile
  /// The file's length.
  package var sizeBytes: Int
  /// The first entry in it that counts; 0 when there is none.
  package var firstIndex: UInt64 = 0
  /// The last entry in it that counts; 0 when there is none.
  package var lastIndex: UInt64 = 0
}
