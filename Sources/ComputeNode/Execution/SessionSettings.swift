import SQLTypes

/// The values of a session's settings, with what a transaction's end does to them: SET LOCAL lasts as long as the
/// transaction, SET is undone where the transaction fails (PostgreSQL 15 manual, SET).
struct SessionSettings {
  /// Session values where they differ from the defaults, by lower-case name.
  private var values: [String: String] = [:]
  /// What RESET goes back to: defaults as the startup packet set them.
  private var defaults: [String: String] = [:]
  /// Values of SET LOCAL.
  private var local: [String: String] = [:]
  /// `values` as they were before the transaction's first SET.
  private var saved: [String: String]?

  /// Custom settings have a dot in their name and take anything.
  static func isCustom(_ name: String) -> Bool { name.contains(".") }

  /// The value, nil where there is no such setting.
  func value(_ name: String) -> String? {
    let key = name.lowercased()
    return local[key] ?? values[key] ?? defaults[key] ?? SettingTable.definitions[key]?.standard
  }

  /// The value of a setting that exists.
  func known(_ name: String) -> String { value(name) ?? "" }

  func flag(_ name: String) -> Bool { known(name) == "on" }

  /// A time in milliseconds.
  func milliseconds(_ name: String) -> Int {
    let value = known(name)
    // What most are, and asked for with each statement.
    return value == "0" ? 0 : Int(SettingDefinition.scaled(value, .milliseconds) ?? 0)
  }

  /// Memory in bytes.
  func bytes(_ name: String) -> Int { Int((SettingDefinition.scaled(known(name), .kilobytes) ?? 0) * 1024) }

  /// The definition; throws 42704 where there is none.
  static func definition(_ name: String) throws(SQLError) -> SettingDefinition {
    if let definition = SettingTable.definitions[name.lowercased()] { return definition }
    if isCustom(name) { return SettingDefinition(name: name, kind: .text, standard: "") }
    throw SQLError(.undefinedObject, "unrecognized configuration parameter \"\(name)\"")
  }

  /// SET: throws 42704, 22023, 0A000, or 55P02 for what cannot be set. Answers the name as reported.
  @discardableResult
  mutating func set(
    _ name: String, to value: String, isLocal: Bool, isInTransaction: Bool
  ) throws(SQLError) -> String {
    let definition = try Self.definition(name)
    guard !definition.isReadOnly else {
      throw SQLError(.cantChangeRuntimeParameter, "parameter \"\(definition.name)\" cannot be changed")
    }
    let normalized = try definition.normalized(value)
    let key = name.lowercased()
    if isLocal {
      if isInTransaction { local[key] = normalized }
      return definition.name
    }
    if isInTransaction, saved == nil { saved = values }
    values[key] = normalized
    local[key] = nil
    return definition.name
  }

  /// RESET, SET TO DEFAULT.
  @discardableResult
  mutating func reset(_ name: String, isInTransaction: Bool) throws(SQLError) -> String {
    let definition = try Self.definition(name)
    guard !definition.isReadOnly else {
      throw SQLError(.cantChangeRuntimeParameter, "parameter \"\(definition.name)\" cannot be changed")
    }
    if isInTransaction, saved == nil { saved = values }
    values[name.lowercased()] = nil
    local[name.lowercased()] = nil
    return definition.name
  }

  /// RESET ALL.
  mutating func resetAll(isInTransaction: Bool) {
    if isInTransaction, saved == nil { saved = values }
    values = [:]
    local = [:]
  }

  /// A default of this session: from the startup packet, or what is fixed for the session (its user).
  mutating func setDefault(_ name: String, to value: String, isTrusted: Bool = false) throws(SQLError) {
    let definition = try Self.definition(name)
    if isTrusted {
      defaults[name.lowercased()] = value
      return
    }
    guard !definition.isReadOnly else {
      throw SQLError(.cantChangeRuntimeParameter, "parameter \"\(definition.name)\" cannot be changed")
    }
    defaults[name.lowercased()] = try definition.normalized(value)
  }

  /// Whether the end of the transaction may change any.
  var belongToTransaction: Bool { !local.isEmpty || saved != nil }

  /// The transaction is over: local values end; where it failed, so do the others that it set.
  ///
  /// - Returns: whether anything may have changed.
  mutating func transactionEnded(isCommitted: Bool) -> Bool {
    guard belongToTransaction else { return false }
    local = [:]
    if !isCommitted, let saved { values = saved }
    saved = nil
    return true
  }

  /// All values by lower-case name, for `pg_settings` and `current_setting`.
  var all: [String: String] {
    var result = SettingTable.definitions.mapValues(\.standard)
    result.merge(defaults) { _, new in new }
    result.merge(values) { _, new in new }
    result.merge(local) { _, new in new }
    return result
  }

  /// The schemas of `search_path`, in order.
  var searchPath: [String] { Self.names(in: known("search_path")) }

  /// Takes a list of identifiers apart: unquoted ones are folded to lower case.
  static func names(in list: String) -> [String] {
    var names: [String] = []
    var current = ""
    var isQuoted = false
    var wasQuoted = false
    var previous: Character?
    func finish() {
      let name = wasQuoted ? current : current.filter { $0 != " " && $0 != "\t" && $0 != "\n" }.lowercased()
      if !name.isEmpty { names.append(name) }
      current = ""
      wasQuoted = false
    }
    for character in list {
      switch character {
      case "\"":
        // Two quotes within quotes are one.
        if !isQuoted, wasQuoted, previous == "\"" { current.append("\"") }
        if !wasQuoted { current = "" }
        isQuoted.toggle()
        wasQuoted = true
      case "," where !isQuoted: finish()
      case _ where wasQuoted && !isQuoted: break
      default: current.append(character)
      }
      previous = character
    }
    finish()
    return names
  }
}
