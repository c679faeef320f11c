import Glibc

/// What the system said about a path.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was attempted, as a verb: `open`, `rename`.
  package let operation: String
  /// The path it was attempted on.
  package let path: String
  /// The system's error number (`ENOENT`, …).
  package let number: Int32

  /// An error; by default with the number that the last system call left.
  package init(_ operation: String, _ path: String, number: Int32 = errno) {
    self.operation = operation
    self.path = path
    self.number = number
  }

  /// In words, with the system's text.
  package var description: String { "cannot \(operation) \(path): \(String(cString: strerror(number)))" }
}

/// Small synchronous file operations. They block: on the loop at start-up only, else on a `WorkerThread`.
package enum FileSystem {
  /// Whether anything exists at the path.
  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether a directory exists at the path.
  package static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Size of the file in bytes.
  package static func size(_ path: String) throws(FileError) -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else { throw FileError("examine", path) }
    return Int(status.st_size)
  }

  /// What is free for this process on the file system that holds the path, and how large that is, in bytes.
  package static func space(_ path: String) throws(FileError) -> (freeBytes: UInt64, totalBytes: UInt64) {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw FileError("examine the file system of", path) }
    let block = UInt64(status.f_frsize)
    return (UInt64(status.f_bavail) * block, UInt64(status.f_blocks) * block)
  }

  /// The whole content.
  package static func read(_ path: String) throws(FileError) -> [UInt8] {
    let descriptor = try openFile(path, O_RDONLY)
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FileError("examine", path) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw FileError("read", path, number: EISDIR) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(status.st_size))
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError("read", path) }
      if count == 0 { return bytes }
      bytes.append(contentsOf: block[0..<count])
    }
  }

  /// The whole content as UTF-8; what is not becomes U+FFFD.
  package static func readText(_ path: String) throws(FileError) -> String {
    String(decoding: try read(path), as: UTF8.self)
  }

  /// Replaces the content. Not atomic, not synced: for what can be made again.
  package static func write(_ path: String, _ bytes: [UInt8], permissions: UInt32 = 0o600) throws(FileError) {
    let descriptor = try openFile(path, O_WRONLY | O_CREAT | O_TRUNC, permissions)
    defer { close(descriptor) }
    try writeAll(descriptor, bytes, path)
  }

  /// Replaces the content by pieces, until there are no more; durable on return. Synced bit by bit, so that what others sync on
  /// the same disk need not wait for all of it.
  package static func write(
    _ path: String, syncedEveryBytes: Int, permissions: UInt32 = 0o600, pieces: () throws -> [UInt8]?
  ) throws {
    let descriptor = try openFile(path, O_WRONLY | O_CREAT | O_TRUNC, permissions)
    defer { close(descriptor) }
    var unsyncedBytes = 0
    while let piece = try pieces() {
      try writeAll(descriptor, piece, path)
      unsyncedBytes += piece.count
      guard unsyncedBytes >= syncedEveryBytes else { continue }
      guard fdatasync(descriptor) == 0 else { throw FileError("sync", path) }
      unsyncedBytes = 0
    }
    guard fsync(descriptor) == 0 else { throw FileError("sync", path) }
  }

  /// Replaces the content such that after a crash the file has the old content or the new one; durable on return.
  package static func atomicReplace(_ path: String, _ bytes: [UInt8], permissions: UInt32 = 0o600) throws(FileError) {
    let temporary = "\(path).new"
    let descriptor = try openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, permissions)
    do throws(FileError) {
      defer { close(descriptor) }
      // A leftover of a crash keeps its mode on opening.
      guard fchmod(descriptor, permissions) == 0 else { throw FileError("change the mode of", temporary) }
      try writeAll(descriptor, bytes, temporary)
      guard fsync(descriptor) == 0 else { throw FileError("sync", temporary) }
    } catch {
      unlink(temporary)
      throw error
    }
    try rename(temporary, path)
  }

  /// Renames, replacing what is at the new path; durable on return where both are in one directory.
  package static func rename(_ path: String, _ newPath: String) throws(FileError) {
    guard Glibc.rename(path, newPath) == 0 else { throw FileError("rename", path) }
    try syncDirectory(parent(newPath))
  }

  /// Makes names that were added to or removed from the directory durable.
  package static func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = try openFile(path, O_RDONLY | O_DIRECTORY)
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw FileError("sync", path) }
  }

  /// Makes the file's content durable.
  package static func syncFile(_ path: String) throws(FileError) {
    let descriptor = try openFile(path, O_RDONLY)
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw FileError("sync", path) }
  }

  /// Creates the directory and the missing ones above it; none of them is an error if it exists.
  package static func createDirectory(_ path: String, permissions: UInt32 = 0o700) throws(FileError) {
    if isDirectory(path) { return }
    let above = parent(path)
    if above != path, !isDirectory(above) { try createDirectory(above, permissions: permissions) }
    guard mkdir(path, permissions) == 0 || (errno == EEXIST && isDirectory(path)) else {
      throw FileError("create the directory", path)
    }
  }

  /// The names in the directory, sorted, without `.` and `..`.
  package static func list(_ path: String) throws(FileError) -> [String] {
    guard let directory = opendir(path) else { throw FileError("list", path) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        guard errno == 0 else { throw FileError("list", path) }
        return names.sorted()
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Removes the file, or the directory with all that it contains. Nothing there is not an error.
  package static func remove(_ path: String) throws(FileError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw FileError("remove", path)
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in try list(path) { try remove("\(path)/\(name)") }
      guard rmdir(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    } else {
      guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    }
  }

  /// The directory that contains the path.
  package static func parent(_ path: String) -> String {
    var trimmed = Substring(path)
    while trimmed.count > 1, trimmed.last == "/" { trimmed = trimmed.dropLast() }
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  private static func openFile(_ path: String, _ flags: Int32, _ permissions: UInt32 = 0) throws(FileError) -> Int32 {
    while true {
      let descriptor = open(path, flags | O_CLOEXEC, permissions)
      if descriptor >= 0 { return descriptor }
      guard errno == EINTR else { throw FileError("open", path) }
    }
  }

  private static func writeAll(_ descriptor: Int32, _ bytes: [UInt8], _ path: String) throws(FileError) {
    var offset = 0
    while offset < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError("write", path) }
      offset += count
    }
  }
}
