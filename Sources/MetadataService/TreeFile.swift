import LogStore
import Metadata
import SegmentedLog

/// The nodes of the record tree in a file, so that a proof need not make them again. It can be made anew from the records, so nothing
/// is synchronized; who reads a proof checks it against the image's tree.
///
/// A head of 4096 bytes names the tree that the file begins after (empty, or a snapshot's). Then, for each record, its leaf and the
/// inner nodes that are complete with it, 44 bytes each: the record's index, the record's hash or the node's, and the CRC-32C of both.
///
/// Unchecked: used by one worker's thread at a time.
final class TreeFile: @unchecked Sendable {
  /// What a record puts into the tree.
  struct Leaf: Sendable, Equatable {
    var index: UInt64
    var hash: RecordHash
  }

  /// Why a node cannot be had from the file.
  enum Failure: Error, CustomStringConvertible {
    /// It belongs to records before those of the file.
    case missing
    case damaged(path: String, offset: Int)
    case disk(LogStoreError)

    var description: String {
      switch self {
      case .missing: "the tree's nodes for records so early are not kept here"
      case .damaged(let path, let offset): "\(path) is damaged at byte \(offset)"
      case .disk(let error): error.description
      }
    }
  }

  static let headBytes = 4096
  static let entryBytes = 44
  private static let magic = Array("kunlog record tree 1\n".utf8)

  let path: String
  private let disk: FileDisk
  private let name: String
  private var file: (any LogFile)?
  /// The tree that the file begins after.
  private(set) var base = RecordTree()
  /// The tree with all that the file holds.
  private(set) var tree = RecordTree()

  init(_ name: String, on disk: FileDisk) {
    self.name = name
    self.disk = disk
    path = disk.path + "/" + name
  }

  /// Goes on after a tree: with what the file holds of it where that is the same, else with nothing before it.
  func reset(to wanted: RecordTree) throws(LogStoreError) {
    if let found = try open(), found.count <= wanted.count {
      base = found
      tree = wanted
      if holds(wanted) { return }
    }
    try begin(after: wanted)
  }

  /// Begins anew, after a tree.
  func begin(after tree: RecordTree) throws(LogStoreError) {
    file = nil
    let created = try disk.create(name, sizeBytes: 0)
    try created.write(Self.head(tree), at: 0)
    file = created
    base = tree
    self.tree = tree
  }

  /// Adds records, the first of them as number `start`. False where they do not follow what the file holds.
  func append(_ leaves: [Leaf], at start: UInt64) throws(LogStoreError) -> Bool {
    if file == nil { try begin(after: tree) }
    guard start == tree.count, let file else { return false }
    let offset = offset(ofEntry: Self.entries(tree.count))
    var bytes: [UInt8] = []
    bytes.reserveCapacity(leaves.count * 2 * Self.entryBytes)
    var grown = tree
    for leaf in leaves {
      Self.add(leaf.index, leaf.hash, to: &bytes)
      grown.append(index: leaf.index, hash: leaf.hash) { Self.add(leaf.index, $0, to: &bytes) }
    }
    try file.write(bytes, at: offset)
    tree = grown
    return true
  }

  /// The record with a number.
  func leaf(_ place: UInt64) throws(Failure) -> Leaf {
    guard place >= base.count, place < tree.count else { throw .missing }
    return try entry(level: 0, place)
  }

  /// The number of a record; nil where the index is none's.
  func place(ofRecord index: UInt64) throws(Failure) -> UInt64? {
    var (low, high) = (base.count, tree.count)
    guard low < high else { throw .missing }
    if base.count > 0, try leaf(low).index > index { throw .missing }
    while low < high {
      let middle = low + (high - low) / 2
      if try leaf(middle).index < index { low = middle + 1 } else { high = middle }
    }
    guard low < tree.count, try leaf(low).index == index else { return nil }
    return low
  }

  /// A node, as `TreeProof` asks for it.
  func node(level: Int, _ place: UInt64) throws(Failure) -> RecordHash {
    let end = (place + 1) << UInt64(level)
    if end <= base.count {
      // Of what is before the file only the peaks are known: others are not needed for later records.
      guard base.count >> UInt64(level) & 1 == 1, place == base.count >> UInt64(level) - 1 else { throw .missing }
      return base.peaks[(base.count >> UInt64(level + 1)).nonzeroBitCount]
    }
    let hash = try entry(level: level, place).hash
    return level == 0 ? RecordHash.leaf(hash) : hash
  }

