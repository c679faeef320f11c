import Glibc

/// Why a data directory cannot be locked.
package enum DirectoryLockError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A process has it open; its number where it can be read.
  case inUse(directory: String, processID: Int32?)
  /// The lock file cannot be made.
  case file(FileError)

  /// In words, with what to do.
  package var description: String {
    switch self {
    case .inUse(let directory, let processID):
      "the data directory \(directory) is in use by \(processID.map { "process \($0)" } ?? "another process"): "
        + "stop it or choose another directory"
    case .file(let error): error.description
    }
  }
}

/// Keeps a data directory to one process, for as long as the lock is alive. The system drops it when the process ends, however
/// it ends.
package final class DirectoryLock: Sendable {
  private let descriptor: Int32

  /// Locks the directory (by `flock` on its file `LOCK`, which also names the process), or tells who has it.
  package init(_ directory: String) throws(DirectoryLockError) {
    let path = "\(directory)/LOCK"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path)) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let failure = FileError("lock", path)
      var text = [UInt8](repeating: 0, count: 16)
      let count = max(0, pread(descriptor, &text, text.count, 0))
      close(descriptor)
      guard failure.number == EWOULDBLOCK else { throw .file(failure) }
      let digits = text[0..<count].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      throw .inUse(directory: directory, processID: Int32(String(decoding: digits, as: UTF8.self)))
    }
    let text = Array("\(getpid())\n".utf8)
    ftruncate(descriptor, 0)
    _ = pwrite(descriptor, text, text.count, 0)
    self.descriptor = descriptor
  }

  deinit {
    // Not by closing alone: a child that is just being forked holds a copy of the descriptor for a moment.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
