import SQLTypes

/// Cuts a client's bytes into messages, as they come.
///
/// Invariants: what is buffered is bounded by `limits` plus what one `append` adds; a length is refused as soon as it is
/// read, before anything is waited for; every byte is moved at most a constant number of times.
package struct FrontendDecoder: Sendable {
  /// How much a client may send in one message.
  package struct Limits: Sendable, Equatable {
    /// Bytes of a startup packet (PostgreSQL: MAX_STARTUP_PACKET_LENGTH).
    package var startupBytes = 10_000
    /// Bytes of an answer to an authentication request.
    package var authenticationBytes = 65_535
    /// Bytes of a query, of parameters, of COPY data.
    package var messageBytes = 64 << 20

    /// The default limits.
    package init() {}
  }

  /// What kind of message comes next.
  package enum Phase: Sendable, Equatable {
    /// Packets without a tag.
    case startup
    /// Tagged messages, but only small ones: the client is not known yet.
    case authentication
    /// Tagged messages.
    case session
  }

  /// What kind of message comes next; the owner moves it on.
  package var phase = Phase.startup
  private let limits: Limits
  private var buffer: [UInt8] = []
  private var offset = 0

  /// A decoder at the start of a connection.
  package init(limits: Limits = Limits()) { self.limits = limits }

  /// Bytes that no message has used yet.
  package var bufferedBytes: Int { buffer.count - offset }

  /// Adds what has come.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    reclaim()
    buffer.append(contentsOf: bytes)
  }

  /// Adds what has come.
  package mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  /// Forgets what is buffered (the client is being refused).
  package mutating func discard() {
    buffer = []
    offset = 0
  }

  /// Drops used bytes where that costs less than was used: at an empty buffer, or once half of it is used.
  private mutating func reclaim() {
    guard offset > 0 else { return }
    if offset == buffer.count {
      // A burst's room is given back, a usual message's is kept.
      buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 18)
      offset = 0
    } else if offset >= buffer.count - offset {
      buffer.removeSubrange(..<offset)
      offset = 0
    }
  }

  /// The next startup packet, nil while it is incomplete.
  ///
  /// - Throws: 08P01 where the connection cannot go on.
  package mutating func nextStartupPacket() throws(SQLError) -> StartupPacket? {
    assert(phase == .startup)
    guard bufferedBytes >= 4 else { return nil }
    let length = Int(loadUInt32(at: offset))
    guard length >= 8, length <= limits.startupBytes else {
      throw SQLError(.protocolViolation, "invalid length of startup packet")
    }
    guard bufferedBytes >= length else { return nil }
    let body = offset + 4..<offset + length
    offset += length
    return try withBody(body) { (reader: inout MessageReader) throws(SQLError) -> StartupPacket in
      try StartupPacket(&reader)
    }
  }

  /// The next message, nil while it is incomplete.
  ///
  /// - Throws: 08P01 where the boundary of messages is lost and the connection cannot go on.
  package mutating func nextMessage() throws(SQLError) -> FrontendMessage? {
    assert(phase != .startup)
    guard bufferedBytes >= 1 else { return nil }
    let tag = buffer[offset]
    guard FrontendMessage.isTag(tag) else {
      throw SQLError(.protocolViolation, "invalid frontend message type \(tag)")
    }
    guard bufferedBytes >= 5 else { return nil }
    let length = Int(loadUInt32(at: offset + 1))
    guard length >= 4, length <= limit(tag: tag) else {
      throw SQLError(.protocolViolation, "invalid message length")
    }
    guard bufferedBytes >= 1 + length else { return nil }
    let body = offset + 5..<offset + 1 + length
    offset += 1 + length
    do {
      return try withBody(body) { (reader: inout MessageReader) throws(SQLError) -> FrontendMessage in
        try FrontendMessage(tag: tag, &reader)
      }
    } catch {
      return .malformed(tag: tag, error)
    }
  }

  /// Whether the next message is there in full, and is Sync: a hint that the command before it is a pipeline's last.
  package var nextIsSync: Bool {
    bufferedBytes >= 5 && buffer[offset] == FrontendMessage.Tag.sync
  }

  /// Whether a message of COPY data has begun to come.
  package var nextIsCopyData: Bool {
    bufferedBytes >= 1 && buffer[offset] == FrontendMessage.Tag.copyData
  }

  private func limit(tag: UInt8) -> Int {
    if phase == .authentication { return limits.authenticationBytes }
    // Messages that hold only names and numbers are never large (PostgreSQL: PQ_SMALL_MESSAGE_LIMIT).
    return FrontendMessage.isSmall(tag) ? min(10_000, limits.messageBytes) : limits.messageBytes
  }

  private func loadUInt32(at position: Int) -> UInt32 {
    buffer.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt32.self)) }
  }

  private func withBody<Value>(
    _ range: Range<Int>, _ read: (inout MessageReader) throws(SQLError) -> Value
  ) throws(SQLError) -> Value {
    try MessageReader.read(buffer, in: range, read)
  }
}
