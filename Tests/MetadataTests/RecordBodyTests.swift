import Metadata
import MetadataWire
import ProtocolMetadata
import SwiftProtobuf
import Testing

/// Records are coded by hand: the bytes are those of the generated code.
@Suite struct RecordBodyTests {
  private func generated(_ body: RecordBody) throws -> [UInt8] {
    try Kunlog_Metadata_V1_RecordBody.with {
      $0.timeMicroseconds = body.timeMicroseconds
      $0.principal = body.principal
      if let requestID = body.requestID { $0.requestID = requestID.wire }
      $0.cause = body.cause ?? 0
      $0.events = body.events.map(\.wire)
      $0.previousIndex = body.previousIndex
      $0.previousHash = .init(body.previousHash.bytes)
    }.serializedBytes()
  }

  @Test(arguments: [
    [Event.noteRecorded(topic: "t", content: [])],
    [.noteRecorded(topic: "été", content: [UInt8](repeating: 1, count: 127))],
    [.noteRecorded(topic: "t", content: [UInt8](repeating: 1, count: 20_000)), .featureLevelRaised(7)],
    [
      .settingChanged(name: "a", value: nil), .noteRecorded(topic: "t", content: [0, 255]),
      .replicaRemoved(ShardID(rawValue: 0), NodeID(rawValue: 0)),
    ],
  ])
  func theBytesAreThoseOfTheGeneratedCode(events: [Event]) throws {
    let hash = try #require(RecordHash([UInt8](0..<32)))
    for (time, principal, request, cause) in [
      (Int64(0), "", RequestID?.none, UInt64?.none), (-5, "p", RequestID(client: "", sequence: 0), 1),
      (.max, String(repeating: "ü", count: 70), RequestID(client: "client", sequence: .max), .max),
    ] {
      let body = RecordBody(
        after: 300, hash, timeMicroseconds: time, principal: principal, requestID: request, cause: cause,
        events: events)
      let bytes = try body.encoded()
      #expect(bytes == (try generated(body)))
      #expect(try RecordBody(decoding: bytes) == body)
      for length in 0..<min(bytes.count, 300) {
        #expect(throws: WireError.self) { try RecordBody(decoding: Array(bytes.prefix(length))) }
      }
    }
  }

  @Test func fieldsThatAreNotKnownArePassedOver() throws {
    let body = RecordBody(
      after: 1, .zero, timeMicroseconds: 1, principal: "p", requestID: nil, cause: nil,
      events: [.noteRecorded(topic: "t", content: [1])])
    // Fields 20 (varint), 21 (eight bytes), 22 (bytes), 23 (four bytes).
    let unknown: [UInt8] = [
      160, 1, 5, 169, 1, 0, 0, 0, 0, 0, 0, 0, 0, 178, 1, 2, 9, 9, 189, 1, 0, 0, 0, 0,
    ]
    #expect(try RecordBody(decoding: unknown + body.encoded()) == body)
  }
}
