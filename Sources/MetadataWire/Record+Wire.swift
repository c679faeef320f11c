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

extension Record {
  /// The record that these bytes are at a place in the log.
  package init(body bytes: [UInt8], index: UInt64, term: UInt64) throws(WireError) {
    self.init(
      try RecordBody(decoding: bytes), index: index, term: term,
      hash: RecordHash.of(index: index, term: term, body: bytes))
  }

  /// The record with this body, whose hash is known.
  package init(_ body: RecordBody, index: UInt64, term: UInt64, hash: RecordHash) {
    self.init(
      index: index, term: term, previousIndex: body.previousIndex, timeMicroseconds: body.timeMicroseconds,
      principal: body.principal, requestID: body.requestID, cause: body.cause, events: body.events,
      previousHash: body.previousHash, hash: hash)
  }
}

/// A record as it travels: its place, its hash, and the body as it was logged.
extension Kunlog_Metadata_V1_SealedRecord {
  /// Of the bytes that were logged.
  package init(index: UInt64, term: UInt64, hash: RecordHash, body: [UInt8]) {
    self.init()
    self.index = index
    self.term = term
    self.hash = hash.withBytes { .init($0) }
    self.body = .init(body)
  }

  /// The record, once its hash is found to be what its content makes it. Whether it continues the reader's chain is for the
  /// reader to check.
  package func opened() throws(WireError) -> Record {
    let record = try Record(body: [UInt8](body), index: index, term: term)
    guard hash.elementsEqual(record.hash.bytes) else {
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
