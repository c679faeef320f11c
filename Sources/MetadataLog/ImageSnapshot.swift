import Metadata
import MetadataWire

/// A snapshot of the metadata as bytes: a line that names the format, then the image's parts (image.proto), each preceded by
/// its length (4 bytes, little-endian). The same image always gives the same bytes.
package enum ImageSnapshot {
  /// Names the format and its version.
  static let magic = Array("kunlog metadata image 1\n".utf8)

  /// Why bytes are no snapshot.
  package struct Damaged: Error, Sendable, Equatable, CustomStringConvertible {
    package let reason: String
    package init(reason: String) { self.reason = reason }
    package var description: String { "damaged: \(reason)" }
  }

  /// All of it at once.
  package static func bytes(of image: Image) throws(WireError) -> [UInt8] {
    var writer = Writer(image)
    var bytes: [UInt8] = []
    while let piece = try writer.next() { bytes.append(contentsOf: piece) }
    return bytes
  }

  /// The image that the bytes are.
  package static func image(from bytes: [UInt8]) throws(Damaged) -> Image {
    var reader = Reader()
    try reader.add(bytes)
    return try reader.finish()
  }

  /// Makes a snapshot piece by piece: each well below a megabyte, encoded when it is asked for.
  package struct Writer: Sendable {
    private var encoder: ImageEncoder
    private var isStarted = false

    package init(_ image: Image) { encoder = ImageEncoder(image) }

    /// The next bytes; nil after the last.
    package mutating func next() throws(WireError) -> [UInt8]? {
      guard let part = try encoder.next() else { return nil }
      var bytes = isStarted ? [] : magic
      isStarted = true
      let length = UInt32(part.count)
      for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
      bytes.append(contentsOf: part)
      return bytes
    }
  }

  /// Takes a snapshot's bytes, however they are cut.
  package struct Reader: Sendable {
    private var decoder = ImageDecoder()
    private var rest: [UInt8] = []
    private var isStarted = false

    package init() {}

    /// Takes the next bytes.
    package mutating func add(_ bytes: [UInt8]) throws(Damaged) {
      rest.append(contentsOf: bytes)
      var position = 0
      if !isStarted {
        guard rest.count >= magic.count else { return }
        guard rest.starts(with: magic) else { throw Damaged(reason: "it is no metadata image of this version") }
        isStarted = true
        position = magic.count
      }
      while rest.count - position >= 4 {
        var length = 0
        for offset in 0..<4 { length |= Int(rest[position + offset]) << (8 * offset) }
        guard length <= ImageEncoder.maximumPartBytes else { throw Damaged(reason: "a part of \(length) bytes") }
        guard rest.count - position - 4 >= length else { break }
        position += 4
        do throws(WireError) { try decoder.add(Array(rest[position..<position + length])) } catch {
          throw Damaged(reason: "\(error)")
        }
        position += length
      }
      rest.removeFirst(position)
    }

    /// The image; throws where bytes are missing or left over.
    package mutating func finish() throws(Damaged) -> Image {
      guard let image = decoder.finished else {
        let isShort = !isStarted && !rest.isEmpty && !magic.starts(with: rest)
        throw Damaged(reason: isShort ? "it is no metadata image of this version" : "it ends early")
      }
      guard rest.isEmpty else { throw Damaged(reason: "it goes on after its end") }
      return image
    }
  }
}
