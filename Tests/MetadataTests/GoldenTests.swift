import Foundation
import Metadata
import MetadataWire
import SQLTypes
import Testing

/// Bytes of each kind of event that earlier versions have written: this one reads them as they did, and writes the same.
@Suite struct GoldenTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
  private static let proto = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "proto/kunlog/metadata/v1/event.proto")

  /// The record around an event in its golden file.
  private static func body(_ event: Event) throws -> RecordBody {
    RecordBody(
      after: 1_234, try #require(RecordHash([UInt8](32..<64))), timeMicroseconds: 1_700_000_000_000_000,
      principal: "golden", requestID: RequestID(client: "client/1", sequence: 77), cause: 1_200, events: [event])
  }

  private static func json(_ events: [Event]) throws -> String {
    "[" + (try events.map { try $0.json() }.joined(separator: ",")) + "]"
  }

  private static func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".golden") }.sorted()
  }

  @Test func everyKindHasAGoldenFile() throws {
    if ProcessInfo.processInfo.environment["KUNLOG_WRITE_GOLDEN"] != nil {
      for event in goldenSamples {
        let file = Self.folder.appending(path: event.kind + ".golden")
        guard !FileManager.default.fileExists(atPath: file.path) else { continue }
        let hexadecimal = ByteaText.hexadecimal(try Self.body(event).encoded())
        try Data("\(hexadecimal)\n\(try Self.json([event]))\n".utf8).write(to: file)
      }
    }
    let names = Set(try Self.files().map { String($0.dropLast(".golden".count)) })
    for kind in Event.kinds {
      #expect(names.contains(kind), "\(kind) has no golden file: see Tests/MetadataTests/Golden/README.md")
    }
  }

  @Test func everyGoldenFileIsReadAsItWasMeantAndWrittenAlike() throws {
    for name in try Self.files() {
      let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
      let lines = text.split(separator: "\n").map(String.init)
      #expect(lines.count == 2, "\(name)")
      let bytes = try #require(Self.bytes(lines[0]), "\(name)")
      let body = try RecordBody(decoding: bytes)
      #expect(try Self.json(body.events) == lines[1], "\(name)")
      #expect(try body.encoded() == bytes, "\(name)")
      #expect(body.principal == "golden", "\(name)")
      #expect(body.previousIndex == 1_234, "\(name)")
    }
  }

  /// The kinds that the program lists are those of the protocol, so that none can be left out here.
  @Test func theKindsAreThoseOfTheProtocol() throws {
    let text = try String(contentsOf: Self.proto, encoding: .utf8)
    let union = try #require(text.split(separator: "oneof kind {").dropFirst().first?.split(separator: "\n  }").first)
    let fields = union.matches(of: /\s([a-z_]+) = [0-9]+;/).map { match in
      match.1.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
    #expect(Set(fields) == Set(Event.kinds))
    #expect(fields.count == Event.kinds.count)
  }

  @Test func everySampleIsOfAKindThatIsListed() {
    #expect(Set(goldenSamples.map(\.kind)) == Set(Event.kinds))
  }

  private static func bytes(_ hexadecimal: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = Substring(hexadecimal)
    while rest.count >= 2 {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    return rest.isEmpty ? bytes : nil
  }
}
