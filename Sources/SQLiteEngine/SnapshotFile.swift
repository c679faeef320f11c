import EventLoop
import Glibc
import Metadata
import SQLTypes
import SegmentedLog
import StorageEngine
import TabletSQL

/// A snapshot of all tablets in one file:
///
///     magic "KLSNAP01", index (8), length of the node's state (8), number of tablets (8), the node's state,
///     CRC-32C of all that (4)
///     per tablet: id (8), length (8), the SQLite file, CRC-32C of all that (4)
///
/// Numbers are little-endian.
enum SnapshotFile {
  static let magic: [UInt8] = Array("KLSNAP01".utf8)
  private static let chunkBytes = 1 << 20

  /// Writes the parts of a snapshot one after another. Blocks.
  final class Writer {
    private let descriptor: Int32
    private let path: String

    init(_ path: String) throws(FileError) {
      self.path = path
      descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw FileError("create", path) }
    }

    deinit { Glibc.close(descriptor) }

    func writeHeader(_ state: EngineState, tablets: Int) throws(FileError) {
      var bytes = SnapshotFile.magic
      for number in [state.index, UInt64(state.nodeState.count), UInt64(tablets)] { bytes.append(number) }
      bytes += state.nodeState
      bytes.append(bytes.withUnsafeBytes { CRC32C.checksum($0) })
      try write(bytes)
    }

    func append(tablet id: TabletID, file: String) throws(FileError) {
      let source = open(file, O_RDONLY | O_CLOEXEC)
      guard source >= 0 else { throw FileError("open", file) }
      defer { Glibc.close(source) }
      let length = try FileSystem.size(file)
      var checksum = CRC32C()
      var chunk: [UInt8] = []
      chunk.append(id.rawValue)
      chunk.append(UInt64(length))
      var left = length
      while true {
        chunk.withUnsafeBytes { checksum.update($0) }
        try write(chunk)
        guard left > 0 else { break }
        chunk = try SnapshotFile.read(source, min(left, SnapshotFile.chunkBytes), file)
        guard !chunk.isEmpty else { throw FileError("read", file, number: EIO) }
        left -= chunk.count
      }
      var end: [UInt8] = []
      end.append(checksum.value)
      try write(end)
    }

    func finish() throws(FileError) {
      guard fsync(descriptor) == 0 else { throw FileError("sync", path) }
    }

    private func write(_ bytes: [UInt8]) throws(FileError) {
      var offset = 0
      while offset < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw FileError("write", path) }
        offset += count
      }
    }
  }

  /// Why a snapshot cannot be used.
  enum Failure: Error {
    case file(FileError)
    case damaged(String)

    var sqlError: SQLError {
      switch self {
      case .file(let error): SQLError(error)
      case .damaged(let what): SQLError(.dataCorrupted, "the shard's snapshot is damaged: \(what)")
      }
    }
  }

  /// Unpacks a snapshot into a directory, which must be empty. Blocks.
  static func unpack(_ path: String, into directory: EngineDirectory) throws(Failure) -> EngineState {
    do throws(FileError) {
      try FileSystem.remove(directory.restoring)
      try FileSystem.createDirectory(directory.restoring)
    } catch {
      throw .file(error)
    }
    let source = open(path, O_RDONLY | O_CLOEXEC)
    guard source >= 0 else { throw .file(FileError("open", path)) }
    defer { Glibc.close(source) }
    let fixed = try exactly(32, source, path)
    guard Array(fixed.prefix(8)) == magic else { throw .damaged("it does not begin as one") }
    let (index, stateLength, count) = (fixed.number(at: 8), fixed.number(at: 16), fixed.number(at: 24))
    guard stateLength <= 1 << 30, count <= 1 << 32 else { throw .damaged("its header") }
    let state = try exactly(Int(stateLength), source, path)
    var checksum = CRC32C()
    fixed.withUnsafeBytes { checksum.update($0) }
    state.withUnsafeBytes { checksum.update($0) }
    try verify(checksum, source, path, "its header")
    for _ in 0..<count {
      let start = try exactly(16, source, path)
      let id = TabletID(rawValue: start.number(at: 0))
      var checksum = CRC32C()
      start.withUnsafeBytes { checksum.update($0) }
      let target = "\(directory.restoring)/\(TabletSchema.tableName(id)).sqlite"
      try copy(start.number(at: 8), from: source, path, to: target, &checksum)
      try verify(checksum, source, path, "tablet \(id)")
    }
    return EngineState(index: index, nodeState: state)
  }

  private static func copy(
    _ length: UInt64, from source: Int32, _ path: String, to target: String, _ checksum: inout CRC32C
  ) throws(Failure) {
    let descriptor = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("create", target)) }
    defer { Glibc.close(descriptor) }
    var left = length
    while left > 0 {
      let chunk = try exactly(Int(min(left, UInt64(chunkBytes))), source, path)
      chunk.withUnsafeBytes { checksum.update($0) }
      var offset = 0
      while offset < chunk.count {
        let count = chunk.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw .file(FileError("write", target)) }
        offset += count
      }
      left -= UInt64(chunk.count)
    }
  }

  private static func verify(
    _ checksum: CRC32C, _ source: Int32, _ path: String, _ what: String
  ) throws(Failure) {
    let stored = try exactly(4, source, path)
    let value = stored.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
    guard value == checksum.value else { throw .damaged(what) }
  }

  private static func exactly(_ count: Int, _ source: Int32, _ path: String) throws(Failure) -> [UInt8] {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try read(source, count, path) } catch { throw .file(error) }
    guard bytes.count == count else { throw .damaged("it ends early") }
    return bytes
  }

  /// Up to so many bytes; fewer only at the end of the file.
  private static func read(_ source: Int32, _ count: Int, _ path: String) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBytes { Glibc.read(source, $0.baseAddress! + filled, count - filled) }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw FileError("read", path) }
      if got == 0 { break }
      filled += got
    }
    if filled < count { bytes.removeLast(count - filled) }
    return bytes
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  fileprivate func number(at offset: Int) -> UInt64 {
    withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
  }
}
