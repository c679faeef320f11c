import EventLoop
import Glibc
import Metadata
import SQLTypes
import SegmentedLog
import StorageEngine
import TabletSQL

/// The engine's directory:
///
///     FORMAT       what wrote it
///     BOOT         the kernel's boot in which the tablets were last open
///     CLEAN        there while closed in order: every tablet is synced
///     RESERVE      space for what is logged already when the disk is full
///     CHECKPOINT   an index up to which every entry is contained, and the node's state as of it
///     tablets/     t<id>.sqlite, with -wal and -shm; .new while it is made
///     restoring/   a snapshot on its way in
///
/// SQLite never syncs, so that after a crash of the machine (not of the process: the kernel keeps what was written) the files
/// may be torn. They are then thrown away, and come back from the shard's snapshot and log.
struct EngineDirectory: Sendable {
  let path: String
  private static let format = "kunlog tablets 1\n"
  private static let checkpointMagic: [UInt8] = Array("KLCHECK1".utf8)

  var tablets: String { "\(path)/tablets" }
  var restoring: String { "\(path)/restoring" }
  private var checkpoint: String { "\(path)/CHECKPOINT" }
  private var clean: String { "\(path)/CLEAN" }

  func tabletPath(_ id: TabletID) -> String { "\(tablets)/\(TabletSchema.tableName(id)).sqlite" }

  /// Makes it ready. Removes tablets that cannot be trusted.
  func prepare() throws(FileError) -> SQLError? {
    try FileSystem.createDirectory(path)
    let formatFile = "\(path)/FORMAT"
    if FileSystem.exists(formatFile) {
      let found = try FileSystem.readText(formatFile)
      guard found == Self.format else {
        return SQLError(
          .configurationLimitExceeded,
          "the directory \(path) was written by another version (\(found.filter { $0 != "\n" }))",
          hint: "Start the version that wrote it, or choose another directory.")
      }
    } else {
      try FileSystem.atomicReplace(formatFile, Array(Self.format.utf8))
    }
    try FileSystem.remove(restoring)
    let bootFile = "\(path)/BOOT"
    let boot = (try? FileSystem.readText("/proc/sys/kernel/random/boot_id")) ?? "unknown"
    let lastBoot = FileSystem.exists(bootFile) ? try FileSystem.readText(bootFile) : boot
    let isSameBoot = lastBoot == boot
    if !isSameBoot, !FileSystem.exists(clean) { try discard() }
    // Not where it says so already: that may be all that a full disk has no space for. Before the mark goes: the two together say
    // whether the files can be trusted.
    if !isSameBoot || !FileSystem.exists(bootFile) { try FileSystem.atomicReplace(bootFile, Array(boot.utf8)) }
    if FileSystem.exists(clean) {
      try FileSystem.remove(clean)
      try FileSystem.syncDirectory(path)
    }
    try FileSystem.createDirectory(tablets)
    return nil
  }

  /// Removes the tablets and the checkpoint.
  func discard() throws(FileError) {
    try FileSystem.remove(checkpoint)
    try FileSystem.remove(tablets)
    try FileSystem.createDirectory(tablets)
  }

  private func adoptRestored() throws(FileError) {
    try FileSystem.remove(checkpoint)
    try FileSystem.remove(tablets)
    try FileSystem.rename(restoring, tablets)
  }

  /// The ids of the tablets that have a file.
  func tabletIDs() throws(FileError) -> [TabletID] {
    try FileSystem.list(tablets).compactMap { name in
      guard name.hasPrefix("t"), name.hasSuffix(".sqlite") else { return nil }
      return UInt64(name.dropFirst().dropLast(7)).map { TabletID(rawValue: $0) }
    }
  }

  /// Makes it ready, and finds what it contains. May be tried again where there was no space.
  func open() -> Result<(EngineState, [TabletID: TabletSummary]), SQLError> {
    do throws(FileError) {
      if let refusal = try prepare() { return .failure(refusal) }
      var state = readCheckpoint()
      var found: [TabletID: TabletSummary] = [:]
      for id in try tabletIDs() {
        switch TabletFile.summary(tabletPath(id), id, isAlone: true) {
        case .tablet(let summary):
          found[id] = summary
        case .unfinished:
          try removeTablet(id)
        case .damaged:
          // Its rows come back by replay from the beginning, or with the shard's snapshot.
          try removeTablet(id)
          state = EngineState(index: 0, nodeState: [])
        case .noSpace(let error): return .failure(error)
        }
      }
      return .success((state, found))
    } catch {
      return .failure(SQLError(error))
    }
  }

