/// A growing output of messages; fields are written big-endian, straight to their place.
package struct MessageWriter: Sendable {
  /// What has been written.
  package private(set) var bytes: [UInt8] = []

  /// An empty output.
  package init() {}

  /// Bytes written and not taken.
  package var count: Int { bytes.count }

  /// Takes what has been written and starts anew with as much room.
  package mutating func take() -> [UInt8] {
    let room = min(bytes.count, 1 << 16)
    var taken: [UInt8] = []
    swap(&taken, &bytes)
    bytes.reserveCapacity(room)
    return taken
  }

  /// Drops what was written after a point.
  package mutating func truncate(to count: Int) { bytes.removeSubrange(count...) }

  /// Starts a message; its length is filled in by `endMessage` with the returned place.
  package mutating func beginMessage(_ tag: UInt8) -> Int {
    bytes.append(tag)
    append(Int32(0))
    return bytes.count - 4
  }

  /// Fills in the length of the message begun at `place`.
  package mutating func endMessage(_ place: Int) { patch(Int32(bytes.count - place), at: place) }

  /// One byte.
  package mutating func append(_ byte: UInt8) { bytes.append(byte) }

  /// Two bytes.
  package mutating func append(_ value: Int16) {
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    bytes.append(UInt8(truncatingIfNeeded: value))
  }

  /// Four bytes.
  package mutating func append(_ value: Int32) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  /// Four bytes.
  package mutating func append(_ value: UInt32) { append(Int32(bitPattern: value)) }

  /// A run of bytes.
  package mutating func append(_ run: some Sequence<UInt8>) { bytes.append(contentsOf: run) }

  /// Text with its terminator; a zero byte inside would end it early, so it is left out.
  package mutating func append(terminated text: String) {
    if text.utf8.contains(0) {
      bytes.append(contentsOf: text.utf8.lazy.filter { $0 != 0 })
    } else {
      bytes.append(contentsOf: text.utf8)
    }
    bytes.append(0)
  }

  /// A value with its length before it, written by `body` straight to the output.
  package mutating func appendCounted<Failure: Error>(
    _ body: (inout [UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    let place = bytes.count
    append(Int32(0))
    try body(&bytes)
    patch(Int32(bytes.count - place - 4), at: place)
  }

  /// A value without its length, written by `body` straight to the output.
  package mutating func appendInline<Failure: Error>(
    _ body: (inout [UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    try body(&bytes)
  }

  private mutating func patch(_ value: Int32, at place: Int) {
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.bigEndian, toByteOffset: place, as: Int32.self) }
  }
}
