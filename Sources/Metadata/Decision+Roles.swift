import SQLTypes

extension Decision {
  mutating func createRole(_ draft: RoleDraft) throws(Rejection) {
    try checkRoleName(draft.name)
    guard image.roleNames[draft.name] == nil else {
      throw Rejection(.duplicateObject, "role \"\(draft.name)\" already exists")
    }
    try checkConnectionLimit(draft.connectionLimit)
    try checkVerifier(draft.verifier, of: draft.name)
    emit(
      .roleCreated(
        RoleDefinition(
          id: nextID, name: draft.name, isSuperuser: draft.isSuperuser, canLogin: draft.canLogin,
          canCreateDatabase: draft.canCreateDatabase, canCreateRole: draft.canCreateRole,
          connectionLimit: draft.connectionLimit, verifier: draft.verifier)))
  }

  mutating func alterRole(_ id: ObjectID, _ change: RoleChange) throws(Rejection) {
    try checkRole(id)
    guard var role = image.roles[id] else { return }
    let old = role
    if let value = change.isSuperuser { role.isSuperuser = value }
    if let value = change.canLogin { role.canLogin = value }
    if let value = change.canCreateDatabase { role.canCreateDatabase = value }
    if let value = change.canCreateRole { role.canCreateRole = value }
    if let value = change.connectionLimit {
      try checkConnectionLimit(value)
      role.connectionLimit = value
    }
    switch change.password {
    case .verifier(let verifier):
      try checkVerifier(verifier, of: role.name)
      role.verifier = verifier
    case .none?: role.verifier = nil
    case nil: break
    }
    if id == WellKnown.firstRole, !role.isSuperuser {
      throw Rejection(.featureNotSupported, "the bootstrap user must have the SUPERUSER attribute")
    }
    if role != old { emit(.roleAltered(role)) }
  }

  mutating func dropRole(_ id: ObjectID) throws(Rejection) {
    try checkRole(id)
    guard let role = image.roles[id] else { return }
    guard id != WellKnown.firstRole else {
      throw Rejection(
        .dependentObjectsStillExist,
        "cannot drop role \(quotedIdentifier(role.name)) because it is required by the database system")
    }
    let owned = ownedObjects(id).map { "owner of \($0)" } + grantedObjects(id)
    guard owned.isEmpty else {
      throw Rejection(
        .dependentObjectsStillExist, "role \"\(role.name)\" cannot be dropped because some objects depend on it",
        detail: owned.joined(separator: "\n"))
    }
    revokeMemberships(of: id)
    emit(.roleDropped(id))
  }

  /// Descriptions of what a role owns, by kind and identity. Owned sequences follow their tables.
  private func ownedObjects(_ id: ObjectID) -> [String] {
    var relations: [Relation] = image.tables.values.filter { $0.ownerID == id }.map { .table($0) }
    relations += image.views.values.filter { $0.ownerID == id }.map { .view($0) }
    relations += image.sequences.values.filter { $0.ownerID == id && $0.ownerTableID == nil }.map { .sequence($0) }
    let schemas = image.schemas.values.filter { $0.ownerID == id }.sorted { $0.id < $1.id }
    let databases = image.databases.values.filter { $0.ownerID == id }.sorted { $0.id < $1.id }
    return databases.map { "database \(quotedIdentifier($0.name))" }
      + schemas.map { "schema \(quotedIdentifier($0.name))" }
      + relations.sorted { $0.id < $1.id }.map(description)
      + image.functions.values.filter { $0.ownerID == id }.sorted { $0.id < $1.id }.map(description)
  }

  func checkRoleName(_ name: String) throws(Rejection) {
    try checkName(name)
    guard !name.hasPrefix("pg_"), name != "public", name != "none" else {
      throw Rejection(
        .reservedName, "role name \"\(name)\" is reserved",
        detail: name.hasPrefix("pg_") ? "Role names starting with \"pg_\" are reserved." : nil)
    }
  }

  /// What is refused may be a password: it is not repeated.
  func checkVerifier(_ verifier: String?, of role: String) throws(Rejection) {
    guard let verifier, !RoleVerifier.isWellFormed(verifier) else { return }
    throw Rejection(
      .invalidParameterValue, "what was sent as the password of role \"\(role)\" is no SCRAM-SHA-256 verifier",
      detail: "The metadata log keeps verifiers only: many read it, and it forgets nothing.",
      hint: "A compute node makes the verifier: CREATE ROLE … PASSWORD or ALTER ROLE … PASSWORD.")
  }

  private func checkConnectionLimit(_ limit: Int32) throws(Rejection) {
    guard limit >= -1 else { throw Rejection(.invalidParameterValue, "invalid connection limit: \(limit)") }
  }
}
