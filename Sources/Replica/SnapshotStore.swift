import EventLoop
import Glibc
import Logging
import ProtocolRaft
import Raft
import SegmentedLog
import SwiftProtobuf

/// A snapshot that is in safe keeping.
struct StoredSnapshot: Sendable, Equatable {
  var metadata: SnapshotMetadata
  var path: String
  var sizeBytes: Int
  var checksum: UInt32
}

/// Why a snapshot cannot be kept or read.
struct SnapshotError: Error, Sendable, CustomStringConvertible {
  var description: String
}

/// A replica's snapshots: files `<index>.snapshot`, each described by `<index>.description`, which is written last and so
/// shows that the snapshot is whole. What is coming in is in `<index>.incoming` until it is complete and verified.
///
/// The two latest stay: one may still be read while the next one arrives. File work is done by a thread of its own.
@LoopActor
final class SnapshotStore {
  nonisolated let directory: String
  private var thread: WorkerThread?
  private var kept: [StoredSnapshot] = []
  private var incoming: (offer: SnapshotOffer, receivedBytes: Int)?
  private var temporaries = 0

  nonisolated init(directory: String) { self.directory = directory }

  /// The latest; nil when there is none.
  var latest: StoredSnapshot? { kept.last }

  /// What is kept, oldest first.
  var all: [SnapshotMetadata] { kept.map(\.metadata) }

  /// The files of these.
  var stored: [StoredSnapshot] { kept }

  /// The one at an entry.
  func stored(at index: UInt64) -> StoredSnapshot? { kept.first { $0.metadata.index == index } }

  /// A path for a snapshot that is about to be written.
  var temporaryPath: String {
    temporaries += 1
    return directory + "/new-\(temporaries).temporary"
  }

  private var worker: WorkerThread {
    if let thread { return thread }
    let started = WorkerThread(name: "snapshots")
    thread = started
    return started
  }

  func close() {
    thread?.shutdown()
    thread = nil
  }

  /// Reads the directory; leftovers of writing are removed. Every snapshot's bytes are verified.
  func open() async throws {
    let directory = directory
    kept = try await worker.run { try Self.read(directory) }
    release()
  }

  /// Ends the thread while nothing is to be done: snapshots are rare.
  private func release() {
    thread?.shutdown()
    thread = nil
  }

  /// Takes a written file into safe keeping.
  func adopt(_ path: String, metadata: SnapshotMetadata) async throws {
    let directory = directory
    let stored = try await worker.run { () throws -> StoredSnapshot in
      let (size, checksum) = try Self.measure(path)
      return try Self.keep(
        StoredSnapshot(metadata: metadata, path: path, sizeBytes: size, checksum: checksum), in: directory)
    }
    await add(stored)
  }

  /// Removes a file that is not wanted after all.
  func discard(_ path: String) async {
    _ = try? await worker.run { try FileSystem.remove(path) }
  }

  /// Prepares for a snapshot from the leader; how many of its bytes are here from an earlier attempt.
  func beginIncoming(_ offer: SnapshotOffer) async throws -> Int {
    if let current = incoming, current.offer.metadata == offer.metadata, current.offer.checksum == offer.checksum {
      incoming?.offer = offer
      return current.receivedBytes
    }
    incoming = (offer, 0)
    let directory = directory
    let path = incomingPath(offer)
    try await worker.run {
      for name in try FileSystem.list(directory) where name.hasSuffix(".incoming") {
        try FileSystem.remove(directory + "/" + name)
      }
      try FileSystem.write(path, [])
    }
    return 0
  }

  /// Writes the next bytes; they must follow those before.
  func receive(_ offer: SnapshotOffer, _ bytes: [UInt8], at offset: Int) async throws {
    guard let current = incoming, current.offer == offer else {
      throw SnapshotError(description: "another snapshot is being received")
    }
    guard offset == current.receivedBytes, offset + bytes.count <= offer.sizeBytes else {
      throw SnapshotError(description: "bytes at \(offset) do not follow byte \(current.receivedBytes)")
    }
    let path = incomingPath(offer)
    try await worker.run { try Self.write(bytes, to: path, at: offset) }
    guard let now = incoming, now.offer == offer, now.receivedBytes == offset else {
      throw SnapshotError(description: "another snapshot is being received")
    }
    incoming?.receivedBytes = offset + bytes.count
  }

  /// Verifies what has been received and takes it into safe keeping.
  func finishIncoming(_ offer: SnapshotOffer) async throws {
    guard let current = incoming, current.offer == offer, current.receivedBytes == offer.sizeBytes else {
      throw SnapshotError(description: "the snapshot is not complete")
    }
    incoming = nil
    let directory = directory
    let path = incomingPath(offer)
    let stored = try await worker.run { () throws -> StoredSnapshot in
      let (size, checksum) = try Self.measure(path)
      guard size == offer.sizeBytes, checksum == offer.checksum else {
        try FileSystem.remove(path)
        throw SnapshotError(description: "the snapshot's checksum does not match")
      }
      return try Self.keep(
        StoredSnapshot(metadata: offer.metadata, path: path, sizeBytes: size, checksum: checksum), in: directory)
    }
    await add(stored)
  }

