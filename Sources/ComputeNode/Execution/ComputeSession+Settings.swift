import EventLoop
import PostgresWire
import SQLTree
import SQLTypes

extension ComputeSession {
  /// SET, RESET, SHOW, SET TRANSACTION and DISCARD.
  func runSetting(_ tree: Statement, _ scope: StatementScope) async throws(SQLError) -> StatementResult {
    switch tree {
    case .set(let name, let values, let isLocal): return try set(name, values, isLocal: isLocal)
    case .reset(let name):
      _ = try set(name, [], isLocal: false)
      return .command(tag: "RESET")
    case .setTransaction(let options, let isSession): return try setTransaction(options, isSession: isSession)
    case .resetAll:
      settings.resetAll(isInTransaction: transaction != nil)
      reportAllSettings()
      return .command(tag: "RESET")
    case .show(let name): return .rows(try show(name, scope))
    case .discard(let target): return try discard(target)
    default: throw SQLError(.internalError, "not a setting")
    }
  }

  private func set(_ name: String, _ values: [Expression], isLocal: Bool) throws(SQLError) -> StatementResult {
    if isLocal, transaction?.isBlock != true {
      report(.warning(.noActiveSQLTransaction, "SET LOCAL can only be used in transaction blocks"))
    }
    switch name {
    case "role", "session_authorization":
      // To one's own role: what pools and dumps do.
      let target = values.isEmpty ? user : try text(values, name)
      guard target == user || target == "none" || target == "default" else {
        throw SQLError(.featureNotSupported, "SET ROLE and SET SESSION AUTHORIZATION to another role are not supported")
      }
      return .command(tag: "SET")
    case "transaction_isolation", "transaction_read_only":
      guard !values.isEmpty else { return .command(tag: "SET") }
      let value = try text(values, name)
      let option: DefinitionOption.Value =
        name == "transaction_isolation"
        ? .string(value) : .integer(SettingDefinition.boolean(value) == true ? 1 : 0)
      return try setTransaction([DefinitionOption(name: name, value: option)], isSession: false)
    case "default_transaction_isolation" where !values.isEmpty:
      _ = try Self.isRepeatableRead(text(values, name))
    default: break
    }
    try change(name, to: values.isEmpty ? nil : text(values, name), isLocal: isLocal)
    return .command(tag: "SET")
  }

  /// Changes a setting (nil: to its default) and tells the client where it is a reported one.
  func change(_ name: String, to value: String?, isLocal: Bool) throws(SQLError) {
    let isInTransaction = transaction != nil
    let reported: String
    if let value {
      reported = try settings.set(name, to: value, isLocal: isLocal, isInTransaction: isInTransaction)
    } else {
      reported = try settings.reset(name, isInTransaction: isInTransaction)
    }
    if ReportedSettings.names.contains(reported) {
      client?.reportSetting(name: reported, value: settings.known(reported))
    }
  }

  /// The value of SET as text: several are a list; names in it are quoted where they need it.
  private func text(_ values: [Expression], _ name: String) throws(SQLError) -> String {
    var words: [String] = []
    for value in values {
      switch value {
      case .constant(.string(let text), location: _):
        words.append(values.count > 1 || name == "search_path" ? Self.listItem(text) : text)
      case .constant(.integer(let number), location: _): words.append(String(number))
      case .constant(.decimal(let number), location: _): words.append(number)
      case .constant(.boolean(let flag), location: _): words.append(flag ? "true" : "false")
      case .cast(.constant(.string(let text), location: _), _, location: _): words.append(text)
      default: throw SQLError(.featureNotSupported, "this form of SET \(name) is not supported")
      }
    }
    return words.joined(separator: ", ")
  }

