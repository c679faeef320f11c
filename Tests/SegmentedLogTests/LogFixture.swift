import Raft

@testable import SegmentedLog

let threeMembers = Configuration(voters: [
  Member(id: 1, address: "a:1"), Member(id: 2, address: "b:2"), Member(id: 3, address: "c:3"),
])

/// A small log without thread, for tests of the format.
struct LogFixture {
  var configuration: LogConfiguration
  var disk = MemoryDisk()

  init(segmentBytes: Int = 1024) {
    let identity = LogIdentity(clusterID: Array(1...16), groupID: "test", nodeID: 1)
    configuration = LogConfiguration(identity: identity, initialMembers: threeMembers)
    configuration.segmentBytes = segmentBytes
    configuration.fillBytes = 128
  }

  func recover() throws(LogStoreError) -> RecoveredLog {
    var recovery = LogRecovery(disk: disk, configuration: configuration)
    return try recovery.run()
  }

  func writer() throws(LogStoreError) -> LogWriter {
    LogWriter(disk: disk, configuration: configuration, recovered: try recover())
  }

  /// The payloads of all entries, read back through their positions.
  func entries() throws(LogStoreError) -> [Entry] {
    let log = try recover()
    var found: [Entry] = []
    for run in log.positions.runs {
      let bytes = try disk.open(LogFileName.segment(run.segment)).readAll()
      let codec = RecordCodec(identity: configuration.identity, segment: run.segment)
      bytes.withUnsafeBytes { buffer in
        for offset in run.offsets {
          if case .entry(let entry)? = codec.decode(buffer, at: Int(offset))?.record { found.append(entry) }
        }
      }
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
