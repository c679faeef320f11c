import Metadata
import ProtocolMetadata

/// What a leader writes of a record: the bytes that every replica logs, and that the chain is made over (`RecordBody` in
/// record.proto). Every replica reads every record, so they are coded by hand, as are the events that come in numbers.
package struct RecordBody: Sendable, Hashable {
  /// `events` in record.proto.
  private static let eventsField: UInt64 = 5
  /// See `Record`.
  package var timeMicroseconds: Int64
  /// See `Record`.
  package var principal: String
  /// See `Record`.
  package var requestID: RequestID?
  /// See `Record`.
  package var cause: UInt64?
  /// See `Record`.
  package var events: [Event]
  /// See `Record`.
  package var previousIndex: UInt64
  /// See `Record`.
  package var previousHash: RecordHash

  /// A body that continues the record at the index with the hash.
  package init(
    after previousIndex: UInt64, _ previousHash: RecordHash, timeMicroseconds: Int64, principal: String,
    requestID: RequestID?, cause: UInt64?, events: [Event]
  ) {
    self.timeMicroseconds = timeMicroseconds
    self.principal = principal
    self.requestID = requestID
    self.cause = cause
    self.events = events
    self.previousIndex = previousIndex
    self.previousHash = previousHash
  }

  /// The bytes that are logged.
  package func encoded() throws(WireError) -> [UInt8] {
    var writer = WireWriter(capacity: 160 + events.reduce(0) { $0 + $1.likelySizeBytes })
    writer.integer(1, UInt64(bitPattern: timeMicroseconds))
    writer.string(2, principal)
    if let requestID {
      let size =
        WireWriter.size(1, lengthBytes: requestID.client.utf8.count) + WireWriter.size(2, requestID.sequence)
      writer.begin(3, lengthBytes: size)
      writer.string(1, requestID.client)
      writer.integer(2, requestID.sequence)
    }
    writer.integer(4, cause ?? 0)
    for event in events { try event.write(RecordBody.eventsField, to: &writer) }
    writer.integer(6, previousIndex)
    writer.begin(7, lengthBytes: RecordHash.lengthBytes)
    previousHash.withBytes { writer.append($0) }
    return writer.bytes
  }

  /// From the bytes that were logged.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    let result: Result<RecordBody, WireError> = bytes.withUnsafeBytes { buffer in
      do throws(WireError) { return .success(try RecordBody(reading: buffer)) } catch { return .failure(error) }
    }
    self = try result.get()
  }

  private init(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(
      after: 0, .zero, timeMicroseconds: 0, principal: "", requestID: nil, cause: nil, events: [])
    var reader = WireReader(bytes, "record")
    var hasHash = false
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): timeMicroseconds = Int64(bitPattern: try reader.varint())
      case (2, .bytes): principal = try reader.string()
      case (3, .bytes): requestID = try RequestID(reading: try reader.slice())
      case (4, .varint):
        let index = try reader.varint()
        cause = index == 0 ? nil : index
      case (5, .bytes): events.append(try Event(reading: try reader.slice()))
      case (6, .varint): previousIndex = try reader.varint()
      case (7, .bytes):
        guard let hash = RecordHash(try reader.slice()) else { throw .malformed("record: its predecessor's hash") }
        previousHash = hash
        hasHash = true
      default: try reader.skip(kind)
      }
    }
    guard !events.isEmpty else { throw .malformed("record without events") }
    guard hasHash else { throw .malformed("record without its predecessor's hash") }
  }
}

extension RequestID {
  fileprivate init(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(client: "", sequence: 0)
    var reader = WireReader(bytes, "request id")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .bytes): client = try reader.string()
      case (2, .varint): sequence = try reader.varint()
      default: try reader.skip(kind)
      }
    }
  }
}

extension Event {
  /// `note_recorded` in event.proto.
  private static let noteField: UInt64 = 100

  fileprivate var likelySizeBytes: Int {
    if case .noteRecorded(let topic, let content) = self { topic.utf8.count + content.count + 24 } else { 128 }
  }

  /// Writes the event as a member of a message.
  func write(_ field: UInt64, to writer: inout WireWriter) throws(WireError) {
    if writeCatalog(field, to: &writer) { return }
    guard case .noteRecorded(let topic, let content) = self else {
      return writer.message(field, try bytes(of: wire))
    }
    let note =
      WireWriter.size(1, lengthBytes: topic.utf8.count) + WireWriter.size(2, lengthBytes: content.count)
    writer.begin(
      field, lengthBytes: WireWriter.size(of: Event.noteField << 3) + WireWriter.size(of: UInt64(note)) + note)
    writer.begin(Event.noteField, lengthBytes: note)
    writer.string(1, topic)
    writer.array(2, content)
  }

  /// Reads the event, whose bytes these are.
  init(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes, "event")
    if let (number, kind) = try reader.field(), kind == .bytes {
      let member = try reader.slice()
      // Nothing else beside it: otherwise the generated code knows which member of the union stands.
      if reader.isAtEnd, let event = try Event.byHand(number, member), event.featureLevel <= FeatureLevel.current {
        self = event
        return
      }
    }
    self = try Event(wire: try decoded(Array(bytes), "event"))
  }

  private static func byHand(_ member: UInt64, _ bytes: UnsafeRawBufferPointer) throws(WireError) -> Event? {
    member == noteField ? try note(reading: bytes) : try catalog(member, bytes)
  }

  private static func note(reading bytes: UnsafeRawBufferPointer) throws(WireError) -> Event {
    var topic = ""
    var content: [UInt8] = []
    var reader = WireReader(bytes, "note")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .bytes): topic = try reader.string()
      case (2, .bytes): content = try reader.array()
      default: try reader.skip(kind)
      }
    }
    return .noteRecorded(topic: topic, content: content)
  }
}
