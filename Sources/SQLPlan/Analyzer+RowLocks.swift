import Metadata
import SQLTree
import SQLTypes

// FOR UPDATE and its like (PostgreSQL 15 manual, SELECT, "The Locking Clause"), at the outermost query only.
extension Analyzer {
  /// What the clauses lock; nil without any.
  func rowLocks(_ clauses: [LockingClause], _ query: Query) throws(SQLError) -> RowLocks? {
    guard let first = clauses.first else { return nil }
    let name = first.strength.clause
    let select = try lockable(query, name)
    var locked: [Int] = []
    for clause in clauses {
      if clause.wait == .skipLocked {
        throw unsupported("SKIP LOCKED", hint: "Rows are locked with their whole table.")
      }
      locked += try relations(clause, select)
    }
    var accesses: [RelationAccess] = []
    for id in Set(locked).sorted() { collectAccesses(id, select.condition?.conjuncts ?? [], &accesses) }
    return RowLocks(clause: name, relations: accesses, isNoWait: clauses.contains { $0.wait == .noWait })
  }

  private func lockable(_ query: Query, _ clause: String) throws(SQLError) -> Select {
    let select: Select
    switch query.body {
    case .values: throw failure(.featureNotSupported, "\(clause) cannot be applied to VALUES")
    case .setOperation:
      throw failure(.featureNotSupported, "\(clause) is not allowed with UNION/INTERSECT/EXCEPT")
    case .select(let body): select = body
    }
    let obstacle: String? =
      if select.distinct != .no {
        "DISTINCT clause"
      } else if !select.groupBy.isEmpty {
        "GROUP BY clause"
      } else if select.having != nil {
        "HAVING clause"
      } else if select.hasAggregates {
        "aggregate functions"
      } else if select.hasWindows {
        "window functions"
      } else {
        nil
      }
    if let obstacle { throw failure(.featureNotSupported, "\(clause) is not allowed with \(obstacle)") }
    return select
  }

  /// The entries of FROM that a clause names, or all that have rows to lock.
  private func relations(_ clause: LockingClause, _ select: Select) throws(SQLError) -> [Int] {
    let name = clause.strength.clause
    var entries: [(id: Int, isNullable: Bool)] = []
    for node in select.from { collectEntries(node, isNullable: false, &entries) }
    var chosen: [(id: Int, isNullable: Bool)] = []
    if clause.relations.isEmpty {
      chosen = entries.filter { isLockable($0.id) }
    }
    for relation in clause.relations {
      guard relation.schema == nil else {
        throw failure(
          .syntaxError, "\(name) must specify unqualified relation names", at: relation.location)
      }
      guard let entry = entries.first(where: { (aliases[$0.id] ?? rangeTable[$0.id].name) == relation.name }) else {
        throw failure(
          .undefinedTable, "relation \"\(relation.name)\" in \(name) clause not found in FROM clause",
          at: relation.location)
      }
      guard isLockable(entry.id) else {
        let kind = if case .commonTable = rangeTable[entry.id].source { "a WITH query" } else { "a function" }
        throw failure(.featureNotSupported, "\(name) cannot be applied to \(kind)", at: relation.location)
      }
      chosen.append(entry)
    }
    guard !chosen.contains(where: \.isNullable) else {
      throw failure(.featureNotSupported, "\(name) cannot be applied to the nullable side of an outer join")
    }
    return chosen.map(\.id)
  }

  private func isLockable(_ id: Int) -> Bool {
    switch rangeTable[id].source {
    case .table, .subquery, .virtual: true
    default: false
    }
  }

  private func collectEntries(_ node: FromNode, isNullable: Bool, _ entries: inout [(id: Int, isNullable: Bool)]) {
    switch node {
    case .relation(let id): entries.append((id, isNullable))
    case .join(let kind, let left, let right, _):
      collectEntries(left, isNullable: isNullable || kind == .right || kind == .full, &entries)
      collectEntries(right, isNullable: isNullable || kind == .left || kind == .full, &entries)
    }
  }

  /// The tables behind an entry: itself, or those of its subquery or view.
  private func collectAccesses(_ id: Int, _ conditions: [TypedExpression], _ accesses: inout [RelationAccess]) {
    switch rangeTable[id].source {
    case .table(let table):
      accesses.append(RelationAccess(table: table, image: planner.image, relation: id, conditions: conditions))
    case .subquery(let query): collectAccesses(query, &accesses)
    default: break
    }
  }

  private func collectAccesses(_ query: Query, _ accesses: inout [RelationAccess]) {
    switch query.body {
    case .values: break
    case .select(let select):
      var entries: [(id: Int, isNullable: Bool)] = []
      for node in select.from { collectEntries(node, isNullable: false, &entries) }
      for entry in entries { collectAccesses(entry.id, select.condition?.conjuncts ?? [], &accesses) }
    case .setOperation(_, _, let left, let right):
      collectAccesses(left, &accesses)
      collectAccesses(right, &accesses)
    }
  }
}
