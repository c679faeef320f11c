import Metadata
import MetadataLog
import Testing

@Suite struct SnapshotTests {
  private func image() throws -> Image {
    var fixture = try LogFixture()
    for number in 0..<300 {
      try fixture.append(
        .createSequence(
          SequenceDraft(schemaID: WellKnown.publicSchema, name: "s\(number)", ownerID: WellKnown.firstRole)),
        id: RequestID(client: "c", sequence: UInt64(number + 1)))
    }
    try fixture.append(note("a"))
    try fixture.commit()
    return fixture.leader.image
  }

  @Test func anImageSurvivesItsBytesHoweverTheyAreCut() throws {
    let image = try image()
    let bytes = try ImageSnapshot.bytes(of: image)
    #expect(try ImageSnapshot.image(from: bytes) == image)
    for size in [1, 7, 4096] {
      var reader = ImageSnapshot.Reader()
      for start in stride(from: 0, to: bytes.count, by: size) {
        try reader.add(Array(bytes[start..<min(start + size, bytes.count)]))
      }
      #expect(try reader.finish() == image)
    }
  }

  @Test func damagedBytesAreRefusedInWords() throws {
    let bytes = try ImageSnapshot.bytes(of: try image())
    #expect(throws: ImageSnapshot.Damaged(reason: "it ends early")) { try ImageSnapshot.image(from: []) }
    #expect(throws: ImageSnapshot.Damaged(reason: "it ends early")) {
      try ImageSnapshot.image(from: Array(bytes.dropLast()))
    }
    #expect(throws: ImageSnapshot.Damaged(reason: "it goes on after its end")) {
      try ImageSnapshot.image(from: bytes + [1])
    }
    #expect(throws: ImageSnapshot.Damaged(reason: "it is no metadata image of this version")) {
      try ImageSnapshot.image(from: Array("kunlog metadata image 9\n".utf8) + bytes.dropFirst(24))
    }
    var altered = bytes
    altered[bytes.count / 2] ^= 1
    #expect(throws: ImageSnapshot.Damaged.self) { try ImageSnapshot.image(from: altered) }
  }
}
