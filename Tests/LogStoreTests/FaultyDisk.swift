import Raft
import SegmentedLog
import Synchronization

let threeMembers = Configuration(voters: [
  Member(id: 1, address: "a:1"), Member(id: 2, address: "b:2"), Member(id: 3, address: "c:3"),
])

func entry(_ index: UInt64, _ term: UInt64, _ text: String) -> Entry {
  Entry(index: index, term: term, payload: Array(text.utf8))
}

func metadata(_ index: UInt64, _ term: UInt64) -> SnapshotMetadata {
  SnapshotMetadata(index: index, term: term, configuration: threeMembers)
}

/// Another disk that fails on demand.
final class FaultyDisk: LogDisk {
  private let disk: any LogDisk
  private let errors = Mutex((synchronize: Int32?.none, write: Int32?.none))

  init(_ disk: any LogDisk) { self.disk = disk }

  var path: String { disk.path }
  /// What synchronizations fail with, nil: they succeed.
  var synchronizationError: Int32? {
    get { errors.withLock { $0.synchronize } }
    set { errors.withLock { $0.synchronize = newValue } }
  }
  /// What writes fail with, nil: they succeed.
  var writeError: Int32? {
    get { errors.withLock { $0.write } }
    set { errors.withLock { $0.write = newValue } }
  }

  func lock() throws(LogStoreError) -> any Sendable { try disk.lock() }
  func list() throws(LogStoreError) -> [String] { try disk.list() }
  func open(_ name: String) throws(LogStoreError) -> any LogFile {
    FaultyFile(file: try disk.open(name), disk: self)
  }
  func create(_ name: String, sizeBytes: Int) throws(LogStoreError) -> any LogFile {
    FaultyFile(file: try disk.create(name, sizeBytes: sizeBytes), disk: self)
  }
  func rename(_ name: String, to newName: String) throws(LogStoreError) { try disk.rename(name, to: newName) }
  func remove(_ name: String) throws(LogStoreError) { try disk.remove(name) }
  func synchronizeDirectory() throws(LogStoreError) { try disk.synchronizeDirectory() }
  func replace(_ name: String, with bytes: [UInt8]) throws(LogStoreError) { try disk.replace(name, with: bytes) }
}

private final class FaultyFile: LogFile {
  let file: any LogFile
  let disk: FaultyDisk

  init(file: any LogFile, disk: FaultyDisk) {
    self.file = file
    self.disk = disk
  }

  var sizeBytes: Int { get throws(LogStoreError) { try file.sizeBytes } }
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LogStoreError) {
    if let code = disk.writeError { throw .io(operation: "write", path: disk.path, errno: code) }
    try file.write(bytes, at: offset)
  }
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(LogStoreError) -> Int {
    try file.read(into: buffer, at: offset)
  }
  func synchronize() throws(LogStoreError) {
    if let code = disk.synchronizationError { throw .io(operation: "synchronize", path: disk.path, errno: code) }
    try file.synchronize()
  }
}
