import FoundationEssentials
import ProtocolRaft
import Raft
import Testing

@testable import Replica

@Suite struct EntryBatchTests {
  private static let entries = [
    Entry(index: 8, term: 3, kind: .noOp),
    Entry(index: 9, term: 3, payload: [1, 2, 3]),
    Entry(index: 10, term: 300, payload: [UInt8](repeating: 7, count: 200)),
    Entry(index: 11, term: 0, kind: .configuration, payload: [0]),
  ]

  @Test func theBytesAreTheOnesThatTheProtocolNames() {
    let bytes = [UInt8](EntryBatch.encode(Array(Self.entries[0..<2])))
    #expect(bytes == [0x0a, 4, 0x08, 3, 0x10, 1, 0x0a, 7, 0x08, 3, 0x1a, 3, 1, 2, 3])
    #expect(EntryBatch.encode([]) == Data())
  }

  @Test func generatedCodeReadsThem() throws {
    let batch = try Kunlog_Raft_V1_EntryBatch(serializedBytes: EntryBatch.encode(Self.entries))
    #expect(batch.entries.map(\.term) == [3, 3, 300, 0])
    #expect(batch.entries.map(\.kind) == [.noOp, .command, .command, .configuration])
    #expect(batch.entries.map(\.payload.count) == [0, 3, 200, 1])
    #expect(try [UInt8](batch.serializedBytes() as Data) == [UInt8](EntryBatch.encode(Self.entries)))
  }

  @Test func whatIsReadIsWhatWasWritten() throws {
    #expect(try EntryBatch.decode(EntryBatch.encode(Self.entries), after: 7) == Self.entries)
    #expect(try EntryBatch.decode(Data(), after: 7) == [])
  }

  @Test func fieldsOfALaterVersionArePassedOver() throws {
    let bytes: [UInt8] = [0x12, 2, 9, 9, 0x0a, 6, 0x08, 5, 0x20, 1, 0x1a, 0, 0x19, 1, 2, 3, 4, 5, 6, 7, 8]
    #expect(try EntryBatch.decode(Data(bytes), after: 0) == [Entry(index: 1, term: 5)])
  }

  @Test func bytesThatAreNoEntriesAreRefused() {
    let whole = [UInt8](EntryBatch.encode(Self.entries))
    // Cut anywhere within an entry.
    for count in [1, 2, 5, 7, 9, 100, whole.count - 1] {
      #expect(throws: MalformedMessage.self) { try EntryBatch.decode(Data(whole[..<count]), after: 0) }
    }
    // A length beyond the end, a number without end, an unknown kind, an unknown wire type.
    let broken: [[UInt8]] = [
      [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [UInt8](repeating: 0xff, count: 20),
      [0x0a, 2, 0x10, 9], [0x0a, 1, 0x0b],
    ]
    for bytes in broken {
      #expect(throws: MalformedMessage.self) { try EntryBatch.decode(Data(bytes), after: 0) }
    }
  }

  @Test func entriesThatWereEncodedLastAreNotEncodedAgain() {
    var encoded = EncodedEntries()
    let first = encoded.data(of: Array(Self.entries[0...1]))
    #expect(encoded.data(of: Array(Self.entries[0...1])) == first)
    #expect(encoded.data(of: Array(Self.entries[1...1])) == EntryBatch.encode([Self.entries[1]]))
    // The same places in another leader's log.
    let other = [Entry(index: 9, term: 4, payload: [4])]
    #expect(encoded.data(of: other) == EntryBatch.encode(other))
    #expect(encoded.data(of: []) == Data())
  }
}
