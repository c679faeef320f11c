import Metadata
import MetadataLog
import MetadataWire
import Testing

/// Backups as bytes.
@Suite
struct BackupTests {
  /// A log with its records, and a backup of it.
  private func backup(from first: Int? = 0) throws -> (image: Image, records: [Record], bytes: [UInt8]) {
    var fixture = try LogFixture()
    for number in 0..<20 {
      try fixture.append(
        .createSchema(name: "s\(number)", ownerID: WellKnown.firstRole),
        id: RequestID(client: "c", sequence: UInt64(number + 1)))
      try fixture.append(.recordNote(topic: "t", content: [UInt8](repeating: UInt8(number), count: 100)))
    }
    try fixture.commit()
    let image = fixture.leader.image
    let records = try fixture.log.map { try Record(body: $0.body, index: $0.index, term: $0.term) }
    var writer = MetadataBackup.Writer()
    var bytes = writer.begin(
      MetadataBackup.Header(
        clusterID: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), clusterName: "test", index: image.index,
        hash: image.hash, term: 4, historyAfter: first.map { records[$0].previousIndex },
        timeMicroseconds: 1_700_000_000_000_000, principal: "tester"))
    var snapshot = ImageSnapshot.Writer(image)
    while let piece = try snapshot.next() { bytes += writer.image(piece) }
    if let first { for record in records[first...] { bytes += try writer.add(record) ?? [] } }
    bytes += writer.end()
    return (image, records, bytes)
  }

  private func read(_ bytes: [UInt8], pieces: Int = 1 << 20) throws -> (MetadataBackup.Contents, [Record]) {
    var reader = MetadataBackup.Reader()
    var records: [Record] = []
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      try reader.add(Array(bytes[start..<min(start + pieces, bytes.count)])) { records.append($0.record) }
    }
    return (try reader.finish(), records)
  }

  @Test("A backup gives back the image and every record, however it is cut; a whole history proves the image")
  func roundTrip() throws {
    let (image, records, bytes) = try backup()
    for pieces in [1 << 20, 1000, 7] {
      let (contents, found) = try read(bytes, pieces: pieces)
      #expect(contents.image == image)
      #expect(found == records)
      #expect(contents.isProven)
      #expect(contents.header.clusterName == "test")
      #expect(contents.header.term == 4)
      #expect(contents.records == 41)
    }
  }

  @Test("A backup without history, or with its end only, is whole too, but not proven by itself")
  func parts() throws {
    let (image, _, none) = try backup(from: nil)
    let (contents, found) = try read(none)
    #expect(contents.image == image)
    #expect(found.isEmpty && !contents.isProven && contents.header.historyAfter == nil)
    let (_, records, late) = try backup(from: 30)
    let (part, end) = try read(late)
    #expect(end == Array(records[30...]))
    #expect(!part.isProven)
    #expect(part.header.historyAfter == records[29].index)
  }

  @Test("Every flipped bit and every cut is found, and said where")
  func damage() throws {
    let (_, _, bytes) = try backup()
    for position in stride(from: 0, to: bytes.count, by: 13) {
      var damaged = bytes
      damaged[position] ^= UInt8(1 << (position % 8))
      let error = #expect(throws: MetadataBackup.Damaged.self) { try read(damaged) }
      #expect(error.map { $0.offset <= position } ?? false)
    }
    for length in stride(from: 0, to: bytes.count, by: 97) {
      let error = #expect(throws: MetadataBackup.Damaged.self) { try read(Array(bytes[..<length])) }
      #expect(error?.reason.contains("ends early") ?? false, "\(length): \(String(describing: error))")
    }
    #expect(throws: MetadataBackup.Damaged(offset: bytes.count, reason: "it goes on after its end")) {
      try read(bytes + [0])
    }
    #expect(throws: MetadataBackup.Damaged(offset: 0, reason: "it is no backup of metadata of this version")) {
      try read(Array("SQLite format 3 and more of it".utf8))
    }
  }

  @Test("A history that was forged, with frames that are whole, does not pass: the chain and the fold tell")
  func forged() throws {
    var (image, records, _) = try backup()
    func write(_ records: [Record], _ image: Image) throws -> [UInt8] {
      var writer = MetadataBackup.Writer()
      var bytes = writer.begin(
        MetadataBackup.Header(
          clusterID: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), clusterName: "test", index: image.index,
          hash: image.hash, term: 4, historyAfter: 0, timeMicroseconds: 0, principal: ""))
      var snapshot = ImageSnapshot.Writer(image)
      while let piece = try snapshot.next() { bytes += writer.image(piece) }
      for record in records { bytes += try writer.add(record) ?? [] }
      return bytes + writer.end()
    }
    func reason(_ bytes: [UInt8]) -> String? {
      do {
        _ = try read(bytes)
        return nil
      } catch { return (error as? MetadataBackup.Damaged)?.reason }
    }
    // One record is missing.
    let cut = records[..<10] + records[11...]
    #expect(reason(try write(Array(cut), image)) == "record 24 does not continue record 20: the chain is broken")
    #expect(reason(try write(Array(records.dropLast()), image)) == "the records end with 80, the image is that of 82")
    // The image says what no record says.
    image.settings["forged"] = "yes"
    #expect(reason(try write(records, image)) == "the image is not what its own history makes of it")
    records[5].principal = "nobody"
    #expect(throws: WireError.self) { try write(records, image) }
  }
}