  /// Puts what was restored in the place of the tablets; answers what these are.
  func adopt(_ state: EngineState) -> Result<[TabletID: TabletSummary], SQLError> {
    do throws(FileError) {
      try adoptRestored()
      var found: [TabletID: TabletSummary] = [:]
      for id in try tabletIDs() {
        switch TabletFile.summary(tabletPath(id), id, isAlone: true) {
        case .tablet(let summary): found[id] = summary
        case .noSpace(let error): return .failure(error)
        case .unfinished, .damaged:
          return .failure(SQLError(.dataCorrupted, "tablet \(id) of the shard's snapshot is damaged"))
        }
      }
      try writeCheckpoint(state)
      return .success(found)
    } catch {
      return .failure(SQLError(error))
    }
  }

  /// All files of a tablet that there may be.
  func tabletFiles(_ id: TabletID) -> [String] { ["", "-wal", "-shm", ".new"].map { tabletPath(id) + $0 } }

  /// Removes a tablet's files.
  func removeTablet(_ id: TabletID) throws(FileError) {
    for path in tabletFiles(id) { try FileSystem.remove(path) }
  }

  /// Makes a tablet's file, in the place of what may be there. A process that ends meanwhile leaves none under the tablet's name.
  func writeTablet(_ id: TabletID, _ content: [UInt8]) throws(FileError) {
    try removeTablet(id)
    try replace(tabletPath(id), content)
  }

  /// Not synced: it is there as a whole or not at all after the end of the process, not of the machine.
  private func replace(_ path: String, _ content: [UInt8]) throws(FileError) {
    let temporary = path + ".new"
    try FileSystem.write(temporary, content)
    guard Glibc.rename(temporary, path) == 0 else { throw FileError("rename", temporary) }
  }

  /// What the last checkpoint says; nothing where it is missing or torn.
  func readCheckpoint() -> EngineState {
    let nothing = EngineState(index: 0, nodeState: [])
    guard let bytes = try? FileSystem.read(checkpoint), bytes.count >= 20,
      Array(bytes.prefix(8)) == Self.checkpointMagic
    else { return nothing }
    return bytes.withUnsafeBytes { bytes in
      let content = UnsafeRawBufferPointer(rebasing: bytes[12...])
      let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
      guard CRC32C.checksum(content) == checksum else { return nothing }
      let index = UInt64(littleEndian: content.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
      return EngineState(index: index, nodeState: Array(content[8...]))
    }
  }

  /// Replaces the checkpoint. Not synced: it is trusted as far as the tablets are.
  func writeCheckpoint(_ state: EngineState) throws(FileError) {
    var content: [UInt8] = []
    withUnsafeBytes(of: state.index.littleEndian) { content.append(contentsOf: $0) }
    content += state.nodeState
    var bytes = Self.checkpointMagic
    let checksum = content.withUnsafeBytes { CRC32C.checksum($0) }
    withUnsafeBytes(of: checksum.littleEndian) { bytes.append(contentsOf: $0) }
    bytes += content
    try replace(checkpoint, bytes)
  }

  /// Says that everything was closed in order; what it is said of must be closed.
  func markClean() throws(FileError) {
    for id in try tabletIDs() { try FileSystem.syncFile(tabletPath(id)) }
    try FileSystem.syncDirectory(tablets)
    if FileSystem.exists(checkpoint) { try FileSystem.syncFile(checkpoint) }
    try FileSystem.atomicReplace(clean, [])
    try FileSystem.syncDirectory(path)
  }
}

extension SQLError {
  /// A failure of the file system, for the engine's caller.
  init(_ error: FileError) {
    self.init(error.number == ENOSPC ? .diskFull : .ioError, error.description)
  }
}
