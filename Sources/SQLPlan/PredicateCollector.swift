import SQLTree
import SQLTypes

/// Conditions that hold for all rows of a table that matter to a query: what its tablets may filter by.
struct PredicateCollector {
  let rangeTable: RangeTable
  private(set) var predicates: [Int: [TypedExpression]] = [:]

  init(rangeTable: RangeTable, query: Query) {
    self.rangeTable = rangeTable
    var selects: [Select] = []
    var walker = QueryWalker(rangeTable: rangeTable)
    walker.onQuery = { if case .select(let select) = $0.body { selects.append(select) } }
    walker.walk(query)
    for select in selects { collect(select) }
  }

  private mutating func collect(_ select: Select) {
    let nullable = Set(select.from.flatMap(\.nullableRelations))
    var inner = select.condition?.conjuncts ?? []
    for node in select.from { collect(node, isInner: true, &inner) }
    for conjunct in inner + Self.derived(inner) { push(conjunct, nullable: nullable) }
  }

  /// Join conditions: those of inner joins count like WHERE's, those of an outer join for its nullable side only.
  private mutating func collect(_ node: FromNode, isInner: Bool, _ conjuncts: inout [TypedExpression]) {
    guard case .join(let kind, let left, let right, let condition) = node else { return }
    let items = condition?.conjuncts ?? []
    switch kind {
    case .inner:
      if isInner {
        conjuncts += items
      } else {
        let nullable = Set(node.nullableRelations)
        for item in items { push(item, nullable: nullable) }
      }
      collect(left, isInner: isInner, &conjuncts)
      collect(right, isInner: isInner, &conjuncts)
    case .left:
      pushSide(items, right)
      collect(left, isInner: isInner, &conjuncts)
      collect(right, isInner: false, &conjuncts)
    case .right:
      pushSide(items, left)
      collect(left, isInner: false, &conjuncts)
      collect(right, isInner: isInner, &conjuncts)
    case .full:
      collect(left, isInner: false, &conjuncts)
      collect(right, isInner: false, &conjuncts)
    }
  }

  private mutating func pushSide(_ conjuncts: [TypedExpression], _ side: FromNode) {
    let relations = Set(side.relations)
    let nullable = Set(side.nullableRelations)
    for conjunct in conjuncts where conjunct.relations.isSubset(of: relations) { push(conjunct, nullable: nullable) }
  }

  private mutating func push(_ conjunct: TypedExpression, nullable: Set<Int>) {
    guard conjunct.relations.count == 1, let id = conjunct.relations.first, !nullable.contains(id), conjunct.isPushable
    else { return }
    switch rangeTable[id].source {
    case .table: predicates[id, default: []].append(conjunct)
    case .subquery(let query):
      // Through views and subqueries that only filter and project.
      guard case .select(let select) = query.body, !select.isGrouped, !select.hasWindows, select.distinct == .no,
        query.limit == nil, query.offset == nil
      else { return }
      let inner = conjunct.substituting(id, select.targets)
      push(inner, nullable: Set(select.from.flatMap(\.nullableRelations)))
    default: return
    }
  }

  /// `a = b` and `a = 5` give `b = 5`.
  private static func derived(_ conjuncts: [TypedExpression]) -> [TypedExpression] {
    var equalities: [(TypedExpression, TypedExpression)] = []
    var constants: [(TypedExpression, TypedExpression.Call, Int)] = []
    for case .call(let call) in conjuncts where call.signature.name == "=" && call.arguments.count == 2 {
      let (left, right) = (call.arguments[0], call.arguments[1])
      guard left.type.base == right.type.base else { continue }
      if case .column = left, case .column = right {
        equalities.append((left, right))
      } else if case .column = left, right.planParameter != nil {
        constants.append((left, call, 0))
      } else if case .column = right, left.planParameter != nil {
        constants.append((right, call, 1))
      }
    }
    var result: [TypedExpression] = []
    for (column, call, place) in constants {
      var known = [column]
      var index = 0
      while index < known.count {
        for (left, right) in equalities {
          if left == known[index], !known.contains(right) { known.append(right) }
          if right == known[index], !known.contains(left) { known.append(left) }
        }
        index += 1
      }
      for other in known.dropFirst() {
        var copy = call
        copy.arguments[place] = other
        result.append(.call(copy))
      }
    }
    return result
  }
}

