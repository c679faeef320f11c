import Raft

@testable import SegmentedLog

let threeMembers = Configuration(voters: [
  Member(id: 1, address: "a:1"), Member(id: 2, address: "b:2"), Member(id: 3, address: "c:3"),
])

/// A small log without thread, for tests of the format.
struct LogFixture {
  var configuration: LogConfiguration
  var disk = MemoryDisk()

  init(segmentBytes: Int = 1024, reserveBytes: Int = 0) {
    let identity = LogIdentity(clusterID: Array(1...16), groupID: "test", nodeID: 1)
    configuration = LogConfiguration(identity: identity, initialMembers: threeMembers)
    configuration.newDisk = 77
    configuration.segmentBytes = segmentBytes
    configuration.fillBytes = 128
    configuration.reserveBytes = reserveBytes
  }

  /// The same contents on a disk of its own.
  func copy() -> LogFixture {
    var other = self
    other.disk = disk.copy()
    return other
  }

  func recover() throws(LogStoreError) -> RecoveredLog {
    var recovery = try LogRecovery(disk: disk, configuration: configuration)
    return try recovery.run()
  }

  func open() throws(LogStoreError) -> OpenedLog { try OpenedLog.open(configuration, on: disk) }

  func writer() throws(LogStoreError) -> LogWriter { try open().writer }

  /// All entries, read back through their positions.
  func entries() throws(LogStoreError) -> [Entry] { try entries(of: try recover()) }

  func entries(of log: RecoveredLog) throws(LogStoreError) -> [Entry] {
    var found: [Entry] = []
    for run in log.positions.runs {
      found += try run.read(
        from: try disk.open(LogFileName.segment(run.segment)), identity: log.identity, directory: disk.path)
    }
    return found.filter { $0.index > log.base.base.index }
  }
}

func entry(_ index: UInt64, _ term: UInt64, _ text: String) -> Entry {
  Entry(index: index, term: term, payload: Array(text.utf8))
}

func metadata(_ index: UInt64, _ term: UInt64) -> SnapshotMetadata {
  SnapshotMetadata(index: index, term: term, configuration: threeMembers)
}
