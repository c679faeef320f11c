import EventLoop
import Glibc
import SegmentedLog

/// A log's directory in the file system.
package struct FileDisk: LogDisk {
  package let path: String
  /// What the disk took for what it was asked.
  package let statistics = DiskStatistics()
  /// Where archived segments may have moved to.
  private let archive: String?

  /// Uses a directory, which is created where it is missing (its parent must exist).
  /// - Parameter archive: a folder to which archived segments move; they are looked for there too. It may be gone for a while.
  package init(path: String, archive: String? = nil) throws(LogStoreError) {
    self.path = path
    self.archive = archive
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw .io(operation: "create directory", path: path, errno: errno) }
  }

  /// Uses a directory that is there.
  package init(existing path: String, archive: String? = nil) throws(LogStoreError) {
    self.path = path
    self.archive = archive
    guard access(path, R_OK | X_OK) == 0 else { throw .io(operation: "open directory", path: path, errno: errno) }
  }

  private func file(_ name: String) -> String { path + "/" + name }

  package func lock() throws(LogStoreError) -> any Sendable {
    let name = file("lock")
    let descriptor = Glibc.open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .io(operation: "open", path: name, errno: errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      Glibc.close(descriptor)
      if code == EWOULDBLOCK { throw .inUse(path: path) }
      throw .io(operation: "lock", path: name, errno: code)
    }
    return OpenFile(descriptor: descriptor, path: name, statistics: statistics)
  }

  package func list() throws(LogStoreError) -> [String] {
    let folder = ArchivedSegment.directory
    var names = try list(path)
    var archived: Set<String> = []
    if names.contains(folder) { archived.formUnion(try list(file(folder))) }
    if let archive, let elsewhere = try? list(archive) { archived.formUnion(elsewhere) }
    names.removeAll { $0 == folder }
    return names + archived.sorted().map { folder + "/" + $0 }
  }

  private func list(_ path: String) throws(LogStoreError) -> [String] {
    guard let directory = opendir(path) else { throw .io(operation: "list", path: path, errno: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let item = readdir(directory) {
      let name = withUnsafePointer(to: &item.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package func open(_ name: String) throws(LogStoreError) -> any LogFile {
    let descriptor = Glibc.open(file(name), O_RDWR | O_CLOEXEC)
    if descriptor < 0, errno == ENOENT, let elsewhere = moved(name) {
      let descriptor = Glibc.open(elsewhere, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw .io(operation: "open", path: elsewhere, errno: errno) }
      return OpenFile(descriptor: descriptor, path: elsewhere, statistics: statistics)
    }
    guard descriptor >= 0 else { throw .io(operation: "open", path: file(name), errno: errno) }
    return OpenFile(descriptor: descriptor, path: file(name), statistics: statistics)
  }

  /// Where an archived segment may have moved to; nil for other files.
  private func moved(_ name: String) -> String? {
    let prefix = ArchivedSegment.directory + "/"
    guard let archive, name.hasPrefix(prefix) else { return nil }
    return archive + "/" + name.dropFirst(prefix.count)
  }

  package func create(_ name: String, sizeBytes: Int) throws(LogStoreError) -> any LogFile {
    let descriptor = Glibc.open(file(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .io(operation: "create", path: file(name), errno: errno) }
    let created = OpenFile(descriptor: descriptor, path: file(name), statistics: statistics)
    // A file system without this call still works, only slower.
    let code = posix_fallocate(descriptor, 0, off_t(sizeBytes))
    if code != 0, code != EOPNOTSUPP, code != EINVAL {
      // What was reserved so far is given back.
      unlink(file(name))
      throw .io(operation: "reserve \(sizeBytes) bytes for", path: file(name), errno: code)
    }
    if code != 0, ftruncate(descriptor, off_t(sizeBytes)) != 0 {
      throw .io(operation: "extend", path: file(name), errno: errno)
    }
    return created
  }

  package func rename(_ name: String, to newName: String) throws(LogStoreError) {
    if newName.hasPrefix(ArchivedSegment.directory + "/") {
      let directory = file(ArchivedSegment.directory)
      if mkdir(directory, 0o700) != 0, errno != EEXIST {
        throw .io(operation: "create directory", path: directory, errno: errno)
      }
    }
    guard Glibc.rename(file(name), file(newName)) == 0 else {
      throw .io(operation: "rename", path: file(name), errno: errno)
    }
  }

  package func remove(_ name: String) throws(LogStoreError) {
    guard unlink(file(name)) == 0 else { throw .io(operation: "remove", path: file(name), errno: errno) }
  }

  package func synchronizeDirectory() throws(LogStoreError) {
    try synchronize(path)
    if access(file(ArchivedSegment.directory), F_OK) == 0 { try synchronize(file(ArchivedSegment.directory)) }
  }

  private func synchronize(_ path: String) throws(LogStoreError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .io(operation: "open", path: path, errno: errno) }
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .io(operation: "synchronize", path: path, errno: errno) }
  }

  package func replace(_ name: String, with bytes: [UInt8]) throws(LogStoreError) {
    let temporary = name + ".new"
    let created = try create(temporary, sizeBytes: bytes.count)
    try created.write(bytes, at: 0)
    try created.synchronize()
    try rename(temporary, to: name)
    try synchronizeDirectory()
  }
}

/// An open file; closed with its last reference.
final class OpenFile: LogFile {
  private let descriptor: Int32
  private let path: String
  private let statistics: DiskStatistics

  init(descriptor: Int32, path: String, statistics: DiskStatistics) {
    self.descriptor = descriptor
    self.path = path
    self.statistics = statistics
  }

  deinit { Glibc.close(descriptor) }

  var sizeBytes: Int {
    get throws(LogStoreError) {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw .io(operation: "examine", path: path, errno: errno) }
      return Int(status.st_size)
    }
  }

  // In pieces, since the kernel caches each call's bytes in folios as large as the call. A log's end lies in what was filled with
  // zeros before, and each synchronization of a small record looks through all blocks of the folio in which it lies: on ext4
  // (Linux 6.18) a megabyte that was filled at once costs each of them 20 to 40 µs of processor time more than small folios.
  private static let pieceBytes = 64 * 1024

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LogStoreError) {
    var done = 0
    while done < bytes.count {
      let piece = min(bytes.count - done, Self.pieceBytes)
      let count = pwrite(descriptor, bytes.baseAddress! + done, piece, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .io(operation: "write", path: path, errno: count == 0 ? EIO : errno) }
      done += count
    }
    statistics.wrote(bytes.count)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(LogStoreError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .io(operation: "read", path: path, errno: errno) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  // The memory comes from the system and goes back at once: a segment is large, and the allocator would keep what it
  // was given.
  func withContents<Result>(
    _ body: (UnsafeRawBufferPointer) throws(LogStoreError) -> Result
  ) throws(LogStoreError) -> Result {
    let size = try sizeBytes
    guard size > 0 else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else {
      throw .io(operation: "reserve memory for", path: path, errno: errno)
    }
    defer { munmap(address, size) }
    let count = try read(into: UnsafeMutableRawBufferPointer(start: address, count: size), at: 0)
    return try body(UnsafeRawBufferPointer(start: address, count: count))
  }

  func synchronize() throws(LogStoreError) {
    let began = Loop.now
    statistics.beginSync(began)
    let result = fdatasync(descriptor)
    let number = errno
    statistics.endSync(began, Loop.now)
    guard result == 0 else { throw .io(operation: "synchronize", path: path, errno: number) }
  }
}
