@testable import SegmentedLog

/// A disk in memory, whose files tests may damage. Used by one thread at a time, which confines its mutable state.
final class MemoryDisk: LogDisk, @unchecked Sendable {
  var files: [String: MemoryFile] = [:]
  /// How many writes and synchronizations succeed before the power goes; nil: all.
  var operationsLeft: Int?
  /// How many bytes all files together may have; nil: no end.
  var capacityBytes: Int?
  var path: String { "memory" }

  func lock() -> any Sendable { 0 }
  func list() -> [String] { files.keys.sorted() }

  func open(_ name: String) throws(LogStoreError) -> any LogFile {
    guard let file = files[name] else { throw .io(operation: "open", path: name, errno: 2) }
    return file
  }

  func create(_ name: String, sizeBytes: Int) throws(LogStoreError) -> any LogFile {
    if let capacityBytes, files.values.reduce(0, { $0 + $1.bytes.count }) + sizeBytes > capacityBytes {
      throw .io(operation: "reserve \(sizeBytes) bytes for", path: name, errno: 28)
    }
    let file = MemoryFile(on: self, bytes: [UInt8](repeating: 0, count: sizeBytes))
    files[name] = file
    return file
  }

  func rename(_ name: String, to newName: String) throws(LogStoreError) {
    guard let file = files.removeValue(forKey: name) else { throw .io(operation: "rename", path: name, errno: 2) }
    files[newName] = file
  }

  func remove(_ name: String) { files[name] = nil }
  func synchronizeDirectory() {}
  func replace(_ name: String, with bytes: [UInt8]) { files[name] = MemoryFile(on: self, bytes: bytes) }

  /// The same contents in files of its own.
  func copy() -> MemoryDisk {
    let other = MemoryDisk()
    for (name, file) in files { other.files[name] = MemoryFile(on: other, bytes: file.bytes, durable: file.durable) }
    return other
  }

  /// What a power cut leaves: only what was synchronized, and of the rest what the predicate keeps, by 512-byte sector.
  func crash(keeping keepsSector: () -> Bool) {
    for file in files.values {
      for start in stride(from: 0, to: file.bytes.count, by: 512) where !keepsSector() {
        let end = min(start + 512, file.bytes.count)
        file.bytes[start..<end] = file.durable[start..<end]
      }
      file.durable = file.bytes
    }
    operationsLeft = nil
  }

  fileprivate func useOperation() throws(LogStoreError) {
    guard let left = operationsLeft else { return }
    guard left > 0 else { throw .io(operation: "power", path: path, errno: 5) }
    operationsLeft = left - 1
  }
}

/// A file of a `MemoryDisk`.
final class MemoryFile: LogFile, @unchecked Sendable {
  var bytes: [UInt8]
  var durable: [UInt8]
  var synchronizations = 0
  /// Bytes that give an error when they are read.
  var unreadable: Range<Int>?

  private unowned let disk: MemoryDisk

  init(on disk: MemoryDisk, bytes: [UInt8], durable: [UInt8]? = nil) {
    self.disk = disk
    self.bytes = bytes
    self.durable = durable ?? bytes
  }

  var sizeBytes: Int { bytes.count }

  func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(LogStoreError) {
    try disk.useOperation()
    bytes.replaceSubrange(offset..<(offset + source.count), with: source)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(LogStoreError) -> Int {
    if let unreadable, unreadable.overlaps(offset..<(offset + buffer.count)) {
      throw .io(operation: "read", path: disk.path, errno: 5)
    }
    let count = max(0, min(buffer.count, bytes.count - offset))
    bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + count)])) }
    return count
  }

  func synchronize() throws(LogStoreError) {
    try disk.useOperation()
    durable = bytes
    synchronizations += 1
  }
}
