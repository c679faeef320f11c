import EventLoop
import FoundationEssentials
import Glibc
import Metadata

/// Records as lines of JSON, in a file that can be continued, or on standard output.
@LoopActor
final class LineExport: ExportTarget {
  private(set) var last: (index: UInt64, hash: String)?
  private let path: String?
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  /// Where the last whole line that was written ends.
  private var length: off_t = 0
  /// The file was not there before.
  private let isNew: Bool
  private static let bufferBytes = 1 << 20

  /// Standard output.
  init() {
    path = nil
    descriptor = 1
    isNew = false
  }

  /// A file: new, or continued after its last whole line. What follows that is a line that was cut off, and is removed.
  init(path: String) throws {
    self.path = path
    isNew = !FileSystem.exists(path)
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("open", path) }
    guard let line = try lastLine() else { return }
    struct Head: Decodable {
      var index: UInt64
      var hash: String
    }
    guard let head = try? JSONDecoder().decode(Head.self, from: Data(line)) else {
      close(descriptor)
      throw CommandFailure(
        description: "\(path) does not end with a record of a metadata log: it is no export. Name another file.")
    }
    last = (head.index, head.hash)
    guard ftruncate(descriptor, length) == 0 else { throw FileError("cut", path) }
  }

  /// Sets `length`; nil where there is no whole line.
  private func lastLine() throws -> [UInt8]? {
    let size = lseek(descriptor, 0, SEEK_END)
    var start = size
    var tail: [UInt8] = []
    // A line is a record: larger and larger pieces of the end, until it is in one.
    while start > 0 {
      let wanted = min(start, max(65_536, off_t(tail.count)))
      var piece = [UInt8](repeating: 0, count: Int(wanted))
      guard pread(descriptor, &piece, piece.count, start - wanted) == piece.count else {
        throw FileError("read", path!)
      }
      tail = piece + tail
      start -= wanted
      guard let end = tail.lastIndex(of: 10) else { continue }
      let before = tail[..<end].lastIndex(of: 10)
      guard before != nil || start == 0 else { continue }
      length = start + off_t(end) + 1
      return Array(tail[(before.map { $0 + 1 } ?? 0)..<end])
    }
    guard size == 0 else {
      close(descriptor)
      throw CommandFailure(description: "\(path!) holds no line of a metadata log: it is no export. Name another file.")
    }
    return nil
  }

  func add(_ record: Record) throws {
    buffer += Array(RecordJSON.text(record).utf8)
    buffer.append(10)
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  func finish() throws {
    try flush()
    guard let path else { return }
    guard fdatasync(descriptor) == 0 else { throw FileError("sync", path) }
    close(descriptor)
  }

  func abandon() {
    guard let path else { return }
    _ = ftruncate(descriptor, length)
    close(descriptor)
    if isNew, length == 0 { unlink(path) }
  }

  private func flush() throws {
    var done = 0
    while done < buffer.count {
      let count = buffer.withUnsafeBytes { bytes in
        path == nil
          ? write(descriptor, bytes.baseAddress! + done, bytes.count - done)
          : pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, length + off_t(done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError("write", path ?? "standard output") }
      done += count
    }
    length += off_t(buffer.count)
    buffer.removeAll(keepingCapacity: true)
  }
}
