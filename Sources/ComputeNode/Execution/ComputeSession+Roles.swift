import EventLoop
import Metadata
import PostgresWire
import SQLTree
import SQLTypes

/// Roles. Passwords are kept as SCRAM verifiers only, made here: the log never sees one.
extension ComputeSession {
  func createRole(_ name: String, isUser: Bool, _ options: [DefinitionOption]) async throws(SQLError) {
    try checkMayChangeRoles()
    try checkRoleName(name)
    let change = try roleChange(options)
    if change.isSuperuser == true { try checkSuperuser("must be superuser to create superusers") }
    var draft = RoleDraft(name: name)
    draft.canLogin = change.canLogin ?? isUser
    draft.isSuperuser = change.isSuperuser ?? false
    draft.canCreateDatabase = change.canCreateDatabase ?? false
    draft.canCreateRole = change.canCreateRole ?? false
    draft.connectionLimit = change.connectionLimit ?? -1
    if case .verifier(let verifier)? = change.password { draft.verifier = verifier }
    try await append([.createRole(draft)])
  }

  func alterRole(_ name: String, _ options: [DefinitionOption]) async throws(SQLError) {
    let role = try role(name)
    let change = try roleChange(options)
    var onlyPassword = change
    onlyPassword.password = nil
    // One's own password may be changed by anyone.
    if role.id != roleID || onlyPassword != RoleChange() { try checkMayChangeRoles() }
    if role.isSuperuser || change.isSuperuser != nil {
      try checkSuperuser("must be superuser to alter superuser roles or change superuser attribute")
    }
    try await append([.alterRole(role.id, change)])
  }

  func dropRoles(_ names: [String], ifExists: Bool) async throws(SQLError) {
    try checkMayChangeRoles()
    var commands: [Command] = []
    for name in names {
      guard let role = image.role(named: name) else {
        let message = "role \"\(name)\" does not exist"
        guard ifExists else { throw SQLError(.undefinedObject, message) }
        report(.skipped(.undefinedObject, message + ", skipping"))
        continue
      }
      guard role.id != roleID else { throw SQLError(.objectInUse, "current user cannot be dropped") }
      if role.isSuperuser { try checkSuperuser("must be superuser to drop superusers") }
      commands.append(.dropRole(role.id))
    }
    if !commands.isEmpty { try await append(commands) }
  }

  private func role(_ name: String) throws(SQLError) -> RoleDefinition {
    guard let role = image.role(named: name) else {
      throw SQLError(.undefinedObject, "role \"\(name)\" does not exist")
    }
    return role
  }

  private func checkRoleName(_ name: String) throws(SQLError) {
    guard !name.hasPrefix("pg_"), name != "public", name != "none" else {
      throw SQLError(.reservedName, "role name \"\(name)\" is reserved")
    }
  }

  private func checkMayChangeRoles() throws(SQLError) {
    guard isSuperuser || image.roles[roleID]?.canCreateRole == true else {
      throw SQLError(.insufficientPrivilege, "permission denied to create, alter or drop roles")
    }
  }

  private func checkSuperuser(_ message: String) throws(SQLError) {
    guard isSuperuser else { throw SQLError(.insufficientPrivilege, message) }
  }

  private func roleChange(_ options: [DefinitionOption]) throws(SQLError) -> RoleChange {
    var change = RoleChange()
    var seen: Set<String> = []
    for option in options {
      guard seen.insert(option.name).inserted else {
        throw SQLError(.syntaxError, "conflicting or redundant options")
      }
      switch (option.name, option.value) {
      case ("superuser", .boolean(let flag)): change.isSuperuser = flag
      case ("createdb", .boolean(let flag)): change.canCreateDatabase = flag
      case ("createrole", .boolean(let flag)): change.canCreateRole = flag
      case ("canlogin", .boolean(let flag)): change.canLogin = flag
      case ("connectionlimit", .integer(let limit)):
        guard limit >= -1, let limit = Int32(exactly: limit) else {
          throw SQLError(.invalidParameterValue, "invalid connection limit: \(limit)")
        }
        change.connectionLimit = limit
      case ("password", .none): change.password = RoleChange.Password.none
      case ("password", .string(let password)): change.password = try .verifier(verifier(password))
      case ("inherit", .boolean(true)), ("isreplication", .boolean(false)), ("bypassrls", .boolean(false)): break
      case ("validUntil", _): throw SQLError(.featureNotSupported, "VALID UNTIL is not supported")
      case ("addroleto", _), ("rolemembers", _), ("adminmembers", _):
        throw SQLError(.featureNotSupported, "membership in roles is not supported")
      default: throw SQLError(.featureNotSupported, "role option \"\(option.name)\" is not supported")
      }
    }
    return change
  }

  /// The verifier of a password; a text that is one already (as dumps have it) is kept.
  private func verifier(_ password: String) throws(SQLError) -> String {
    if SCRAMVerifier(password) != nil { return password }
    guard !password.isEmpty else {
      throw SQLError(.invalidParameterValue, "the empty string is not a valid password")
    }
    let salt = services.randomBytes(SCRAMVerifier.saltLengthBytes)
    return SCRAMVerifier(password: password, salt: salt, cryptography: services.cryptography).text
  }
}
