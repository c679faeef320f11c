import SQLTree
import SQLTypes

// Column names, and `*`.
extension Analyzer {
  /// The column that a name means, in the innermost scope that has it.
  func column(
    _ name: QualifiedName, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> Scope.Column {
    switch name.count {
    case 1: return try unqualified(name[0], scope, at: location)
    case 2: return try qualified(name[1], relation: name[0], schema: nil, scope, at: location)
    case 3: return try qualified(name[2], relation: name[1], schema: name[0], scope, at: location)
    case 4: return try qualified(name[3], relation: name[2], schema: name[1], scope, at: location)
    default:
      throw failure(
        .syntaxError, "improper qualified name (too many dotted names): \(name.joined(separator: "."))", at: location)
    }
  }

  static let tableOIDColumn = "tableoid"
  private static let systemColumns: Set<String> = ["ctid", "xmin", "xmax", "cmin", "cmax", tableOIDColumn]

  /// A column that every table has beside its own: `tableoid`; the others tell of PostgreSQL's heap.
  private func systemColumn(
    _ name: String, _ item: Scope.Item, at location: SourceLocation
  ) throws(SQLError) -> Scope.Column {
    guard name == Self.tableOIDColumn, case .column(let id, _, _)? = item.columns.first?.expression else {
      throw unsupported("system column \"\(name)\"", at: location)
    }
    switch rangeTable[id].source {
    case .virtual(let relation):
      return Scope.Column(name: name, expression: .constant(.integer(Int64(relation.oid)), .oid))
    case .table(let table):
      let own = rangeTable[id].columns[table.columns.count...].firstIndex { $0.name == name }
      if own == nil { rangeTable.extend(id, with: [RangeTable.Column(name: name, type: .oid, isNotNull: true)]) }
      let index = own ?? rangeTable[id].columns.count - 1
      return Scope.Column(name: name, expression: .column(relation: id, index: index, .oid))
    default: throw failure(.undefinedColumn, "column \"\(name)\" does not exist", at: location)
    }
  }

  private func unqualified(
    _ name: String, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> Scope.Column {
    var level: Scope? = scope
    while let current = level {
      let found = current.items.flatMap(\.visibleColumns).filter { $0.name == name }
      if found.count > 1 {
        throw failure(.ambiguousColumn, "column reference \"\(name)\" is ambiguous", at: location)
      }
      if let column = found.first { return column }
      if Self.systemColumns.contains(name), let item = current.items.first(where: \.hasName) {
        guard current.items.count(where: \.hasName) == 1 else {
          throw failure(.ambiguousColumn, "column reference \"\(name)\" is ambiguous", at: location)
        }
        return try systemColumn(name, item, at: location)
      }
      level = current.parent
    }
    if isRelation(name, scope) { throw unsupported("a whole-row reference", at: location) }
    throw noColumn(name, relation: nil, scope, at: location)
  }

  private func isRelation(_ name: String, _ scope: Scope) -> Bool {
    var level: Scope? = scope
    while let current = level {
      if current.items.contains(where: { $0.hasName && $0.isRelationVisible && $0.name == name }) { return true }
      level = current.parent
    }
    return false
  }

  private func item(_ relation: String, schema: String?, _ scope: Scope) -> Scope.Item? {
    var level: Scope? = scope
    while let current = level {
      let found = current.items.first { item in
        item.hasName && item.isRelationVisible && item.name == relation
          && (schema == nil || item.schema == schema || item.schema == nil)
      }
      if let found { return found }
      level = current.parent
    }
    return nil
  }

  private func qualified(
    _ name: String, relation: String, schema: String?, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> Scope.Column {
    guard let item = item(relation, schema: schema, scope) else {
      let written = (schema.map { $0 + "." } ?? "") + relation
      throw missingRelation(written, relation, scope, at: location)
    }
    let found = item.columns.filter { $0.name == name }
    if found.count > 1 {
      throw failure(.ambiguousColumn, "column reference \"\(name)\" is ambiguous", at: location)
    }
    if let column = found.first { return column }
    if Self.systemColumns.contains(name) { return try systemColumn(name, item, at: location) }
    throw noColumn(name, relation: relation, scope, at: location)
  }

  /// 42P01: a table is named that FROM does not have; where it has it under an alias, the hint says so.
  private func missingRelation(
    _ written: String, _ relation: String, _ scope: Scope, at location: SourceLocation
  ) -> SQLError {
    var level: Scope? = scope
    while let current = level {
      for item in current.items where item.hasName && item.isRelationVisible {
        guard case .column(let id, _, _)? = item.columns.first?.expression else { continue }
        if case .table(let table) = rangeTable[id].source, table.name == relation, item.name != relation {
          return failure(
            .undefinedTable, "invalid reference to FROM-clause entry for table \"\(written)\"", at: location,
            hint: "Perhaps you meant to reference the table alias \"\(item.name)\".")
        }
      }
      level = current.parent
    }
    return failure(.undefinedTable, "missing FROM-clause entry for table \"\(written)\"", at: location)
  }

  /// 42703, with the nearest names as a hint.
  private func noColumn(
    _ name: String, relation: String?, _ scope: Scope, at location: SourceLocation
  ) -> SQLError {
    let message =
      relation.map { "column \($0).\(name) does not exist" } ?? "column \"\(name)\" does not exist"
    var best = 4
    var nearest: [(String, String)] = []
    var level: Scope? = scope
    while let current = level {
      for item in current.items where item.hasName {
        let penalty = relation.map { NameDistance.levenshtein(item.name, $0) } ?? 0
        guard penalty <= best else { continue }
        for column in item.columns {
          let distance = NameDistance.levenshtein(column.name, name)
          guard distance <= name.unicodeScalars.count / 2 else { continue }
          let total = distance + penalty
          if total < best {
            best = total
            nearest = [(item.name, column.name)]
          } else if total == best, best < 4 {
            nearest.append((item.name, column.name))
          }
        }
      }
      level = current.parent
    }
    let hint: String?
    switch nearest.count {
    case 1: hint = "Perhaps you meant to reference the column \"\(nearest[0].0).\(nearest[0].1)\"."
    case 2:
      hint =
        "Perhaps you meant to reference the column \"\(nearest[0].0).\(nearest[0].1)\" or the column "
        + "\"\(nearest[1].0).\(nearest[1].1)\"."
    default: hint = nil
    }
    return failure(.undefinedColumn, message, at: location, hint: hint)
  }

  /// The columns of `*` and `t.*`, in order.
  func starColumns(
    _ name: QualifiedName, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> [Scope.Column] {
    guard let relation = name.last else {
      guard !scope.items.isEmpty else {
        throw failure(.syntaxError, "SELECT * with no tables specified is not valid", at: location)
      }
      return scope.items.flatMap(\.visibleColumns)
    }
    let schema = name.count > 1 ? name[name.count - 2] : nil
    guard let item = item(relation, schema: schema, scope) else {
      throw missingRelation(name.joined(separator: "."), relation, scope, at: location)
    }
    return item.columns
  }
}
