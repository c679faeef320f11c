import EventLoop
import Glibc

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

  /// Removes files at once, and frees their space once nobody else has them open. What is not done when the process ends the kernel
  /// does. Nothing at a path is not an error.
  func remove(_ paths: [String]) throws(FileError) {
    for path in paths {
      // Held, so that its space is not free when its name is gone.
      let descriptor = open(path, O_RDWR | O_CLOEXEC)
      do throws(FileError) { try FileSystem.remove(path) } catch {
        if descriptor >= 0 { close(descriptor) }
        throw error
      }
      guard descriptor >= 0 else { continue }
      if !worker.post({ Self.free(descriptor) }) { close(descriptor) }
    }
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
