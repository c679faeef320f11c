import Metadata
import SQLTypes

extension RelationAccess {
  /// Tablets that may hold rows of interest, given the values of $1, $2 …
  package func remaining(_ parameters: [StoredValue]) -> [TabletTarget] {
    guard let pruning else { return tablets }
    return pruning.leaves(parameters: parameters).map { tablets[$0] }
  }
}

extension SQLTemplate {
  /// The fragment for these tablets, which are on one shard.
  func fragment(
    _ tablets: [TabletTarget], _ values: [StoredValue], isWrite: Bool = false, isKeyed: Bool = false
  ) -> Fragment {
    Fragment(
      shardID: tablets.first?.shardID ?? ShardID(rawValue: 0), tablets: tablets, sql: sql(tablets),
      parameters: parameters.map { $0.bound(values) }, columnCount: columnCount, isWrite: isWrite,
      isKeyed: isKeyed)
  }
}

extension PlanParameter {
  /// The same, with $n replaced by its value, within expressions too.
  package func bound(_ values: [StoredValue]) -> PlanParameter {
    switch self {
    case .constant, .nextValue: return self
    case .parameter(let number):
      return .constant(number >= 1 && number <= values.count ? values[number - 1] : .null)
    case .expression(var expression):
      guard !expression.parameters.isEmpty else { return self }
      expression.parameters = expression.parameters.map { $0.bound(values) }
      return .expression(expression)
    }
  }
}

extension QueryPlan {
  /// The exact fragments for these values of $1, $2 …
  package func bind(_ parameters: [StoredValue], reading choice: CopyChoice = .nearest(0)) -> BoundQuery {
    let remaining = choice.chosen(of: relations.map { $0.remaining(parameters) })
    if let pushdown, let tablets = onePerRelation(remaining) {
      return .pushdown(pushdown.fragment(tablets, parameters))
    }
    switch distributed {
    case .merge(var plan):
      plan.limit = plan.limit?.bound(parameters)
      plan.offset = plan.offset?.bound(parameters)
      let fragments = remaining[plan.relation].map { plan.template.fragment([$0], parameters) }
      return .merge(fragments, plan)
    case .local(let plan):
      let inputs = plan.inputs.map { $0.bind(remaining, parameters) }
      return .local(inputs, sql: plan.sql, parameters: plan.parameters.map { $0.bound(parameters) })
    }
  }

  /// One tablet for each relation, all on one shard; nil where that is not so.
  private func onePerRelation(_ remaining: [[TabletTarget]]) -> [TabletTarget]? {
    var tablets: [TabletTarget] = []
    for candidates in remaining {
      guard candidates.count == 1, candidates[0].shardID == (tablets.first ?? candidates[0]).shardID else { return nil }
      tablets.append(candidates[0])
    }
    return tablets.isEmpty ? nil : tablets
  }
}

extension LocalInput {
  fileprivate func bind(_ remaining: [[TabletTarget]], _ parameters: [StoredValue]) -> BoundInput {
    let source: BoundInput.Source
    switch self.source {
    case .tablets(let relation, let template):
      source = .fragments(remaining[relation].map { template.fragment([$0], parameters) })
    case .virtual(let relation, let columns): source = .virtual(relation, columns: columns)
    }
    return BoundInput(table: table, createSQL: createSQL, columnCount: columnCount, source: source)
  }
}

extension MergePlan {
  /// Whether a row goes before another: for merging the fragments' sorted rows.
  package func isOrderedBefore(_ left: [StoredValue], _ right: [StoredValue]) -> Bool {
    for key in order {
      let (a, b) = (left[key.column], right[key.column])
      if a.isNull || b.isNull {
        if a.isNull && b.isNull { continue }
        return a.isNull == key.nullsFirst
      }
      let comparison = KeyOrder.compare(a, b, by: key.comparison)
      if comparison != 0 { return (comparison < 0) != key.isDescending }
    }
    return false
  }
}

