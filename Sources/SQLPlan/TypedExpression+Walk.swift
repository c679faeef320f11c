import SQLTypes

// Walks over typed expressions and queries.
extension TypedExpression {
  /// Direct operands, those of subqueries' tests included, queries themselves not.
  var children: [TypedExpression] {
    switch self {
    case .constant, .parameter, .column, .nextValue: return []
    case .call(let call): return call.arguments
    case .aggregate(let call):
      return call.arguments + call.orderBy.map(\.expression) + (call.filter.map { [$0] } ?? [])
    case .window(let call):
      return call.arguments + (call.filter.map { [$0] } ?? []) + call.partitionBy + call.orderBy.map(\.expression)
        + (call.frame?.offsets ?? [])
    case .and(let items), .or(let items), .coalesce(let items, _), .extreme(_, let items, _), .array(let items, _),
      .row(let items):
      return items
    case .not(let value), .isNull(let value, _), .booleanTest(let value, _), .collate(let value): return [value]
    case .distinct(let left, let right, _, _), .nullIf(let left, let right, _): return [left, right]
    case .caseWhen(let branches, let otherwise, _):
      return branches.flatMap { [$0.condition, $0.result] } + (otherwise.map { [$0] } ?? [])
    case .inList(let value, let items, _): return [value] + items
    case .quantified(_, _, let value, let array): return [value, array]
    case .element(let array, let index, _): return [array, index]
    case .subquery(let subquery):
      if case .compare(let tests, _, _) = subquery.kind { return tests }
      return []
    }
  }

  /// The same with each direct operand replaced; queries in subqueries are left alone.
  func mapChildren(_ body: (TypedExpression) -> TypedExpression) -> TypedExpression {
    func sorted(_ keys: [SortKey]) -> [SortKey] {
      keys.map { SortKey(expression: body($0.expression), isDescending: $0.isDescending, nullsFirst: $0.nullsFirst) }
    }
    switch self {
    case .constant, .parameter, .column, .nextValue: return self
    case .call(var call):
      call.arguments = call.arguments.map(body)
      return .call(call)
    case .aggregate(var call):
      call.arguments = call.arguments.map(body)
      call.orderBy = sorted(call.orderBy)
      call.filter = call.filter.map(body)
      return .aggregate(call)
    case .window(var call):
      call.arguments = call.arguments.map(body)
      call.filter = call.filter.map(body)
      call.partitionBy = call.partitionBy.map(body)
      call.orderBy = sorted(call.orderBy)
      return .window(call)
    case .and(let items): return .and(items.map(body))
    case .or(let items): return .or(items.map(body))
    case .coalesce(let items, let type): return .coalesce(items.map(body), type)
    case .extreme(let isGreatest, let items, let type): return .extreme(isGreatest: isGreatest, items.map(body), type)
    case .array(let items, let type): return .array(items.map(body), type)
    case .row(let items): return .row(items.map(body))
    case .not(let value): return .not(body(value))
    case .isNull(let value, let isNegated): return .isNull(body(value), isNegated: isNegated)
    case .booleanTest(let value, let test): return .booleanTest(body(value), test)
    case .collate(let value): return .collate(body(value))
    case .distinct(let left, let right, let isNegated, let equality):
      return .distinct(body(left), body(right), isNegated: isNegated, equality: equality)
    case .nullIf(let left, let right, let equality): return .nullIf(body(left), body(right), equality: equality)
    case .caseWhen(let branches, let otherwise, let type):
      return .caseWhen(
        branches.map { TypedBranch(condition: body($0.condition), result: body($0.result)) },
        otherwise: otherwise.map(body), type)
    case .inList(let value, let items, let isNegated):
      return .inList(body(value), items.map(body), isNegated: isNegated)
    case .quantified(let signature, let isAll, let value, let array):
      return .quantified(signature, isAll: isAll, body(value), array: body(array))
    case .element(let array, let index, let type): return .element(body(array), index: body(index), type)
    case .subquery(var subquery):
      if case .compare(let tests, let operators, let isAll) = subquery.kind {
        subquery.kind = .compare(tests.map(body), operators, isAll: isAll)
      }
      return .subquery(subquery)
    }
  }

  /// Visits the expression and all below it; queries in subqueries as well where `intoQueries`.
  func visit(intoQueries: Bool = true, _ body: (TypedExpression) -> Void) {
    body(self)
    for child in children { child.visit(intoQueries: intoQueries, body) }
    if intoQueries, case .subquery(let subquery) = self { subquery.query.visit(body) }
  }

  /// Whether any part satisfies it.
  func contains(intoQueries: Bool = true, _ test: (TypedExpression) -> Bool) -> Bool {
    var found = false
    visit(intoQueries: intoQueries) { if !found, test($0) { found = true } }
    return found
  }

  /// Relations of the range table that it speaks of, within its subqueries too.
  var relations: Set<Int> {
    var all: Set<Int> = []
    visit { if case .column(let relation, _, _) = $0 { all.insert(relation) } }
    return all
  }

  /// Whether a subquery is part of it.
  var hasSubquery: Bool {
    contains(intoQueries: false) { if case .subquery = $0 { true } else { false } }
  }

  /// The conjuncts of a condition.
  var conjuncts: [TypedExpression] {
    if case .and(let items) = self { return items.flatMap(\.conjuncts) }
    return [self]
  }
}

extension TypedFrame {
  var offsets: [TypedExpression] {
    [start, end].compactMap { bound in
      switch bound {
      case .preceding(let value), .following(let value): value
      default: nil
      }
    }
  }
}

extension Query {
  /// Visits all expressions in it, those of nested queries too.
  func visit(_ body: (TypedExpression) -> Void) {
    for table in commonTables { table.query.visit(body) }
    for expression in ownExpressions { expression.visit(body) }
    if case .setOperation(_, _, let left, let right) = self.body {
      left.visit(body)
      right.visit(body)
    }
  }

  /// Expressions that stand in it directly.
  var ownExpressions: [TypedExpression] {
    var all: [TypedExpression] = []
    switch body {
    case .select(let select):
      all += select.targets
      if case .on(let keys) = select.distinct { all += keys }
      all += select.from.flatMap(\.conditions)
      all += [select.condition, select.having].compactMap { $0 }
      all += select.groupBy
    case .values(let rows): all += rows.flatMap { $0 }
    case .setOperation: break
    }
    return all + orderBy.map(\.expression) + [limit, offset].compactMap { $0 }
  }
}

extension FromNode {
  /// Conditions of its joins.
  var conditions: [TypedExpression] {
    guard case .join(_, let left, let right, let condition) = self else { return [] }
    return left.conditions + right.conditions + (condition.map { [$0] } ?? [])
  }

  /// Its relations, from left to right.
  var relations: [Int] {
    switch self {
    case .relation(let id): [id]
    case .join(_, let left, let right, _): left.relations + right.relations
    }
  }
}
