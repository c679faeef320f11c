/// What a role may do with an object (PostgreSQL's `GRANT`), as a set.
package struct Privileges: OptionSet, Sendable, Hashable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let select = Privileges(rawValue: 1)
  package static let insert = Privileges(rawValue: 2)
  package static let update = Privileges(rawValue: 4)
  package static let delete = Privileges(rawValue: 8)
  package static let truncate = Privileges(rawValue: 16)
  package static let references = Privileges(rawValue: 32)
  package static let trigger = Privileges(rawValue: 64)
  package static let usage = Privileges(rawValue: 128)
  package static let create = Privileges(rawValue: 256)
  package static let connect = Privileges(rawValue: 512)
  package static let temporary = Privileges(rawValue: 1_024)
  package static let execute = Privileges(rawValue: 2_048)

  private static let names: [(Privileges, String)] = [
    (.select, "SELECT"), (.insert, "INSERT"), (.update, "UPDATE"), (.delete, "DELETE"), (.truncate, "TRUNCATE"),
    (.references, "REFERENCES"), (.trigger, "TRIGGER"), (.usage, "USAGE"), (.create, "CREATE"),
    (.connect, "CONNECT"), (.temporary, "TEMPORARY"), (.execute, "EXECUTE"),
  ]

  /// As GRANT names them, in PostgreSQL's order.
  package var words: [String] { Privileges.names.filter { contains($0.0) }.map(\.1) }
}

/// A kind of object that privileges can be granted on.
package enum PrivilegeTarget: String, Sendable, Hashable {
  case table, sequence, schema, database, function

  /// What can be granted on it: what ALL PRIVILEGES means.
  package var all: Privileges {
    switch self {
    case .table: [.select, .insert, .update, .delete, .truncate, .references, .trigger]
    case .sequence: [.select, .update, .usage]
    case .schema: [.usage, .create]
    case .database: [.create, .connect, .temporary]
    case .function: .execute
    }
  }
}

/// What a grantee has on an object.
package struct PrivilegeGrant: Sendable, Hashable {
  package var objectID: ObjectID
  /// nil: PUBLIC, hence every role.
  package var grantee: ObjectID?
  package var privileges: Privileges
  /// Those of them that the grantee may pass on.
  package var grantOptions: Privileges
  package init(objectID: ObjectID, grantee: ObjectID?, privileges: Privileges, grantOptions: Privileges = []) {
    self.objectID = objectID
    self.grantee = grantee
    self.privileges = privileges
    self.grantOptions = grantOptions
  }
}

/// That a role is a member of another one, and so has its privileges.
package struct RoleMembership: Sendable, Hashable {
  package var roleID: ObjectID
  package var memberID: ObjectID
  /// It may make others members too.
  package var isAdmin: Bool
  package init(roleID: ObjectID, memberID: ObjectID, isAdmin: Bool = false) {
    self.roleID = roleID
    self.memberID = memberID
    self.isAdmin = isAdmin
  }
}

/// What has happened to privileges (privilege.proto). Since feature level 3.
package enum PrivilegeEvent: Sendable, Hashable {
  /// All that the grantee has on the object from now on; nothing: no entry any more.
  case changed(PrivilegeGrant)
  case roleGranted(RoleMembership)
  case roleRevoked(role: ObjectID, member: ObjectID)

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .changed: "PrivilegesChanged"
    case .roleGranted: "RoleGranted"
    case .roleRevoked: "RoleRevoked"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["PrivilegesChanged", "RoleGranted", "RoleRevoked"]
}

/// What is asked about privileges (privilege.proto).
package enum PrivilegeCommand: Sendable, Hashable {
  /// `privileges` nil: all that the object's kind knows. Grantees: nil is PUBLIC.
  case grant(Privileges?, on: [ObjectID], to: [ObjectID?], withGrantOption: Bool)
  /// `grantOptionOnly`: the privileges stay, but cannot be passed on any more.
  case revoke(Privileges?, on: [ObjectID], from: [ObjectID?], grantOptionOnly: Bool)
  case grantRoles([ObjectID], to: [ObjectID], withAdminOption: Bool)
  case revokeRoles([ObjectID], from: [ObjectID], adminOptionOnly: Bool)
}

extension Image {
  /// Which kind of object it is to GRANT; nil: none that privileges can be granted on, or none at all.
  package func privilegeTarget(_ id: ObjectID) -> PrivilegeTarget? {
    if tables[id] != nil || views[id] != nil { return .table }
    if sequences[id] != nil { return .sequence }
    if schemas[id] != nil { return .schema }
    if databases[id] != nil { return .database }
    return functions[id] != nil ? .function : nil
  }

  /// The role that owns an object.
  package func owner(of id: ObjectID) -> ObjectID? {
    tables[id]?.ownerID ?? views[id]?.ownerID ?? sequences[id]?.ownerID ?? schemas[id]?.ownerID
      ?? databases[id]?.ownerID ?? functions[id]?.ownerID
  }

  /// The role itself and all that it is a member of, directly or not, ascending.
  package func roles(of id: ObjectID) -> [ObjectID] {
    var seen: Set<ObjectID> = [id]
    var pending = [id]
    while let role = pending.popLast() {
      for membership in memberships[role] ?? [] where seen.insert(membership.roleID).inserted {
        pending.append(membership.roleID)
      }
    }
    return seen.sorted()
  }

  /// What a role may do with an object: all for superusers and owners; else what was granted to it, to roles that it is a member
  /// of, and to PUBLIC.
  package func privileges(of role: ObjectID, on object: ObjectID) -> Privileges {
    guard let target = privilegeTarget(object), let definition = roles[role] else { return [] }
    if definition.isSuperuser { return target.all }
    let bearers = roles(of: role)
    if let owner = owner(of: object), bearers.contains(owner) { return target.all }
    return (grants[object] ?? []).reduce(into: []) { result, grant in
      if grant.grantee.map(bearers.contains) ?? true { result.formUnion(grant.privileges) }
    }
  }
}