  /// The root of the tree with so many records.
  func root(count: UInt64) throws(Failure) -> RecordHash {
    try TreeProof.root(0, count) { (level, place) throws(Failure) in try node(level: level, place) }
  }

  // MARK: - The file

  /// How many entries there are for so many records.
  private static func entries(_ count: UInt64) -> UInt64 { 2 * count - UInt64(count.nonzeroBitCount) }

  private func offset(ofEntry entry: UInt64) -> Int {
    Self.headBytes + Int(entry - Self.entries(base.count)) * Self.entryBytes
  }

  private func entry(level: Int, _ place: UInt64) throws(Failure) -> Leaf {
    let last = (place + 1) << UInt64(level) - 1
    let offset = offset(ofEntry: Self.entries(last) + UInt64(level))
    var bytes = [UInt8](repeating: 0, count: Self.entryBytes)
    do throws(LogStoreError) {
      guard let file, try file.read(&bytes, at: offset) == bytes.count else {
        throw LogStoreError.corrupt(path: path, offset: offset, what: "it ends early")
      }
    } catch {
      if case .corrupt = error { throw .damaged(path: path, offset: offset) }
      throw .disk(error)
    }
    guard let found = bytes.withUnsafeBytes(Self.entry) else { throw .damaged(path: path, offset: offset) }
    return found
  }

  /// What the bytes of an entry say; nil where they are damaged.
  static func entry(_ bytes: UnsafeRawBufferPointer) -> Leaf? {
    let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self))
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<40])) == checksum else { return nil }
    return Leaf(
      index: UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self)),
      hash: RecordHash(UnsafeRawBufferPointer(rebasing: bytes[8..<40])) ?? .zero)
  }

  private static func add(_ index: UInt64, _ hash: RecordHash, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: index.littleEndian) { bytes.append(contentsOf: $0) }
    hash.withBytes { bytes.append(contentsOf: $0) }
    let checksum = bytes.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[($0.count - 40)...]))
    }
    withUnsafeBytes(of: checksum.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Whether the file's nodes are those of a tree.
  private func holds(_ wanted: RecordTree) -> Bool {
    var start: UInt64 = 0
    for (number, level) in (0..<64).reversed().filter({ wanted.count >> UInt64($0) & 1 == 1 }).enumerated() {
      guard let node = try? node(level: level, start >> UInt64(level)), node == wanted.peaks[number] else {
        return false
      }
      start += 1 << UInt64(level)
    }
    return base.count == 0 || base.firstIndex == wanted.firstIndex
  }

  private static func head(_ tree: RecordTree) -> [UInt8] {
    var bytes = magic
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 32 - bytes.count))
    for value in [tree.firstIndex, tree.count] {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    for peak in tree.peaks { bytes.append(contentsOf: peak.bytes) }
    bytes.append(contentsOf: [UInt8](repeating: 0, count: headBytes - 4 - bytes.count))
    let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
    withUnsafeBytes(of: checksum.littleEndian) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// Whether there is a file, whole or not.
  var hasFile: Bool { (try? disk.list().contains(name)) ?? false }

  /// The tree that the file begins after, and the file; nil where there is none, or its head is not whole.
  func openForReading() throws(LogStoreError) -> (base: RecordTree, file: any LogFile)? {
    guard let base = try open(), let file else { return nil }
    return (base, file)
  }

  /// Opens the file; the tree that it begins after, nil where there is none or it is not whole.
  private func open() throws(LogStoreError) -> RecordTree? {
    file = nil
    guard try disk.list().contains(name) else { return nil }
    let opened = try disk.open(name)
    var bytes = [UInt8](repeating: 0, count: Self.headBytes)
    guard try opened.read(&bytes, at: 0) == bytes.count, bytes.starts(with: Self.magic) else { return nil }
    func integer(_ offset: Int) -> UInt64 {
      bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }
    let count = integer(40)
    let peaks = (0..<count.nonzeroBitCount).compactMap { RecordHash(Array(bytes[(48 + 32 * $0)..<(80 + 32 * $0)])) }
    guard
      let tree = RecordTree(firstIndex: integer(32), count: count, peaks: peaks, latestTimeMicroseconds: 0),
      Self.head(tree) == bytes
    else { return nil }
    file = opened
    return tree
  }
}