/// What conditions say about partition keys.
struct PruningBuilder {
  /// More alternatives than this are not worth looking at.
  private static let maximumAlternatives = 64

  let relation: Int
  let columns: Set<Int>

  init(relation: Int, tree: PartitionTree) {
    self.relation = relation
    var columns: Set<Int> = []
    func collect(_ node: PartitionTree.Node) {
      columns.formUnion(node.keyColumns)
      for child in node.children { collect(child.node) }
    }
    collect(tree.root)
    self.columns = columns
  }

  /// Alternatives of which one holds where all conditions do; nil where they say nothing.
  func alternatives(_ conditions: [TypedExpression]) -> [[PartitionPruning.Condition]]? {
    var all: [[PartitionPruning.Condition]] = [[]]
    var isUseful = false
    for condition in conditions {
      guard let some = alternatives(condition) else { continue }
      guard all.count * some.count <= Self.maximumAlternatives else { continue }
      isUseful = true
      all = all.flatMap { head in some.map { head + $0 } }
    }
    return isUseful ? all : nil
  }

  private func alternatives(_ condition: TypedExpression) -> [[PartitionPruning.Condition]]? {
    switch condition {
    case .and(let items): return alternatives(items)
    case .or(let items):
      var all: [[PartitionPruning.Condition]] = []
      for item in items {
        guard let some = alternatives(item) else { return nil }
        all += some
      }
      return all.count <= Self.maximumAlternatives ? all : nil
    case .inList(let value, let items, false):
      guard let (column, type) = column(value) else { return nil }
      let values = items.compactMap { isComparable($0.type, type) ? $0.planParameter : nil }
      guard values.count == items.count else { return nil }
      return [[PartitionPruning.Condition(column: column, test: .among(values))]]
    case .isNull(let value, false):
      guard let (column, _) = column(value) else { return nil }
      return [[PartitionPruning.Condition(column: column, test: .isNull)]]
    case .column(_, _, .bool): return boolean(condition, true)
    case .not(let value): return boolean(value, false)
    case .call(let call): return comparison(call)
    default: return nil
    }
  }

  private func boolean(_ value: TypedExpression, _ truth: Bool) -> [[PartitionPruning.Condition]]? {
    guard let (column, type) = column(value), type.oid == SQLType.bool.oid else { return nil }
    return [[PartitionPruning.Condition(column: column, test: .among([.constant(.boolean(truth))]))]]
  }

  private func comparison(_ call: TypedExpression.Call) -> [[PartitionPruning.Condition]]? {
    guard call.arguments.count == 2, call.signature.kind == .infixOperator else { return nil }
    let mirrored = ["=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="]
    var name = call.signature.name
    var (left, right) = (call.arguments[0], call.arguments[1])
    if column(left) == nil {
      guard let other = mirrored[name] else { return nil }
      (left, right, name) = (right, left, other)
    }
    guard let (column, type) = column(left), let value = right.planParameter, isComparable(right.type, type) else {
      return nil
    }
    let test: PartitionPruning.Condition.Test
    switch name {
    case "=": test = .among([value])
    case "<": test = .compare(.less, value)
    case "<=": test = .compare(.lessOrEqual, value)
    case ">": test = .compare(.greater, value)
    case ">=": test = .compare(.greaterOrEqual, value)
    default: return nil
    }
    return [[PartitionPruning.Condition(column: column, test: test)]]
  }

  private func column(_ expression: TypedExpression) -> (Int, SQLType)? {
    guard case .column(relation, let index, let type) = expression.unwrapped, columns.contains(index) else {
      return nil
    }
    return (index, type)
  }

  /// Whether values of the type are stored as the column's are.
  private func isComparable(_ type: SQLType, _ column: SQLType) -> Bool {
    if type.oid == column.oid { return true }
    let integers: Set<UInt32> = [SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid, SQLType.oid.oid]
    let texts: Set<UInt32> = [SQLType.text.oid, SQLType.varchar.oid, SQLType.bpchar.oid, SQLType.name.oid]
    let floats: Set<UInt32> = [SQLType.float4.oid, SQLType.float8.oid]
    return [integers, texts, floats].contains { $0.contains(type.oid) && $0.contains(column.oid) }
  }
}
