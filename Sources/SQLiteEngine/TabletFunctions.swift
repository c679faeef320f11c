import CSQLite
import EventLoop
import SQLTypes
import SQLite
import StorageEngine
import Synchronization

/// PostgreSQL's functions and collations on one connection, and the session that they ask.
///
/// Confined as its connection is.
final class TabletFunctions {
  private let context: SessionContext
  private var session: EngineSession?

  init(_ database: SQLiteDatabase) throws(SQLiteError) {
    var conversion = ConversionContext.standard
    conversion.findTimeZone = { TimeZones.rule(named: $0) }
    context = SessionContext(conversion: conversion)
    try PostgresFunctions.register(on: database, context: context)
  }

  /// What now(), current_user and the like answer from now on.
  func setSession(_ session: EngineSession) {
    guard session != self.session else { return }
    context.conversion.transactionTimestamp = session.transactionTime
    context.statementTimestamp = session.statementTime
    if session.timeZone != self.session?.timeZone {
      context.conversion.timeZone = context.conversion.zone(named: session.timeZone) ?? .utc
    }
    context.user = session.user
    context.sessionUser = session.user
    context.database = session.database
    self.session = session
  }

  /// The error that a function of ours raised in the last call, if one did.
  func functionError(_ handle: OpaquePointer) -> SQLError? {
    guard let text = sqlite3_errmsg(handle) else { return nil }
    return SQLiteError(extendedCode: sqlite3_extended_errcode(handle), message: String(cString: text)).functionError
  }
}

/// The system's time zones, each read once.
private enum TimeZones {
  private static let known = Mutex<[String: TimeZoneRule?]>([:])
  private static let directory = "/usr/share/zoneinfo"

  static func rule(named name: String) -> TimeZoneRule? {
    known.withLock { known in
      if let found = known[name] { return found }
      let rule = read(name)
      // Names come from clients.
      if known.count < 1024 { known[name] = .some(rule) }
      return rule
    }
  }

  private static func read(_ name: String) -> TimeZoneRule? {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    let isPlain = parts.allSatisfy { part in
      part.first?.isLetter == true
        && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_+-".contains($0)) }
    }
    guard isPlain, let bytes = try? FileSystem.read("\(directory)/\(name)") else { return nil }
    return TimeZoneRule(name: name, tzif: bytes)
  }
}
