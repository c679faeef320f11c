import LogStore
import Metadata
import SegmentedLog

extension TreeFile {
  /// What is wrong with the file, given the tree of the history: up to that, as far as the file goes. Nothing where there is no
  /// file.
  /// - Parameter indexes: of the tree's records, where all are known; else empty.
  func inspect(_ wanted: RecordTree, indexes: [UInt64]) throws(LogStoreError) -> [LogFinding] {
    guard let file = try openForReading() else {
      return hasFile ? [LogFinding(path: path, offset: 0, what: "the record tree's head is not whole")] : []
    }
    let (base, contents) = file
    var findings: [LogFinding] = []
    guard base.count <= wanted.count else { return [] }
    var grown = base
    var buffer = [UInt8](repeating: 0, count: 65_536 * Self.entryBytes)
    var (start, length) = (Self.headBytes, 0)
    var offset = start
    /// The entry at `offset`; nil where the file ends.
    func next() throws(LogStoreError) -> Leaf?? {
      if offset + Self.entryBytes > start + length {
        start = offset
        length = try contents.read(&buffer, at: start)
        if length < Self.entryBytes { return .none }
      }
      defer { offset += Self.entryBytes }
      return .some(
        buffer.withUnsafeBytes {
          Self.entry(UnsafeRawBufferPointer(rebasing: $0[(offset - start)..<(offset - start + Self.entryBytes)]))
        })
    }
    while grown.count < wanted.count, findings.count < 100 {
      guard let found = try next() else { break }
      guard let leaf = found else {
        findings.append(
          LogFinding(path: path, offset: offset - Self.entryBytes, what: "a leaf of the record tree is damaged"))
        break
      }
      if indexes.count == Int(wanted.count), indexes[Int(grown.count)] != leaf.index {
        findings.append(
          LogFinding(
            path: path, offset: offset - Self.entryBytes, index: indexes[Int(grown.count)],
            what: "the record tree has record \(leaf.index) in its place"))
      }
      var nodes: [RecordHash] = []
      grown.append(index: leaf.index, hash: leaf.hash) { nodes.append($0) }
      for node in nodes {
        guard let stored = try next() else { return findings }
        if stored != Leaf(index: leaf.index, hash: node) {
          findings.append(
            LogFinding(
              path: path, offset: offset - Self.entryBytes, index: leaf.index,
              what: "a node of the record tree is damaged"))
        }
      }
    }
    if findings.isEmpty, grown.count == wanted.count, grown.peaks != wanted.peaks {
      findings.append(LogFinding(path: path, offset: 0, what: "the record tree is not that of the records"))
    }
    return findings
  }
}
