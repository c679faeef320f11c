import EventLoop
import Glibc
import Metadata
import SQLTypes
import StorageEngine

// What the shard has logged must be applied, sooner or later: an engine whose disk is full uses what it has set aside, and then
// waits until there is space. Nothing is lost and nothing ends; a replica that waits does not lead. It also starts so: to look at
// its tablets takes no space.
extension SQLiteEngine {
  private static let waitMilliseconds = 200
  /// Enough to look at a tablet.
  private static let plentyBytes: UInt64 = 16 << 20

  /// Readies another try after `apply` has failed; returns once there may be space. Throws what is not for want of space.
  ///
  /// What was executed here is then applied by its changes: a full disk may have taken the open SQLite transactions with it. Its
  /// locks stay, so that nobody sees rows without it.
  func awaitSpace(for entries: [EngineEntry], after error: SQLError) async throws(SQLError) {
    try await makeSpace(after: error)
    var touched: Set<TabletID> = []
    for entry in entries {
      switch entry {
      case .commit(_, let changesets, _), .changes(let changesets, _): touched.formUnion(changesets.map(\.tabletID))
      case .schema(let changes, _): touched.formUnion(changes.map(\.tabletID))
      }
    }
    while true {
      guard !isEnding else { throw error }
      if await refresh(touched) { return }
      // It is not for want of space.
      guard let space = try? FileSystem.space(directory.path), space.freeBytes < Self.plentyBytes else { throw error }
      try? await loopSleep(milliseconds: Self.waitMilliseconds)
    }
  }

  /// Does the work, again and again while there is no space for it. What was left half must not be in its way.
  func withSpace<Success: Sendable>(
    _ work: @LoopActor () async -> Result<Success, SQLError>
  ) async throws(SQLError) -> Success {
    while true {
      do throws(SQLError) {
        let done = try await work().get()
        foundSpace()
        return done
      } catch {
        try await makeSpace(after: error)
      }
    }
  }

  /// Uses what was set aside; where that is gone it waits a moment. Throws what is not for want of space.
  private func makeSpace(after error: SQLError) async throws(SQLError) {
    guard !isEnding, error.isForWantOfSpace(at: directory.path) else { throw error }
    guard await !useReserve() else { return }
    if !isFull {
      isFull = true
      onFull?(.waits)
    }
    try? await loopSleep(milliseconds: Self.waitMilliseconds)
  }

  /// False where nothing was set aside.
  @discardableResult
  func useReserve() async -> Bool {
    let directory = directory
    guard await workers.run({ directory.useReserve() }) else { return false }
    onFull?(.usesReserve)
    return true
  }

  /// All is applied again.
  func foundSpace() {
    resumed = []
    guard isFull else { return }
    isFull = false
    onFull?(.hasSpace)
  }

  /// How far tablets have come: some of what failed as a whole may be committed. False: it cannot be read now.
  private func refresh(_ ids: Set<TabletID>) async -> Bool {
    let directory = directory
    let known = ids.filter { tablets[$0] != nil }.sorted()
    let findings = await workers.run {
      known.map { id in (id, TabletFile.summary(directory.tabletPath(id), id)) }
    }
    for (id, finding) in findings {
      switch finding {
      case .tablet(let summary): tablets[id] = summary
      // It had been made already, and is whole: what is missing is space to look at it.
      case .unfinished, .damaged, .noSpace: return false
      }
    }
    return true
  }

  /// Sets space aside again, once there is enough of it.
  func renewReserve() async {
    let directory = directory
    await workers.run { directory.renewReserve() }
  }
}

extension SQLError {
  /// Whether it is for want of space on the path's file system.
  func isForWantOfSpace(at path: String) -> Bool {
    // Where not even a file can be made SQLite does not say why.
    sqlState == .diskFull || sqlState == .ioError && EngineDirectory.isFull(path)
  }
}

extension EngineDirectory {
  /// For what is logged already when the disk is full; among it is what frees space.
  private static let reserveBytes = 16 << 20
  private var reserve: String { "\(path)/RESERVE" }

  /// Whether its file system has next to no space. To read a tablet already takes some.
  var isFull: Bool { Self.isFull(path) }

  /// Below this a file system counts as full.
  private static let fullBytes: UInt64 = 1 << 20

  fileprivate static func isFull(_ path: String) -> Bool {
    (try? FileSystem.space(path)).map { $0.freeBytes < fullBytes } ?? false
  }

  /// Frees what was set aside; false where nothing was.
  func useReserve() -> Bool { unlink(reserve) == 0 }

  /// Sets space aside, unless that would take more than an eighth of what is left. It is of use, not needed: failures are left alone.
  func renewReserve() {
    guard !FileSystem.exists(reserve), let space = try? FileSystem.space(path),
      space.freeBytes >= UInt64(Self.reserveBytes) * 8
    else { return }
    let descriptor = Glibc.open(reserve, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    let code = posix_fallocate(descriptor, 0, off_t(Self.reserveBytes))
    close(descriptor)
    if code != 0 { unlink(reserve) }
  }
}
