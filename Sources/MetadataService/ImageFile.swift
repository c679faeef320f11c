import EventLoop
import Metadata
import MetadataLog

/// A snapshot of the metadata as a file. Its functions block: they are for a worker's thread.
enum ImageFile {
  /// Why a snapshot is not what it should be.
  struct Damaged: Error, CustomStringConvertible {
    let path: String
    let reason: String
    var description: String { "the snapshot \(path) is damaged: \(reason)" }
  }

  static func write(_ image: Image, to path: String) throws {
    var writer = ImageSnapshot.Writer(image)
    try FileSystem.write(path, syncedEveryBytes: 1 << 20) { try writer.next() }
  }

  static func read(_ path: String) throws -> Image {
    let bytes = try FileSystem.read(path)
    do throws(ImageSnapshot.Damaged) { return try ImageSnapshot.image(from: bytes) } catch {
      throw Damaged(path: path, reason: error.reason)
    }
  }
}
