import Metadata
import ProtocolMetadata

extension PrivilegeEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .changed(let grant):
      .privilegesChanged(
        .with {
          $0.objectID = grant.objectID.rawValue
          $0.granteeID = grant.grantee?.rawValue ?? 0
          $0.privileges = grant.privileges.rawValue
          $0.grantOptions = grant.grantOptions.rawValue
        })
    case .roleGranted(let membership):
      .roleGranted(
        .with {
          $0.roleID = membership.roleID.rawValue
          $0.memberID = membership.memberID.rawValue
          $0.admin = membership.isAdmin
        })
    case .roleRevoked(let role, let member):
      .roleRevoked(
        .with {
          $0.roleID = role.rawValue
          $0.memberID = member.rawValue
        })
    }
  }

  /// nil: no event about privileges.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .privilegesChanged(let event):
      self = .changed(
        PrivilegeGrant(
          objectID: ObjectID(rawValue: event.objectID), grantee: wireGrantee(event.granteeID),
          privileges: Privileges(rawValue: event.privileges), grantOptions: Privileges(rawValue: event.grantOptions)))
    case .roleGranted(let event):
      self = .roleGranted(
        RoleMembership(
          roleID: ObjectID(rawValue: event.roleID), memberID: ObjectID(rawValue: event.memberID), isAdmin: event.admin))
    case .roleRevoked(let event):
      self = .roleRevoked(role: ObjectID(rawValue: event.roleID), member: ObjectID(rawValue: event.memberID))
    default: return nil
    }
  }
}

/// nil for 0: PUBLIC.
private func wireGrantee(_ wire: UInt32) -> ObjectID? { wire == 0 ? nil : ObjectID(rawValue: wire) }

/// nil for 0: all.
private func wirePrivileges(_ wire: UInt32) -> Privileges? { wire == 0 ? nil : Privileges(rawValue: wire) }

extension PrivilegeCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .grant(let privileges, let objects, let grantees, let withGrantOption):
      .grantPrivileges(
        .with {
          $0.privileges = privileges?.rawValue ?? 0
          $0.objectIds = objects.map(\.rawValue)
          $0.granteeIds = grantees.map { $0?.rawValue ?? 0 }
          $0.withGrantOption = withGrantOption
        })
    case .revoke(let privileges, let objects, let grantees, let grantOptionOnly):
      .revokePrivileges(
        .with {
          $0.privileges = privileges?.rawValue ?? 0
          $0.objectIds = objects.map(\.rawValue)
          $0.granteeIds = grantees.map { $0?.rawValue ?? 0 }
          $0.grantOptionOnly = grantOptionOnly
        })
    case .grantRoles(let roles, let members, let withAdminOption):
      .grantRoles(
        .with {
          $0.roleIds = roles.map(\.rawValue)
          $0.memberIds = members.map(\.rawValue)
          $0.withAdminOption = withAdminOption
        })
    case .revokeRoles(let roles, let members, let adminOptionOnly):
      .revokeRoles(
        .with {
          $0.roleIds = roles.map(\.rawValue)
          $0.memberIds = members.map(\.rawValue)
          $0.adminOptionOnly = adminOptionOnly
        })
    }
  }

  /// nil: no command about privileges.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) {
    switch wire {
    case .grantPrivileges(let command):
      self = .grant(
        wirePrivileges(command.privileges), on: command.objectIds.map(ObjectID.init),
        to: command.granteeIds.map(wireGrantee), withGrantOption: command.withGrantOption)
    case .revokePrivileges(let command):
      self = .revoke(
        wirePrivileges(command.privileges), on: command.objectIds.map(ObjectID.init),
        from: command.granteeIds.map(wireGrantee), grantOptionOnly: command.grantOptionOnly)
    case .grantRoles(let command):
      self = .grantRoles(
        command.roleIds.map(ObjectID.init), to: command.memberIds.map(ObjectID.init),
        withAdminOption: command.withAdminOption)
    case .revokeRoles(let command):
      self = .revokeRoles(
        command.roleIds.map(ObjectID.init), from: command.memberIds.map(ObjectID.init),
        adminOptionOnly: command.adminOptionOnly)
    default: return nil
    }
  }
}