  private func incomingPath(_ offer: SnapshotOffer) -> String { directory + "/\(offer.metadata.index).incoming" }

  private func add(_ stored: StoredSnapshot) async {
    kept.removeAll { $0.metadata.index == stored.metadata.index }
    kept.append(stored)
    kept.sort { $0.metadata.index < $1.metadata.index }
    guard kept.count > 2 else { return }
    let old = kept.removeFirst()
    let directory = directory
    _ = try? await worker.run {
      try FileSystem.remove(directory + "/\(old.metadata.index).description")
      try FileSystem.remove(old.path)
    }
  }

  /// Takes a written file into the safe keeping of a directory that no store has opened. Blocks.
  nonisolated static func keep(_ path: String, _ metadata: SnapshotMetadata, in directory: String) throws {
    let (size, checksum) = try measure(path)
    _ = try keep(StoredSnapshot(metadata: metadata, path: path, sizeBytes: size, checksum: checksum), in: directory)
  }

  // MARK: - On the thread

  private nonisolated static func read(_ directory: String) throws -> [StoredSnapshot] {
    try FileSystem.createDirectory(directory)
    var found: [StoredSnapshot] = []
    let names = try FileSystem.list(directory)
    for name in names {
      if name.hasSuffix(".temporary") || name.hasSuffix(".incoming") {
        try FileSystem.remove(directory + "/" + name)
      } else if name.hasSuffix(".description") {
        let bytes = try FileSystem.read(directory + "/" + name)
        guard let stored = described(bytes, name: name, in: directory),
          let (size, checksum) = try? measure(stored.path), size == stored.sizeBytes, checksum == stored.checksum
        else {
          logger.error("the snapshot that \(directory)/\(name) describes is damaged or missing: it is not used")
          continue
        }
        found.append(stored)
      }
    }
    return found.sorted { $0.metadata.index < $1.metadata.index }
  }

  private nonisolated static let logger = Logger(label: "snapshots")

  /// What a description says; nil where it is not what was written.
  nonisolated static func described(_ bytes: [UInt8], name: String, in directory: String) -> StoredSnapshot? {
    guard let header = try? Kunlog_Raft_V1_SnapshotHeader(serializedBytes: bytes), header.unknownFields.data.isEmpty,
      let configuration = Configuration(encoded: Array(header.configuration)), name == "\(header.index).description"
    else { return nil }
    // Some bits of a number are in no value: the bytes must be those that are written for it.
    guard let written: [UInt8] = try? header.serializedBytes(), written == bytes else { return nil }
    // Those of earlier versions have none.
    if header.hasDescriptionChecksum, header.descriptionChecksum != checksum(of: header) { return nil }
    return StoredSnapshot(
      metadata: SnapshotMetadata(index: header.index, term: header.indexTerm, configuration: configuration),
      path: directory + "/\(header.index).snapshot", sizeBytes: Int(clamping: header.sizeBytes),
      checksum: header.checksum)
  }

  /// Of all of a description but this checksum itself.
  private nonisolated static func checksum(of header: Kunlog_Raft_V1_SnapshotHeader) -> UInt32 {
    var bare = header
    bare.clearDescriptionChecksum()
    let bytes: [UInt8] = (try? bare.serializedBytes()) ?? []
    return bytes.withUnsafeBytes { CRC32C.checksum($0) }
  }

  private nonisolated static func keep(
    _ snapshot: StoredSnapshot, in directory: String
  ) throws -> StoredSnapshot {
    var stored = snapshot
    stored.path = directory + "/\(snapshot.metadata.index).snapshot"
    try FileSystem.syncFile(snapshot.path)
    try FileSystem.rename(snapshot.path, stored.path)
    var header = Kunlog_Raft_V1_SnapshotHeader.with {
      $0.index = snapshot.metadata.index
      $0.indexTerm = snapshot.metadata.term
      $0.configuration = .init(snapshot.metadata.configuration.encoded())
      $0.sizeBytes = UInt64(snapshot.sizeBytes)
      $0.checksum = snapshot.checksum
    }
    header.descriptionChecksum = checksum(of: header)
    let bytes: [UInt8] = try header.serializedBytes()
    try FileSystem.atomicReplace(directory + "/\(snapshot.metadata.index).description", bytes)
    return stored
  }

  nonisolated static func measure(_ path: String) throws -> (sizeBytes: Int, checksum: UInt32) {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
    defer { Glibc.close(descriptor) }
    var sum = CRC32C()
    var size = 0
    var buffer = [UInt8](repeating: 0, count: 256 * 1024)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError("read", path) }
      if count == 0 { return (size, sum.value) }
      buffer.withUnsafeBytes { sum.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      size += count
    }
  }

  private nonisolated static func write(_ bytes: [UInt8], to path: String, at offset: Int) throws {
    let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
    defer { Glibc.close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError("write", path) }
      done += count
    }
  }
}
