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
  /// See `Record`.
  package var previousIndex: UInt64
  /// See `Record`.
  package var previousHash: RecordHash

  /// A body that continues the image.
  package init(
    after image: Image, timeMicroseconds: Int64, principal: String, requestID: RequestID?, cause: UInt64?,
    events: [Event]
  ) {
    self.timeMicroseconds = timeMicroseconds
    self.principal = principal
    self.requestID = requestID
    self.cause = cause
    self.events = events
    previousIndex = image.index
    previousHash = image.hash
  }

  /// The bytes that are logged.
  package func encoded() throws(WireError) -> [UInt8] {
    let message = Kunlog_Metadata_V1_RecordBody.with {
      $0.timeMicroseconds = timeMicroseconds
      $0.principal = principal
      if let requestID { $0.requestID = requestID.wire }
      $0.cause = cause ?? 0
      $0.events = events.map(\.wire)
      $0.previousIndex = previousIndex
      $0.previousHash = .init(previousHash.bytes)
    }
    return try bytes(of: message)
  }

  /// From the bytes that were logged.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    let message: Kunlog_Metadata_V1_RecordBody = try decoded(bytes, "record")
    guard !message.events.isEmpty else { throw .malformed("record without events") }
    guard message.previousHash.count == 32 else { throw .malformed("record without its predecessor's hash") }
    timeMicroseconds = message.timeMicroseconds
    principal = message.principal
    requestID = message.hasRequestID ? RequestID(wire: message.requestID) : nil
    cause = message.cause == 0 ? nil : message.cause
    events = try mapped(message.events, Event.init(wire:))
    previousIndex = message.previousIndex
    previousHash = RecordHash(bytes: [UInt8](message.previousHash))
  }
}

extension Record {
  /// The record that these bytes are at a place in the log.
  package init(body bytes: [UInt8], index: UInt64, term: UInt64) throws(WireError) {
    let body = try RecordBody(decoding: bytes)
    self.init(
      index: index, term: term, previousIndex: body.previousIndex, timeMicroseconds: body.timeMicroseconds,
      principal: body.principal, requestID: body.requestID, cause: body.cause, events: body.events,
      previousHash: body.previousHash, hash: RecordHash.of(index: index, term: term, body: bytes))
  }
}

/// A record as it travels: its place, its hash, and the body as it was logged.
extension Kunlog_Metadata_V1_SealedRecord {
  /// Of a record whose logged bytes are at hand.
  package init(_ record: Record, body: [UInt8]) {
    self.init()
    index = record.index
    term = record.term
    hash = .init(record.hash.bytes)
    self.body = .init(body)
  }

  /// The record, once its hash is found to be what its content makes it. Whether it continues the reader's chain is for the
  /// reader to check.
  package func opened() throws(WireError) -> Record {
    let record = try Record(body: [UInt8](body), index: index, term: term)
    guard [UInt8](hash) == record.hash.bytes else {
      throw .corrupt("record \(index): its hash does not match its content")
    }
    return record
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
