import EventLoop
import Glibc

/// A tablet's files, held open, so that their space is not free when their names are gone.
struct LargeFiles: Sendable {
  fileprivate let descriptors: [Int32]

  init(_ path: String) {
    descriptors = ["", "-wal"].map { open(path + $0, O_RDWR | O_CLOEXEC) }.filter { $0 >= 0 }
  }
}

/// Frees the space of large files bit by bit: the kernel takes long for all of one at once, and others would wait for the processor
/// meanwhile. A tablet is dropped just when the statements that waited for its move go on elsewhere.
final class FileRemover: Sendable {
  private static let stepBytes: Int64 = 1 << 20
  /// Together: at most some 250 MB/s.
  private static let pauseMicroseconds: UInt32 = 4_000
  private static let lookMicroseconds: UInt32 = 100_000
  /// Who reads a file that has no name any more may take a while.
  private static let patienceLooks = 600

  private let worker = WorkerThread(name: "remover", isBackground: true)

  /// Frees files once nobody else has them open; they have no names any more. What is not done when the process ends the kernel does.
  func free(_ files: LargeFiles) {
    let isTaken = worker.post { for descriptor in files.descriptors { Self.free(descriptor) } }
    if !isTaken { for descriptor in files.descriptors { close(descriptor) } }
  }

  func shutdown() { worker.shutdown() }

  private static func free(_ descriptor: Int32) {
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > stepBytes else { return }
    var looks = 0
    while !isAlone(descriptor) {
      looks += 1
      guard looks < patienceLooks else { return }
      usleep(lookMicroseconds)
    }
    var bytes = Int64(status.st_size)
    while bytes > 0 {
      bytes = max(0, bytes - stepBytes)
      guard ftruncate(descriptor, off_t(bytes)) == 0 else { return }
      usleep(pauseMicroseconds)
    }
  }

  /// Whether nobody else has the file open: only then the kernel gives a lease for writing (fcntl(2), F_SETLEASE).
  private static func isAlone(_ descriptor: Int32) -> Bool {
    let setLease: Int32 = 1024
    guard fcntl(descriptor, setLease, Int32(F_WRLCK)) == 0 else { return false }
    return fcntl(descriptor, setLease, Int32(F_UNLCK)) == 0
  }
}