  /// A name in a list: in quotes unless it is plain lower case.
  private static func listItem(_ name: String) -> String {
    let isPlain =
      !name.isEmpty && name.utf8.allSatisfy { (97...122).contains($0) || $0 == 95 || (48...57).contains($0) }
    return isPlain
      ? name : "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  private func setTransaction(_ options: [DefinitionOption], isSession: Bool) throws(SQLError) -> StatementResult {
    if isSession {
      for option in options {
        switch (option.name, option.value) {
        case ("transaction_isolation", .string(let level)):
          _ = try Self.isRepeatableRead(level)
          try change("default_transaction_isolation", to: level, isLocal: false)
        case ("transaction_read_only", .integer(let flag)):
          try change("default_transaction_read_only", to: flag != 0 ? "on" : "off", isLocal: false)
        default: break
        }
      }
      return .command(tag: "SET")
    }
    guard let transaction, transaction.isBlock else {
      report(.warning(.noActiveSQLTransaction, "SET TRANSACTION can only be used in transaction blocks"))
      return .command(tag: "SET")
    }
    try apply(options, to: transaction)
    return .command(tag: "SET")
  }

  /// The columns of SHOW.
  func showColumns(_ name: String) throws(SQLError) -> [ResultColumn] {
    if name.lowercased() == "all" {
      return ["name", "setting", "description"].map { ResultColumn(name: $0, type: .text) }
    }
    let definition = try SessionSettings.definition(name)
    return [ResultColumn(name: definition.name, type: .text)]
  }

  private func show(_ name: String, _ scope: StatementScope) throws(SQLError) -> any RowSource {
    let columns = try showColumns(name)
    var batch = RowBatch(columnCount: columns.count)
    if name.lowercased() == "all" {
      for key in SettingTable.names {
        guard let definition = SettingTable.definitions[key] else { continue }
        batch.append([.text(definition.name), .text(shownValue(key) ?? ""), .text(definition.summary)])
      }
    } else {
      guard let value = shownValue(name) else {
        throw SQLError(.undefinedObject, "unrecognized configuration parameter \"\(name)\"")
      }
      batch.append([.text(value)])
    }
    return rows(columns, StaticSource(batch), scope) { _ in "SHOW" }
  }

  /// The value as SHOW and current_setting answer it; nil where there is no such setting.
  func shownValue(_ name: String) -> String? {
    switch name.lowercased() {
    case "transaction_isolation":
      guard let transaction else { return settings.known("default_transaction_isolation") }
      return transaction.isRepeatableRead ? "repeatable read" : "read committed"
    case "transaction_read_only":
      guard let transaction else { return settings.known("default_transaction_read_only") }
      return transaction.isReadOnly ? "on" : "off"
    case "role": return "none"
    default: return settings.value(name)
    }
  }

  private func discard(_ target: String) throws(SQLError) -> StatementResult {
    switch target {
    case "all":
      if transaction?.isBlock == true {
        throw SQLError(.activeSQLTransaction, "DISCARD ALL cannot run inside a transaction block")
      }
      settings.resetAll(isInTransaction: false)
      prepared = [:]
      _ = client?.deallocatePreparedStatement(named: nil)
      forgetSequences()
      reportAllSettings()
      return .command(tag: "DISCARD ALL")
    case "sequences":
      forgetSequences()
      return .command(tag: "DISCARD SEQUENCES")
    default: return .command(tag: "DISCARD \(target.uppercased())")
    }
  }

  private func forgetSequences() {
    lastValues = [:]
    lastSequence = nil
  }

  /// Tells the client all reported settings.
  func reportAllSettings() {
    for name in ReportedSettings.names { client?.reportSetting(name: name, value: settings.known(name)) }
  }

  /// A result of this session.
  func rows(
    _ columns: [ResultColumn], _ source: any BatchSource, _ scope: StatementScope,
    tag: @escaping @Sendable (Int) -> String
  ) -> any RowSource {
    ResultRows(columns: columns, source: source, scope: scope, tag: tag) { [weak self] in self?.finish(scope) }
  }
}

extension ComputeSession {
  var idleLimit: (milliseconds: Int, error: SQLError)? {
    let isOpen = transactionStatus != .idle
    let limit = settings.milliseconds(isOpen ? "idle_in_transaction_session_timeout" : "idle_session_timeout")
    guard limit > 0 else { return nil }
    return (
      limit,
      isOpen
        ? SQLError(
          SQLState(rawValue: "25P03"), "terminating connection due to idle-in-transaction timeout")
        : SQLError(SQLState(rawValue: "57P05"), "terminating connection due to idle-session timeout")
    )
  }
}
