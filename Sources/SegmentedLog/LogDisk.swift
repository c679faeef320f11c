/// The directory of a log, as far as the log needs one: the seam at which a simulated disk takes the place of files.
/// Names are plain file names within the directory, or `archive/` and a file name.
package protocol LogDisk: Sendable {
  /// The directory's path, for messages.
  var path: String { get }
  /// Takes the directory for this process until the returned value is released; throws `inUse` when it is taken.
  func lock() throws(LogStoreError) -> any Sendable
  /// The names of all files, those in `archive/` among them.
  func list() throws(LogStoreError) -> [String]
  /// Opens a file for reading and writing.
  func open(_ name: String) throws(LogStoreError) -> any LogFile
  /// Creates a file with reserved space; it reads as zeros.
  func create(_ name: String, sizeBytes: Int) throws(LogStoreError) -> any LogFile
  /// Gives a file another name, replacing what had it.
  func rename(_ name: String, to newName: String) throws(LogStoreError)
  /// Removes a file.
  func remove(_ name: String) throws(LogStoreError)
  /// Makes creation, renaming and removal durable.
  func synchronizeDirectory() throws(LogStoreError)
  /// Writes a small file so that it is durably there in whole or not at all.
  func replace(_ name: String, with bytes: [UInt8]) throws(LogStoreError)
}

/// A file of a log. Reads may run beside writes.
package protocol LogFile: AnyObject, Sendable {
  /// The file's length in bytes.
  var sizeBytes: Int { get throws(LogStoreError) }
  /// Writes all bytes at an offset.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LogStoreError)
  /// Reads up to the buffer's size from an offset; how many bytes there were.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(LogStoreError) -> Int
  /// Gives the whole file to a body; its bytes are there only while the body runs.
  func withContents<Result>(
    _ body: (UnsafeRawBufferPointer) throws(LogStoreError) -> Result
  ) throws(LogStoreError) -> Result
  /// Makes the file's contents durable.
  func synchronize() throws(LogStoreError)
}

extension LogFile {
  /// The whole file. Only for small ones.
  package func readAll() throws(LogStoreError) -> [UInt8] {
    try withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in Array(bytes) }
  }

  package func withContents<Result>(
    _ body: (UnsafeRawBufferPointer) throws(LogStoreError) -> Result
  ) throws(LogStoreError) -> Result {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: try sizeBytes, alignment: 8)
    defer { memory.deallocate() }
    let count = try read(into: memory, at: 0)
    return try body(UnsafeRawBufferPointer(rebasing: memory[..<count]))
  }

  /// Reads into an array; how many bytes there were.
  package func read(_ bytes: inout [UInt8], at offset: Int) throws(LogStoreError) -> Int {
    var result: Result<Int, LogStoreError> = .success(0)
    bytes.withUnsafeMutableBytes { buffer in
      do throws(LogStoreError) { result = .success(try read(into: buffer, at: offset)) } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  /// Writes an array.
  package func write(_ bytes: [UInt8], at offset: Int) throws(LogStoreError) {
    var failure: LogStoreError?
    bytes.withUnsafeBytes { buffer in
      do throws(LogStoreError) { try write(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
