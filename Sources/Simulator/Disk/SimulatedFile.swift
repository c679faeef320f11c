import SegmentedLog

/// A file of a simulated disk: its bytes as a reader sees them now. What a crash leaves of them the disk decides.
///
/// Confined to one world, which runs on one thread: that is what makes it sendable.
final class SimulatedFile: LogFile, @unchecked Sendable {
  // The disk lives as long as the node whose log writes here.
  private unowned let disk: SimulatedDisk
  let contents: UnsafeMutableRawBufferPointer
  private let length: Int
  var name: String

  init(disk: SimulatedDisk, name: String, sizeBytes: Int) {
    self.disk = disk
    self.name = name
    length = sizeBytes
    contents = UnsafeMutableRawBufferPointer.allocate(byteCount: max(8, sizeBytes), alignment: 8)
    contents.initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// A copy for a backup.
  init(copying other: SimulatedFile, disk: SimulatedDisk) {
    self.disk = disk
    name = other.name
    length = other.length
    contents = UnsafeMutableRawBufferPointer.allocate(byteCount: other.contents.count, alignment: 8)
    contents.copyMemory(from: UnsafeRawBufferPointer(other.contents))
  }

  deinit { contents.deallocate() }

  var sizeBytes: Int { length }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LogStoreError) {
    try disk.write(bytes, at: offset, of: self)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(LogStoreError) -> Int {
    try disk.checkRead(of: self)
    let count = max(0, min(buffer.count, length - offset))
    guard count > 0 else { return 0 }
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: contents[offset..<offset + count]))
    return count
  }

  func withContents<Result>(
    _ body: (UnsafeRawBufferPointer) throws(LogStoreError) -> Result
  ) throws(LogStoreError) -> Result {
    try disk.checkRead(of: self)
    return try body(UnsafeRawBufferPointer(rebasing: contents[..<length]))
  }

  func synchronize() throws(LogStoreError) { try disk.synchronize(self) }
}
