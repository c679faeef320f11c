import EventLoop
import LogStore
import Raft
import SegmentedLog

/// Writes the directory of a replica that has never run, of a group that begins with a state: a snapshot, perhaps the entries
/// that led to it, and entries after it. All members get the same; the first leader commits what follows the snapshot. Blocks:
/// for commands, not for servers.
package enum NewReplicaDirectory {
  /// - Parameters:
  ///   - configuration: of the replica; its members are the group's first voters.
  ///   - snapshot: the entry that the state is of.
  ///   - pieces: the snapshot's bytes, until nil.
  ///   - history: entries that end with the snapshot's, in order and without gap, until nil; none: the log begins with it.
  ///   - following: entries after the snapshot's.
  @LoopActor
  package static func create(
    _ configuration: ReplicaConfiguration, at snapshot: LogPosition, pieces: () throws -> [UInt8]?,
    history: () throws -> [Entry]?, following: [Entry]
  ) throws {
    let directory = configuration.dataDirectory
    try FileSystem.createDirectory(directory + "/snapshots")
    let members = Configuration(voters: configuration.members)
    let metadata = SnapshotMetadata(index: snapshot.index, term: snapshot.term, configuration: members)
    let temporary = directory + "/snapshots/new.temporary"
    try FileSystem.write(temporary, syncedEveryBytes: 1 << 20, pieces: pieces)
    try SnapshotStore.keep(temporary, metadata, in: directory + "/snapshots")

    let log = try OpenedLog.open(configuration.log, on: try FileDisk(path: directory + "/log"))
    func write(_ writes: [LogWrite]) throws {
      let result = try log.writer.write(writes)
      guard result.isComplete else {
        throw LogStoreError.io(operation: "write to", path: directory + "/log", errno: 28)
      }
      if result.wantsSpare { try log.writer.prepareSpare() }
    }
    try write([.hardState(HardState(term: following.last?.term ?? snapshot.term))])
    var base = metadata
    var isFirst = true
    while let entries = try history() {
      guard let first = entries.first else { continue }
      if isFirst {
        base = SnapshotMetadata(
          index: first.index - 1, term: first.index == 1 ? 0 : first.term, configuration: members)
        if base.index > 0 { try write([.reset(LogBase(snapshot: base, base: base))]) }
        isFirst = false
      }
      try write([.entries(entries)])
    }
    try write([
      isFirst ? .reset(LogBase(snapshot: metadata, base: base)) : .compaction(LogBase(snapshot: metadata, base: base))
    ])
    try write([.entries(following)])
    try log.writer.close()
  }
}
