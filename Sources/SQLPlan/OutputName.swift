import SQLTree

/// The name that PostgreSQL gives to an output column without alias.
enum OutputName {
  static func name(of expression: Expression) -> String { strength(of: expression).name ?? "?column?" }

  /// A name and how good it is: 2 for one that the user wrote, 1 for a type's or a keyword's, 0 for none.
  private static func strength(of expression: Expression) -> (name: String?, strength: Int) {
    switch expression {
    case .column(let name, let isStar, _): return isStar ? (nil, 0) : (name.last, 2)
    case .indirection(let value, let steps, _):
      for step in steps.reversed() {
        if case .field(let name) = step { return (name, 2) }
      }
      return strength(of: value)
    case .function(let call): return (call.name.last, 2)
    case .cast(let value, let type, _):
      let inner = strength(of: value)
      return inner.strength > 1 ? inner : (type.name.last, 1)
    case .collate(let value, _, _): return strength(of: value)
    case .nullIf: return ("nullif", 2)
    case .caseWhen(_, _, let otherwise, _):
      let inner: (name: String?, strength: Int) = otherwise.map { strength(of: $0) } ?? (nil, 0)
      return inner.strength > 1 ? inner : ("case", 1)
    case .coalesce: return ("coalesce", 2)
    case .greatest: return ("greatest", 2)
    case .least: return ("least", 2)
    case .array: return ("array", 2)
    case .row: return ("row", 2)
    case .sqlValue(let keyword, _, _): return (keyword, 2)
    case .subquery(let subquery): return strength(of: subquery)
    case .groupingSet(let keyword, _, _): return (keyword.lowercased(), 2)
    default: return (nil, 0)
    }
  }

  private static func strength(of subquery: Subquery) -> (name: String?, strength: Int) {
    switch subquery.kind {
    case .exists: return ("exists", 2)
    case .array: return ("array", 2)
    case .scalar:
      guard case .select(let core) = subquery.query.body, let target = core.targets.first else { return (nil, 0) }
      if let alias = target.alias { return (alias, 2) }
      return strength(of: target.expression)
    case .any, .all: return (nil, 0)
    }
  }
}
