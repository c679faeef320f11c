import EventLoop
import Glibc
import MetadataLog

/// A backup as a file. Its functions block.
enum BackupFile {
  /// Reads and checks all of it; calls the body with each record.
  /// - Throws: `CommandFailure` that says where the file is damaged.
  @discardableResult
  static func read(
    _ path: String, _ body: (MetadataBackup.SealedRecord) throws -> Void = { _ in }
  ) throws -> MetadataBackup.Contents {
    let file = try BackupReader(path)
    while let record = try file.next() { try body(record) }
    return try file.finish()
  }
}

/// Reads a backup record by record, and checks it on the way.
final class BackupReader {
  private let path: String
  private let descriptor: Int32
  private var reader = MetadataBackup.Reader()
  private var waiting: [MetadataBackup.SealedRecord] = []
  private var position = 0
  private static let pieceBytes = 1 << 20

  init(_ path: String) throws {
    self.path = path
    guard !FileSystem.isDirectory(path) else {
      throw CommandFailure(description: "\(path) is a directory: name the backup's file in it.")
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
  }

  deinit { close(descriptor) }

  /// The next record; nil where there are no more.
  func next() throws -> MetadataBackup.SealedRecord? {
    while position == waiting.count {
      waiting = []
      position = 0
      var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError("read", path) }
      guard count > 0 else { return nil }
      do { try reader.add(Array(piece[..<count])) { waiting.append($0) } } catch { throw failure(error) }
    }
    position += 1
    return waiting[position - 1]
  }

  /// What it holds, once all of it was read.
  func finish() throws -> MetadataBackup.Contents {
    do { return try reader.finish() } catch { throw failure(error) }
  }

  private func failure(_ error: any Error) -> any Error {
    guard let damaged = error as? MetadataBackup.Damaged else { return error }
    return CommandFailure(description: "The backup \(path) is damaged \(damaged). Use another one.")
  }
}
