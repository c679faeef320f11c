/// What a caller is to the cluster: nodes by what they do, people and tools by what they may do.
package enum AccessRole: String, Sendable, Hashable, CaseIterable {
  case meta, storage, compute, manager
  case admin, `operator`, reader

  /// Whether it is a node's, which has a number.
  package var isNode: Bool { nodeRole != nil }

  /// The same as the metadata log has it; nil for people.
  package var nodeRole: NodeDefinition.Role? {
    switch self {
    case .meta: .meta
    case .storage: .storage
    case .compute: .compute
    case .manager: .manager
    case .admin, .operator, .reader: nil
    }
  }
}

/// A set of roles: who may do something.
package struct AccessRoles: OptionSet, Sendable, Hashable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package init(_ role: AccessRole) {
    switch role {
    case .meta: self = .meta
    case .storage: self = .storage
    case .compute: self = .compute
    case .manager: self = .manager
    case .admin: self = .admin
    case .operator: self = .operator
    case .reader: self = .reader
    }
  }

  package static let meta = AccessRoles(rawValue: 1)
  package static let storage = AccessRoles(rawValue: 2)
  package static let compute = AccessRoles(rawValue: 4)
  package static let manager = AccessRoles(rawValue: 8)
  package static let admin = AccessRoles(rawValue: 16)
  package static let `operator` = AccessRoles(rawValue: 32)
  package static let reader = AccessRoles(rawValue: 64)
  package static let nodes: AccessRoles = [.meta, .storage, .compute, .manager]
  package static let everybody: AccessRoles = [.nodes, .admin, .operator, .reader]

  /// In words: `manager, admin and operator`.
  package var text: String {
    let names = AccessRole.allCases.filter { contains(AccessRoles($0)) }.map(\.rawValue)
    guard names.count > 1, let last = names.last else { return names.first ?? "nobody" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }
}

/// Who calls, once that is certain.
package struct AccessIdentity: Sendable, Hashable {
  /// Of the certificate or the token: letters, digits, `.`, `_` and `-`.
  package let name: String
  package let role: AccessRole
  /// Set for nodes.
  package let nodeID: NodeID?
  package let roles: AccessRoles

  package static let maximumNameLength = 64

  /// nil where the name is none, or a node has no number, or somebody else has one.
  package init?(name: String, role: AccessRole, nodeID: NodeID?) {
    guard AccessIdentity.isName(name), role.isNode == (nodeID != nil), nodeID?.rawValue != 0 else { return nil }
    self.name = name
    self.role = role
    self.nodeID = nodeID
    roles = AccessRoles(role)
  }

  /// Whether a text may name a caller. What a log's reader could take for something else is none.
  package static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= maximumNameLength
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// Who a record says has asked: the caller. A compute node asks for others, and says for whom: `abc@compute-1`; what anybody
  /// else claims has no effect.
  package func principal(claimed: String) -> String {
    role == .compute && !claimed.isEmpty && claimed != name ? "\(claimed)@\(name)" : name
  }
}
