import Metadata
import ProtocolMetadata
import SwiftProtobuf

extension RequestID {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_RequestID {
    .with {
      $0.client = client
      $0.sequence = sequence
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_RequestID) { self.init(client: wire.client, sequence: wire.sequence) }
}

/// What a leader writes of a record: the bytes that every replica logs, and that the chain is made over.
package struct RecordBody: Sendable, Hashable {
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

  /// A body from its parts.
  package init(
    timeMicroseconds: Int64, principal: String, requestID: RequestID?, cause: UInt64?, events: [Event]
  ) {
    self.timeMicroseconds = timeMicroseconds
    self.principal = principal
    self.requestID = requestID
    self.cause = cause
    self.events = events
  }

  /// The bytes that are logged.
  package func encoded() throws(WireError) -> [UInt8] {
    let message = Kunlog_Metadata_V1_RecordBody.with {
      $0.timeMicroseconds = timeMicroseconds
      $0.principal = principal
      if let requestID { $0.requestID = requestID.wire }
      $0.cause = cause ?? 0
      $0.events = events.map(\.wire)
    }
    return try bytes(of: message)
  }

  /// From the bytes that were logged.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    let message: Kunlog_Metadata_V1_RecordBody = try decoded(bytes, "record")
    guard !message.events.isEmpty else { throw .malformed("record without events") }
    self.init(
      timeMicroseconds: message.timeMicroseconds, principal: message.principal,
      requestID: message.hasRequestID ? RequestID(wire: message.requestID) : nil,
      cause: message.cause == 0 ? nil : message.cause, events: try mapped(message.events, Event.init(wire:)))
  }

  /// The record that these bytes are at a place in the log, behind the image's last.
  package static func record(
    _ body: [UInt8], index: UInt64, term: UInt64, after image: Image
  ) throws(WireError) -> Record {
    let content = try RecordBody(decoding: body)
    return Record(
      index: index, term: term, previousIndex: image.index, timeMicroseconds: content.timeMicroseconds,
      principal: content.principal, requestID: content.requestID, cause: content.cause, events: content.events,
      previousHash: image.hash,
      hash: RecordHash.chained(after: image.hash, index: index, term: term, body: body))
  }
}

/// A record as it travels: the place in the chain, and the body as it was logged.
extension Kunlog_Metadata_V1_SealedRecord {
  /// Of a record whose logged bytes are at hand.
  package init(_ record: Record, body: [UInt8]) {
    self.init()
    index = record.index
    term = record.term
    previousIndex = record.previousIndex
    previousHash = .init(record.previousHash.bytes)
    hash = .init(record.hash.bytes)
    self.body = .init(body)
  }

  /// The record, once its hash is found to be what its own fields make it. Whether it continues the reader's chain is for the
  /// reader to check.
  package func opened() throws(WireError) -> Record {
    guard previousHash.count == 32, hash.count == 32 else { throw .malformed("hash of record \(index)") }
    let bytes = [UInt8](body)
    let previous = RecordHash(bytes: [UInt8](previousHash))
    let own = RecordHash(bytes: [UInt8](hash))
    guard RecordHash.chained(after: previous, index: index, term: term, body: bytes) == own else {
      throw .corrupt("record \(index): its hash does not match its content")
    }
    let content = try RecordBody(decoding: bytes)
    return Record(
      index: index, term: term, previousIndex: previousIndex, timeMicroseconds: content.timeMicroseconds,
      principal: content.principal, requestID: content.requestID, cause: content.cause, events: content.events,
      previousHash: previous, hash: own)
  }
}

/// The message's bytes. Encoding fails only for missing required fields, which proto3 does not have, or beyond 2 GB.
func bytes(of message: some Message) throws(WireError) -> [UInt8] {
  do { return try message.serializedBytes() } catch { throw .malformed("message to encode: \(error)") }
}

/// The message that the bytes are.
func decoded<M: Message>(_ bytes: [UInt8], _ what: String) throws(WireError) -> M {
  do { return try M(serializedBytes: bytes) } catch { throw .malformed(what) }
}
