import EventLoop
import Metadata
import MetadataWire

/// A snapshot of the metadata: the image's parts (image.proto), each preceded by its length.
enum ImageFile {
  /// Names the format and its version.
  private static let magic = Array("kunlog metadata image 1\n".utf8)

  /// Why a snapshot is not what it should be.
  struct Damaged: Error, CustomStringConvertible {
    let path: String
    let reason: String
    var description: String { "the snapshot \(path) is damaged: \(reason)" }
  }

  /// Blocks: to be called on a worker's thread.
  static func write(_ image: Image, to path: String) throws {
    var bytes = magic
    for part in try ImageEncoder.parts(of: image) {
      let length = UInt32(part.count)
      for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
      bytes.append(contentsOf: part)
    }
    try FileSystem.write(path, bytes)
    try FileSystem.syncFile(path)
  }

  /// Blocks: to be called on a worker's thread.
  static func read(_ path: String) throws -> Image {
    let bytes = try FileSystem.read(path)
    guard bytes.starts(with: magic) else {
      throw Damaged(path: path, reason: "it is no metadata image of this version")
    }
    var decoder = ImageDecoder()
    var position = magic.count
    while decoder.finished == nil {
      guard bytes.count - position >= 4 else { throw Damaged(path: path, reason: "it ends early") }
      var length = 0
      for offset in 0..<4 { length |= Int(bytes[position + offset]) << (8 * offset) }
      position += 4
      guard bytes.count - position >= length else { throw Damaged(path: path, reason: "it ends early") }
      do { try decoder.add(Array(bytes[position..<position + length])) } catch {
        throw Damaged(path: path, reason: "\(error)")
      }
      position += length
    }
    guard let image = decoder.finished, position == bytes.count else {
      throw Damaged(path: path, reason: "it goes on after its end")
    }
    return image
  }
}
