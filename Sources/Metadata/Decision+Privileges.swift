import SQLTypes

/// GRANT and REVOKE.
extension Decision {
  mutating func decide(_ command: PrivilegeCommand) throws(Rejection) {
    switch command {
    case .grant(let privileges, let objects, let grantees, let withGrantOption):
      for object in objects {
        let wanted = try checked(privileges, on: object)
        for grantee in grantees {
          try checkGrantee(grantee, withGrantOption)
          var grant = grant(on: object, to: grantee)
          grant.privileges.formUnion(wanted)
          if withGrantOption { grant.grantOptions.formUnion(wanted) }
          change(to: grant)
        }
      }
    case .revoke(let privileges, let objects, let grantees, let grantOptionOnly):
      for object in objects {
        let unwanted = try checked(privileges, on: object)
        for grantee in grantees {
          try checkGrantee(grantee, false)
          var grant = grant(on: object, to: grantee)
          grant.grantOptions.subtract(unwanted)
          if !grantOptionOnly { grant.privileges.subtract(unwanted) }
          change(to: grant)
        }
      }
    case .grantRoles(let roles, let members, let isAdmin):
      for role in roles {
        for member in members { try grantRole(role, to: member, isAdmin) }
      }
    case .revokeRoles(let roles, let members, let adminOptionOnly):
      for role in roles {
        for member in members { try revokeRole(role, from: member, adminOptionOnly) }
      }
    }
  }

  private func grant(on object: ObjectID, to grantee: ObjectID?) -> PrivilegeGrant {
    image.grants[object]?.first { $0.grantee == grantee }
      ?? PrivilegeGrant(objectID: object, grantee: grantee, privileges: [])
  }

  private mutating func change(to grant: PrivilegeGrant) {
    if grant != self.grant(on: grant.objectID, to: grant.grantee) { emit(.privilege(.changed(grant))) }
  }

  /// The privileges that are meant, which must be some that the object's kind knows.
  private func checked(_ privileges: Privileges?, on id: ObjectID) throws(Rejection) -> Privileges {
    guard let target = image.privilegeTarget(id) else {
      if let relation = image.relation(id) {
        throw Rejection(.wrongObjectType, "\"\(relation.name)\" is an \(relation.kindName)")
      }
      throw Rejection(.undefinedObject, "object with OID \(id) does not exist")
    }
    guard let privileges else { return target.all }
    let strange = privileges.subtracting(target.all)
    guard strange.isEmpty, !privileges.isEmpty else {
      throw Rejection(
        Decision.invalidGrantOperation,
        "invalid privilege type \(strange.words.first ?? "(none)") for \(target.rawValue)",
        hint: "A \(target.rawValue) knows \(target.all.words.joined(separator: ", ")).")
    }
    return privileges
  }

  static var invalidGrantOperation: SQLState { SQLState(rawValue: "0LP01") }

  private func checkGrantee(_ grantee: ObjectID?, _ withGrantOption: Bool) throws(Rejection) {
    guard let grantee else {
      if withGrantOption {
        throw Rejection(Decision.invalidGrantOperation, "grant options can only be granted to roles")
      }
      return
    }
    try checkRole(grantee)
  }

  private mutating func grantRole(_ role: ObjectID, to member: ObjectID, _ isAdmin: Bool) throws(Rejection) {
    try checkRole(role)
    try checkRole(member)
    let names = (image.roles[role]?.name ?? "", image.roles[member]?.name ?? "")
    guard !image.roles(of: role).contains(member) else {
      throw Rejection(
        Decision.invalidGrantOperation, "role \"\(names.0)\" is a member of role \"\(names.1)\"",
        hint: "Membership has no circles: revoke the other one first.")
    }
    let known = image.memberships[member]?.first { $0.roleID == role }
    let wanted = RoleMembership(roleID: role, memberID: member, isAdmin: isAdmin || known?.isAdmin ?? false)
    if known != wanted { emit(.privilege(.roleGranted(wanted))) }
  }

  private mutating func revokeRole(_ role: ObjectID, from member: ObjectID, _ adminOnly: Bool) throws(Rejection) {
    try checkRole(role)
    try checkRole(member)
    guard var known = image.memberships[member]?.first(where: { $0.roleID == role }) else { return }
    guard adminOnly else {
      emit(.privilege(.roleRevoked(role: role, member: member)))
      return
    }
    guard known.isAdmin else { return }
    known.isAdmin = false
    emit(.privilege(.roleGranted(known)))
  }

  /// What a role was granted, in PostgreSQL's words: in the way of dropping it.
  func grantedObjects(_ role: ObjectID) -> [String] {
    image.grants.filter { $0.value.contains { $0.grantee == role } }.keys.sorted().map { id in
      if let relation = image.relation(id) { return "privileges for \(description(relation))" }
      if let schema = image.schemas[id] { return "privileges for schema \(quotedIdentifier(schema.name))" }
      if let database = image.databases[id] { return "privileges for database \(quotedIdentifier(database.name))" }
      if let function = image.functions[id] { return "privileges for \(description(function))" }
      return "privileges for object \(id)"
    }
  }

  /// Ends all memberships of a role that is about to be dropped.
  mutating func revokeMemberships(of id: ObjectID) {
    for membership in (image.memberships[id] ?? []).sorted(by: { $0.roleID < $1.roleID }) {
      emit(.privilege(.roleRevoked(role: membership.roleID, member: id)))
    }
    for member in image.memberships.keys.sorted()
    where image.memberships[member]?.contains(where: { $0.roleID == id }) == true {
      emit(.privilege(.roleRevoked(role: id, member: member)))
    }
  }
}
