import SQLTypes

/// Walks a query with all that it reaches: subqueries in expressions and in FROM, common tables, arguments of functions.
struct QueryWalker {
  let rangeTable: RangeTable
  /// Each expression that stands directly in some clause.
  var onExpression: (TypedExpression) -> Void = { _ in }
  var onQuery: (Query) -> Void = { _ in }
  /// Each entry of some FROM.
  var onRelation: (Int) -> Void = { _ in }

  func walk(_ query: Query) {
    onQuery(query)
    for table in query.commonTables { walk(table.query) }
    for expression in query.ownExpressions { walk(expression) }
    switch query.body {
    case .select(let select): for id in select.from.flatMap(\.relations) { walk(relation: id) }
    case .values: break
    case .setOperation(_, _, let left, let right):
      walk(left)
      walk(right)
    }
  }

  func walk(_ expression: TypedExpression) {
    onExpression(expression)
    expression.visit(intoQueries: false) { if case .subquery(let subquery) = $0 { walk(subquery.query) } }
  }

  private func walk(relation id: Int) {
    onRelation(id)
    switch rangeTable[id].source {
    case .subquery(let query): walk(query)
    case .setFunction(let function): for argument in function.arguments { walk(argument) }
    case .lockstep(let functions): for argument in functions.flatMap(\.arguments) { walk(argument) }
    case .single(let values): for value in values { walk(value) }
    default: break
    }
  }
}

extension RangeTable.SetFunction {
  var arguments: [TypedExpression] {
    switch kind {
    case .series(let start, let stop, let step, _): [start, stop, step]
    case .elements(let array), .subscripts(let array, _): [array]
    case .jsonElements(let document, _): [document]
    }
  }
}

extension TypedExpression {
  /// The same value without casts that leave it as it is stored.
  var unwrapped: TypedExpression {
    switch self {
    case .call(let call) where call.signature.implementation == .inline("$1") && call.arguments.count == 1:
      return call.arguments[0].unwrapped
    case .collate(let value): return value.unwrapped
    default: return self
    }
  }

  /// The value as a plan's parameter, where it is a constant or $n.
  var planParameter: PlanParameter? {
    switch unwrapped {
    case .constant(let value, _): .constant(value)
    case .parameter(let number, _): .parameter(number)
    default: nil
    }
  }

  /// Whether it must be evaluated on the compute node, because it looks into the catalog for each row or advances a sequence.
  var mustStayLocal: Bool {
    contains(intoQueries: false) { part in
      switch part {
      case .nextValue: return true
      case .call(let call):
        guard PlannerFunctions.isComputeNodeOnly(call) else { return false }
        return call.signature.volatility == .volatile || !part.relations.isEmpty
          || part.contains(intoQueries: false) {
            switch $0 {
            case .subquery, .aggregate, .window: true
            default: false
            }
          }
      default: return false
      }
    }
  }

  /// Whether an aggregate of its own query is part of it.
  var hasAggregate: Bool {
    contains(intoQueries: false) { if case .aggregate = $0 { true } else { false } }
  }

  /// Whether it may differ from call to call.
  var isVolatile: Bool {
    contains { part in
      switch part {
      case .nextValue: true
      case .call(let call): call.signature.volatility == .volatile
      default: false
      }
    }
  }

  /// Whether a tablet can filter by it alone.
  var isPushable: Bool {
    !mustStayLocal && !isVolatile
      && !contains(intoQueries: false) {
        switch $0 {
        case .subquery, .aggregate, .window: true
        default: false
        }
      }
  }

  /// The expression with columns of a relation replaced.
  func substituting(_ relation: Int, _ values: [TypedExpression]) -> TypedExpression {
    if case .column(relation, let index, _) = self { return values[index] }
    return mapChildren { $0.substituting(relation, values) }
  }
}