extension ModifyPlan {
  /// One fragment per tablet that is left after pruning.
  package func bind(_ parameters: [StoredValue]) -> [Fragment] {
    let others = others.flatMap { $0.remaining(parameters) }
    return relation.remaining(parameters).map {
      template.fragment([$0] + others, parameters, isWrite: true, isKeyed: isKeyed)
    }
  }
}

extension InsertPlan {
  /// Sends complete rows to their tablets; fragments in the order of the partitions. Throws 23514 where a row has none.
  package func route(_ rows: [[StoredValue]], parameters: [StoredValue]) throws(SQLError) -> [RoutedRows] {
    var byLeaf: [Int: [Int]] = [:]
    for (index, row) in rows.enumerated() { byLeaf[try router.leaf(for: row), default: []].append(index) }
    return byLeaf.keys.sorted().flatMap { leaf in
      template.fragment([router.tree.leaves[leaf]], parameters, isWrite: true, isKeyed: true).forAllCopies.map {
        RoutedRows(fragment: $0, rows: byLeaf[leaf] ?? [])
      }
    }
  }
}

/// Looks for rows of one INSERT that ON CONFLICT DO UPDATE would meet twice.
package struct InsertArbiter {
  private let plan: InsertPlan
  private var seen: Set<[StoredValue]> = []

  package init(_ plan: InsertPlan) { self.plan = plan }

  /// Throws 21000 where one of the rows conflicts with an earlier one.
  package mutating func check(_ rows: [[StoredValue]]) throws(SQLError) {
    guard !plan.arbiter.isEmpty else { return }
    for row in rows {
      let key = plan.arbiter.map { KeyOrder.normalized(row[$0], plan.columnTypes[$0]) }
      if key.contains(.null) { continue }
      guard seen.insert(key).inserted else {
        throw SQLError(
          .cardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time",
          hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
      }
    }
  }
}

extension KeyedModifyPlan {
  /// The fragment that changes rows of the tablet with this id (of a mirror table: of its first copy): the rows of the query, without
  /// their first column, are its parameter rows, each followed by the fragment's parameters. nil where the plan does not know the tablet.
  package func fragment(tabletID: TabletID, parameters: [StoredValue]) -> Fragment? {
    relation.tablets.first { $0.tabletID == tabletID }.map { template.fragment([$0], parameters, isWrite: true) }
  }

  /// Where a row goes, given as the parameters of the template; nil where it stays. Throws 23514 where no partition takes it.
  package func destination(of row: [StoredValue], from tabletID: TabletID) throws(SQLError) -> TabletTarget? {
    guard let move else { return nil }
    let target = move.router.tree.leaves[try move.router.leaf(for: move.newRow.map { row[$0] })]
    return target.tabletID == tabletID ? nil : target
  }

  /// What takes rows out of the tablet with this id, for those that move; nil where the plan does not know the tablet.
  package func removal(tabletID: TabletID, parameters: [StoredValue]) -> Fragment? {
    guard let move, let tablet = relation.tablets.first(where: { $0.tabletID == tabletID }) else { return nil }
    return move.delete.fragment([tablet], parameters, isWrite: true)
  }

  /// What puts rows into the tablet.
  package func arrival(_ target: TabletTarget, parameters: [StoredValue]) -> Fragment? {
    move?.insert.fragment([target], parameters, isWrite: true)
  }
}

extension Plan {
  /// Shards that running the plan writes, ascending, as far as is known before rows are routed: for INSERT, all of the
  /// table's. A transaction that has written another must refuse, before anything is sent.
  package func writtenShards(_ parameters: [StoredValue]) -> [ShardID] {
    let tablets: [TabletTarget]
    switch self {
    case .query: tablets = []
    case .write(.insert(let plan)): tablets = plan.router.tree.leaves
    case .write(.modify(let plan)): tablets = plan.relation.remaining(parameters)
    case .write(.modifyByKey(let plan)): tablets = plan.relation.remaining(parameters)
    }
    return Set(tablets.map(\.shardID)).sorted()
  }
}
