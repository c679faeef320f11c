import EventLoop
import Glibc
import Metadata
import SQLTypes
import StorageEngine

// What the shard has logged must be applied, sooner or later: an engine whose disk is full uses what it has set aside, and then
// waits until there is space. Nothing is lost and nothing ends; a replica that waits does not lead.
extension SQLiteEngine {
  private static let waitMilliseconds = 200
  /// Enough to look at a tablet.
  private static let plentyBytes: UInt64 = 16 << 20

  /// Readies another try after `apply` has failed; returns once there may be space. Throws what is not for want of space.
  ///
  /// What was executed here is then applied by its changes: a full disk may have taken the open SQLite transactions with it. Its
  /// locks stay, so that nobody sees rows without it.
  func awaitSpace(for entries: [EngineEntry], after error: SQLError) async throws(SQLError) {
    guard isForWantOfSpace(error) else { throw error }
    var touched: Set<TabletID> = []
    for entry in entries {
      switch entry {
      case .commit(_, let changesets, _), .changes(let changesets, _): touched.formUnion(changesets.map(\.tabletID))
      case .schema(let changes, _): touched.formUnion(changes.map(\.tabletID))
      }
    }
    let directory = directory
    if await workers.run({ directory.useReserve() }) {
      onFull?(.usesReserve)
    } else {
      if !isFull {
        isFull = true
        onFull?(.waits)
      }
      try? await loopSleep(milliseconds: Self.waitMilliseconds)
    }
    while true {
      guard !isEnding else { throw error }
      if await refresh(touched) { return }
      // It is not for want of space.
      guard let space = try? FileSystem.space(directory.path), space.freeBytes < Self.plentyBytes else { throw error }
      try? await loopSleep(milliseconds: Self.waitMilliseconds)
    }
  }

  /// All is applied again.
  func foundSpace() {
    resumed = []
    guard isFull else { return }
    isFull = false
    onFull?(.hasSpace)
  }

  private func isForWantOfSpace(_ error: SQLError) -> Bool {
    if error.sqlState == .diskFull { return true }
    // Where not even a file can be made SQLite does not say why.
    guard error.sqlState == .ioError, let space = try? FileSystem.space(directory.path) else { return false }
    return space.freeBytes < 1 << 20
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
      case .unfinished, .damaged: return false
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

extension EngineDirectory {
  /// For what is logged already when the disk is full; among it is what frees space.
  private static let reserveBytes = 16 << 20
  private var reserve: String { "\(path)/RESERVE" }

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
