import Metadata
import MetadataWire

extension MetadataBackup {
  /// A record of a backup, with the bytes that were logged.
  package struct SealedRecord: Sendable {
    package var record: Record
    package var body: [UInt8]
  }

  /// What a whole backup holds.
  package struct Contents: Sendable {
    package var header: Header
    package var image: Image
    package var records: UInt64
    /// The digest that stands for the file.
    package var checksum: [UInt8]
    /// The history is whole, and its fold is the image: nothing but the chain's last hash has to be believed.
    package var isProven: Bool
  }

  /// Takes a backup's bytes, however they are cut, and checks all that can be checked: every frame, the image's own checksum, the
  /// chain of the records up to the image's hash, and, where the history is whole, that its fold is the image.
  package struct Reader: Sendable {
    private var rest: [UInt8] = []
    /// Where `rest` begins in the file.
    private var offset = 0
    private var isStarted = false
    private var digest = [UInt8](repeating: 0, count: RecordHash.lengthBytes)
    private var header: Header?
    private var snapshot: ImageSnapshot.Reader? = ImageSnapshot.Reader()
    private var image: Image?
    private var fold: Image?
    private var last: (index: UInt64, hash: RecordHash)?
    private var records: UInt64 = 0
    private var contents: Contents?

    package init() {}

    /// Takes the next bytes; calls the body with each record in them.
    package mutating func add(
      _ bytes: [UInt8], _ body: (SealedRecord) throws -> Void = { _ in }
    ) throws {
      rest += bytes
      if !isStarted {
        guard rest.count >= magic.count else { return }
        guard rest.starts(with: magic) else {
          throw Damaged(offset: 0, reason: "it is no backup of metadata of this version")
        }
        isStarted = true
        drop(magic.count)
      }
      while rest.count >= 5 {
        let length = integer(at: 1, bytes: 4)
        guard let kind = FrameKind(rawValue: rest[0]), length <= maximumFrameBytes else {
          throw damaged("no part of a backup begins here")
        }
        guard contents == nil else { throw damaged("it goes on after its end") }
        let end = 5 + Int(length)
        guard rest.count >= end + RecordHash.lengthBytes else { return }
        let known = MetadataBackup.digest(digest + rest[0..<5], rest[5..<end])
        guard known[...] == rest[end..<end + RecordHash.lengthBytes] else {
          throw damaged("the checksum of the \(end + RecordHash.lengthBytes) bytes from here does not match")
        }
        digest = known
        try take(kind, Array(rest[5..<end]), body)
        drop(end + RecordHash.lengthBytes)
      }
    }

    /// What it holds; throws where bytes are missing or left over.
    package mutating func finish() throws(Damaged) -> Contents {
      guard let contents else {
        let isOther = !isStarted && !rest.isEmpty && !magic.starts(with: rest)
        throw damaged(
          isOther
            ? "it is no backup of metadata of this version"
            : "it ends early, \(rest.count) bytes into a part: it was cut off")
      }
      guard rest.isEmpty else { throw damaged("it goes on after its end") }
      return contents
    }

    private func damaged(_ reason: String) -> Damaged { Damaged(offset: offset, reason: reason) }

    private mutating func drop(_ count: Int) {
      rest.removeFirst(count)
      offset += count
    }

    private func integer(at position: Int, bytes: Int) -> UInt64 { Self.integer(rest[position..<position + bytes]) }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 {
      bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func take(
      _ kind: FrameKind, _ content: [UInt8], _ body: (SealedRecord) throws -> Void
    ) throws {
      switch kind {
      case .header:
        guard header == nil, let found = Header(bytes: content) else { throw damaged("its header cannot be read") }
        header = found
        if found.historyAfter == 0 { fold = Image() }
      case .image:
        guard header != nil, snapshot != nil else { throw damaged("a piece of the image is not in its place") }
        do throws(ImageSnapshot.Damaged) { try snapshot?.add(content) } catch { throw damaged("the image is \(error)") }
      case .records:
        try endImage()
        try takeRecords(content, body)
      case .end:
        try endImage()
        try end(content)
      }
    }

    private mutating func endImage() throws(Damaged) {
      guard var reader = snapshot else { return }
      guard let header else { throw damaged("its header is missing") }
      let found: Image
      do throws(ImageSnapshot.Damaged) { found = try reader.finish() } catch { throw damaged("the image is \(error)") }
      guard found.index == header.index, found.hash == header.hash, found.clusterID == header.clusterID else {
        throw damaged("the image is another one than the header names")
      }
      image = found
      snapshot = nil
    }

    private mutating func takeRecords(_ content: [UInt8], _ body: (SealedRecord) throws -> Void) throws {
      guard let header, let after = header.historyAfter else { throw damaged("records where the header names none") }
      var position = 0
      while position < content.count {
        guard content.count - position >= 20 else { throw damaged("a record is not whole") }
        let index = Self.integer(content[position..<position + 8])
        let term = Self.integer(content[position + 8..<position + 16])
        let length = Int(Self.integer(content[position + 16..<position + 20]))
        position += 20
        guard content.count - position >= length else { throw damaged("record \(index) is not whole") }
        let bytes = Array(content[position..<position + length])
        position += length
        let record: Record
        do throws(WireError) { record = try Record(body: bytes, index: index, term: term) } catch {
          throw damaged("record \(index): \(error)")
        }
        let before = last?.index ?? after
        guard record.previousIndex == before, index > before, last == nil || record.previousHash == last?.hash else {
          throw damaged("record \(index) does not continue record \(before): the chain is broken")
        }
        last = (index, record.hash)
        records += 1
        fold?.apply(record)
        try body(SealedRecord(record: record, body: bytes))
      }
    }

    private mutating func end(_ content: [UInt8]) throws(Damaged) {
      guard let header, let image else { throw damaged("its image is missing") }
      guard content.count == 8, Self.integer(content[...]) == records else { throw damaged("records are missing") }
      if let after = header.historyAfter {
        guard (last?.index ?? after) == header.index, last == nil || last?.hash == header.hash else {
          throw damaged("the records end with \(last?.index ?? after), the image is that of \(header.index)")
        }
      }
      guard fold == nil || fold == image else {
        throw damaged("the image is not what its own history makes of it")
      }
      contents = Contents(header: header, image: image, records: records, checksum: digest, isProven: fold != nil)
    }
  }
}
