import SwiftProtobuf

/// A message with gRPC's prefix: a byte that tells whether it is compressed (never), its length in 4 bytes, big-endian. The
/// message is serialized in place behind the prefix.
struct FramedBytes: SwiftProtobufContiguousBytes {
  static let prefixBytes = 5
  /// Prefix and message.
  private(set) var frame: [UInt8]

  init(repeating value: UInt8, count: Int) {
    frame = [UInt8](unsafeUninitializedCapacity: count + Self.prefixBytes) { buffer, initialized in
      buffer[0] = 0
      for index in 0..<4 { buffer[1 + index] = UInt8(truncatingIfNeeded: count >> (24 - 8 * index)) }
      buffer[Self.prefixBytes...].initialize(repeating: value)
      initialized = count + Self.prefixBytes
    }
  }

  init<S: Sequence>(_ sequence: S) where S.Element == UInt8 {
    let bytes = Array(sequence)
    self.init(repeating: 0, count: bytes.count)
    frame.replaceSubrange(Self.prefixBytes..., with: bytes)
  }

  var count: Int { frame.count - Self.prefixBytes }

  func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try frame.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[Self.prefixBytes...])) }
  }

  mutating func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
    try frame.withUnsafeMutableBytes { try body(UnsafeMutableRawBufferPointer(rebasing: $0[Self.prefixBytes...])) }
  }

  /// Serializes a message with its prefix.
  static func encode(_ message: some Message, maximumBytes: Int) throws(RPCError) -> [UInt8] {
    let framed: FramedBytes
    do {
      framed = try message.serializedBytes()
    } catch {
      throw RPCError(.internalError, "cannot serialize the message: \(error)")
    }
    guard framed.count <= maximumBytes else {
      throw RPCError(.resourceExhausted, "message of \(framed.count) bytes exceeds the limit of \(maximumBytes)")
    }
    return framed.frame
  }
}

/// Bytes of somebody else, for the duration of a call.
private struct BorrowedBytes: SwiftProtobufContiguousBytes {
  let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  init(repeating: UInt8, count: Int) { preconditionFailure("only to read from") }

  init<S: Sequence>(_ sequence: S) where S.Element == UInt8 { preconditionFailure("only to read from") }

  var count: Int { bytes.count }

  func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try body(bytes) }

  mutating func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
    preconditionFailure("only to read from")
  }
}

/// Parses a message, without a copy of its bytes.
func decodeMessage<M: Message>(_ type: M.Type, _ bytes: UnsafeRawBufferPointer) throws(RPCError) -> M {
  do {
    return try M(serializedBytes: BorrowedBytes(bytes))
  } catch {
    throw RPCError(.internalError, "the message is not a \(M.protoMessageName): \(error)")
  }
}

/// Cuts the bytes of a stream into messages.
struct MessageDeframer {
  /// The begin of a message whose end has not arrived.
  private var partial: [UInt8] = []

  /// Whether the stream stands between two messages.
  var isAtBoundary: Bool { partial.isEmpty }

  /// Bytes of an incomplete message that it holds.
  var partialBytes: Int { partial.count }

  /// Forgets the incomplete message.
  mutating func reset() { partial = [] }

  /// Takes bytes and calls the body with each message that is complete.
  mutating func receive(
    _ bytes: UnsafeRawBufferPointer, maximumBytes: Int,
    _ body: (UnsafeRawBufferPointer) throws(RPCError) -> Void
  ) throws(RPCError) {
    var rest = bytes
    while !rest.isEmpty {
      guard partial.isEmpty, let length = try Self.length(rest, maximumBytes),
        rest.count >= FramedBytes.prefixBytes + length
      else {
        try complete(&rest, maximumBytes, body)
        continue
      }
      let end = FramedBytes.prefixBytes + length
      try body(UnsafeRawBufferPointer(rebasing: rest[FramedBytes.prefixBytes..<end]))
      rest = UnsafeRawBufferPointer(rebasing: rest[end...])
    }
  }

  /// Adds to the partial message, at most to its end, and hands it over when it is complete.
  private mutating func complete(
    _ rest: inout UnsafeRawBufferPointer, _ maximumBytes: Int,
    _ body: (UnsafeRawBufferPointer) throws(RPCError) -> Void
  ) throws(RPCError) {
    let missingPrefix = max(0, FramedBytes.prefixBytes - partial.count)
    take(&rest, missingPrefix)
    let result = partial.withUnsafeBytes { partial in
      Result { () throws(RPCError) in
        try Self.length(UnsafeRawBufferPointer(rebasing: partial.prefix(FramedBytes.prefixBytes)), maximumBytes)
      }
    }
    guard let length = try result.get() else { return }
    let end = FramedBytes.prefixBytes + length
    // Not any length at once: it is only what the peer claims.
    if partial.count <= FramedBytes.prefixBytes { partial.reserveCapacity(min(end, 1 << 19)) }
    take(&rest, end - partial.count)
    guard partial.count == end else { return }
    let message = partial
    partial = []
    let outcome = message.withUnsafeBytes { message in
      Result { () throws(RPCError) in
        try body(UnsafeRawBufferPointer(rebasing: message[FramedBytes.prefixBytes...]))
      }
    }
    try outcome.get()
  }

  private mutating func take(_ rest: inout UnsafeRawBufferPointer, _ maximum: Int) {
    let count = min(maximum, rest.count)
    partial.append(contentsOf: rest[0..<count])
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
  }

  /// The length that a prefix announces; nil where the prefix is not complete.
  private static func length(_ bytes: UnsafeRawBufferPointer, _ maximumBytes: Int) throws(RPCError) -> Int? {
    guard bytes.count >= FramedBytes.prefixBytes else { return nil }
    guard bytes[0] == 0 else {
      throw RPCError(
        bytes[0] == 1 ? .unimplemented : .internalError, "the message is compressed, which was not agreed on")
    }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= maximumBytes else {
      throw RPCError(.resourceExhausted, "message of \(length) bytes exceeds the limit of \(maximumBytes)")
    }
    return length
  }
}
