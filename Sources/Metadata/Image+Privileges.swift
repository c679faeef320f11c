/// The fold of what was added to the catalog with feature level 3.
extension Image {
  mutating func applyPrivilege(_ event: PrivilegeEvent) {
    switch event {
    case .changed(let grant):
      var list = grants[grant.objectID] ?? []
      list.removeAll { $0.grantee == grant.grantee }
      if !grant.privileges.isEmpty {
        list.append(grant)
        list.sort { ($0.grantee?.rawValue ?? 0) < ($1.grantee?.rawValue ?? 0) }
      }
      grants[grant.objectID] = list.isEmpty ? nil : list
    case .roleGranted(let membership):
      var list = memberships[membership.memberID] ?? []
      list.removeAll { $0.roleID == membership.roleID }
      list.append(membership)
      list.sort { $0.roleID < $1.roleID }
      memberships[membership.memberID] = list
    case .roleRevoked(let role, let member):
      guard var list = memberships[member] else { return }
      list.removeAll { $0.roleID == role }
      memberships[member] = list.isEmpty ? nil : list
    }
  }

  mutating func applyFunction(_ event: FunctionEvent, at recordIndex: UInt64) {
    switch event {
    case .created(let function), .replaced(let function):
      if let old = functions[function.id], functionNames[old.key] == function.id { functionNames[old.key] = nil }
      functions[function.id] = function
      functionNames[function.key] = function.id
      touch(function.id, recordIndex)
    case .dropped(let id):
      guard let function = functions[id] else { return }
      functions[id] = nil
      if functionNames[function.key] == id { functionNames[function.key] = nil }
      versions[id] = nil
      grants[id] = nil
    }
  }

  mutating func applyMaterializedView(_ event: MaterializedViewEvent, at recordIndex: UInt64) {
    switch event {
    case .created(let view):
      guard tables[view.tableID] != nil else { return }
      materializedViews[view.tableID] = view
      touch(view.tableID, recordIndex)
    case .refreshed(let id, let isPopulated, let index):
      guard materializedViews[id] != nil else { return }
      materializedViews[id]?.isPopulated = isPopulated
      materializedViews[id]?.refreshedIndex = index
      touch(id, recordIndex)
    }
  }
}
