import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

/// What a tablet's file says of itself in its administrative table. `TabletMaker` makes it.
enum TabletFile {
  /// What a file turns out to be.
  enum Finding: Sendable {
    case tablet(TabletSummary)
    /// The process ended while it was created.
    case unfinished
    case damaged
    /// It cannot be looked at for want of space.
    case noSpace(SQLError)
  }

  /// Reads what a file says of itself. Blocks.
  ///
  /// - Parameter isAlone: nobody else has the file open. Then a full disk is not in the way.
  static func summary(_ path: String, _ id: TabletID, isAlone: Bool = false) -> Finding {
    do throws(EngineFailure) { return try read(path, id, isAlone: false) } catch {
      guard error.error.isForWantOfSpace(at: path) else { return .damaged }
      if let size = try? FileSystem.size(path), size == 0 { return .unfinished }
      // What connections share is a file, of which there may be none yet; who is alone can do without.
      if isAlone, let finding = try? read(path, id, isAlone: true) { return finding }
      return .noSpace(error.error)
    }
  }

  private static func read(_ path: String, _ id: TabletID, isAlone: Bool) throws(EngineFailure) -> Finding {
    let connection = try TabletConnection(
      path: path, tablet: id, purpose: .reader, hasFunctions: false, isAlone: isAlone)
    defer { connection.close() }
    guard
      try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_kunlog_tablet'") == 1,
      let index = try connection.integer("SELECT applied_index FROM _kunlog_tablet"),
      let generation = try connection.integer("SELECT generation FROM _kunlog_tablet")
    else { return .unfinished }
    var indexes: Set<ObjectID> = []
    let statement = try connection.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
    defer { connection.reset(statement) }
    while sqlite3_step(statement) == SQLITE_ROW {
      if let name = sqlite3_column_text(statement, 0), let id = TabletSchema.indexID(String(cString: name)) {
        indexes.insert(id)
      }
    }
    let refusals = try connection.refusals()
    for case .index(let id) in refusals.keys { indexes.insert(id) }
    return .tablet(
      TabletSummary(
        indexes: indexes, generation: UInt64(generation), appliedIndex: UInt64(index), refusals: refusals))
  }
}

extension TabletConnection {
  /// Within a transaction: the tablet now contains the shard's entries up to here.
  func setAppliedIndex(_ index: UInt64) throws(EngineFailure) {
    try integer("UPDATE main._kunlog_tablet SET applied_index = ?1", Int64(index))
  }
}

// Definitions that SQLite refused: in a table of their own, which exists only where there is one.
extension TabletConnection {
  /// Within a transaction: runs statements, the last of which is only prepared. Where SQLite refuses one for what it says,
  /// which every replica's does alike, nothing of them stays. Throws what has other causes, such as a full disk.
  ///
  /// - Returns: why, where they are refused.
  func attempt(_ statements: [String]) throws(EngineFailure) -> EngineFailure? {
    try run("SAVEPOINT definition")
    do throws(EngineFailure) {
      for statement in statements.dropLast() { try run(statement) }
      if let last = statements.last { _ = try prepare(last) }
      try run("RELEASE definition")
      return nil
    } catch {
      guard error.isRefusal else { throw error }
      try run("ROLLBACK TO definition")
      try run("RELEASE definition")
      return error
    }
  }

  /// Within a transaction: remembers why a definition was refused.
  func note(_ reason: String, _ part: TabletPart) throws(EngineFailure) {
    try run("CREATE TABLE IF NOT EXISTS _kunlog_refusal (part INTEGER PRIMARY KEY, reason TEXT)")
    let text = reason.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
    try run("INSERT OR REPLACE INTO _kunlog_refusal VALUES (\(part.number), '\(text)')")
  }

  /// Within a transaction: what was refused is not wanted any more.
  func forgetRefusal(of part: TabletPart) throws(EngineFailure) {
    guard try hasRefusals() else { return }
    try run("DELETE FROM _kunlog_refusal WHERE part = \(part.number)")
  }

  fileprivate func refusals() throws(EngineFailure) -> [TabletPart: String] {
    guard try hasRefusals() else { return [:] }
    let statement = try prepare("SELECT part, reason FROM _kunlog_refusal")
    defer { reset(statement) }
    var refusals: [TabletPart: String] = [:]
    while sqlite3_step(statement) == SQLITE_ROW {
      let number = UInt32(truncatingIfNeeded: sqlite3_column_int64(statement, 0))
      let part = number == 0 ? TabletPart.table : .index(ObjectID(rawValue: number))
      refusals[part] = sqlite3_column_text(statement, 1).map { String(cString: $0) } ?? ""
    }
    return refusals
  }

  private func hasRefusals() throws(EngineFailure) -> Bool {
    try integer("SELECT count(*) FROM sqlite_schema WHERE name = '_kunlog_refusal'") == 1
  }
}

extension TabletPart {
  /// In the file: the index's, or 0.
  fileprivate var number: UInt32 {
    if case .index(let id) = self { id.rawValue } else { 0 }
  }
}

extension EngineFailure {
  /// Whether the statement was refused for what it says, rather than for the state of disk or memory.
  var isRefusal: Bool {
    switch error.sqlState {
    case .queryCanceled, .diskFull, .outOfMemory, .dataCorrupted, .ioError, .readOnlySQLTransaction, .lockNotAvailable:
      false
    default: true
    }
  }
}
