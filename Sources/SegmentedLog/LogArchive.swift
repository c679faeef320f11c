import Raft

/// A segment that was dropped from the log and kept for audits: `archive/<first entry>-<last entry>-<number>.log`.
/// The names are the index.
package struct ArchivedSegment: Sendable, Hashable {
  /// The first entry in it that counts.
  package var firstIndex: UInt64
  /// The last entry in it that counts.
  package var lastIndex: UInt64
  /// The number that the segment had.
  package var number: UInt64

  /// The directory's name.
  package static let directory = "archive"
  static let prefix = directory + "/"

  /// The file's name within the log's directory.
  package var name: String {
    Self.prefix + Self.padded(firstIndex, 20) + "-" + Self.padded(lastIndex, 20) + "-" + Self.padded(number, 10)
      + ".log"
  }

  init(firstIndex: UInt64, lastIndex: UInt64, number: UInt64) {
    (self.firstIndex, self.lastIndex, self.number) = (firstIndex, lastIndex, number)
  }

  /// From a file's name within the log's directory; nil where it is none's.
  package init?(name: String) {
    guard name.hasPrefix(Self.prefix), name.hasSuffix(".log") else { return nil }
    let parts = name.dropFirst(Self.prefix.count).dropLast(4).split(separator: "-").map { UInt64($0) }
    guard parts.count == 3, let first = parts[0], let last = parts[1], let number = parts[2], first <= last else {
      return nil
    }
    self.init(firstIndex: first, lastIndex: last, number: number)
  }

  private static func padded(_ value: UInt64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Where the segment's entries lie in its file.
  package func positions(
    in file: any LogFile, identity: LogIdentity, directory: String
  ) throws(LogStoreError) -> EntryPositions {
    let codec = RecordCodec(identity: identity, segment: number)
    var positions = EntryPositions()
    try file.withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
      var offset = 0
      while let found = codec.decode(bytes, at: offset) {
        if case .entry(let entry) = found.record {
          positions.append(
            index: entry.index, segment: number, offset: UInt32(offset), endOffset: found.endOffset)
        }
        offset = found.endOffset
      }
    }
    positions.truncate(from: lastIndex + 1)
    guard positions.runs.last?.lastIndex == lastIndex else {
      throw .corrupt(
        path: directory + "/" + name, offset: positions.runs.last?.endOffset ?? 0,
        what: "an archived entry is not whole")
    }
    return positions
  }
}

/// The segments of a log that are kept although the log begins after them, oldest first.
package struct LogArchive: Sendable, Equatable {
  /// The segments.
  package private(set) var segments: [ArchivedSegment] = []

  /// Nothing.
  package init() {}

  init(names: [String]) {
    segments = names.compactMap(ArchivedSegment.init(name:)).sorted { $0.firstIndex < $1.firstIndex }
  }

  /// The one that holds an entry; nil when it is not archived.
  package func segment(holding index: UInt64) -> ArchivedSegment? {
    segments.first { $0.firstIndex <= index && index <= $0.lastIndex }
  }

  mutating func append(_ segment: ArchivedSegment) { segments.append(segment) }

  /// Takes up segments that were found, and forgets those that were removed.
  package mutating func merge(_ found: [ArchivedSegment], without removed: [ArchivedSegment]) {
    let known = Set(segments)
    let new = found.filter { !known.contains($0) }
    guard !new.isEmpty || !removed.isEmpty else { return }
    let gone = Set(removed)
    segments = (segments + new).filter { !gone.contains($0) }.sorted { $0.firstIndex < $1.firstIndex }
  }

  mutating func removeFirst() -> ArchivedSegment { segments.removeFirst() }
}
