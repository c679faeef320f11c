import Metadata
import SQLTypes

/// EXPLAIN: a plan as lines of text, in PostgreSQL's look, with the shards, the partitions and what is pushed down.
struct Explanation {
  private(set) var lines: [String] = []
  private let parameters: [StoredValue]

  init(_ statement: AnalyzedStatement, parameters: [StoredValue]) {
    self.parameters = parameters
    switch statement.plan {
    case .query(let plan): query(plan, depth: 0)
    case .write(.insert(let plan)): insert(plan)
    case .write(.modify(let plan)): modify(plan, statement.command)
    case .write(.modifyByKey(let plan)):
      node(0, "\(statement.command == .delete ? "Delete" : "Update") on \(plan.relation.name) by key")
      detail(0, "Remote SQL", template(plan.template))
      query(plan.query, depth: 1)
    }
  }

  private mutating func node(_ depth: Int, _ text: String) {
    lines.append(depth == 0 ? text : String(repeating: " ", count: depth * 6 - 4) + "->  " + text)
  }

  private mutating func detail(_ depth: Int, _ label: String, _ text: String) {
    lines.append(String(repeating: " ", count: depth * 6 + 2) + "\(label): \(text)")
  }

  // MARK: - Queries

  private mutating func query(_ plan: QueryPlan, depth: Int) {
    // Without its parameters' values a plan is shown as if nothing could be pruned by them.
    let bound = plan.bind(parameters)
    switch bound {
    case .pushdown(let fragment):
      node(depth, "Remote Query on shard \(fragment.shardID)  (tier 1: whole statement)")
      for access in plan.relations { relation(access, depth) }
      detail(depth, "Remote SQL", fragment.sql)
    case .merge(let fragments, let merge):
      node(depth, "\(merge.order.isEmpty ? "Append" : "Merge Append")  (tier 2: merged on the compute node)")
      if let limit = merge.limit { detail(depth, "Limit", text(limit)) }
      if let offset = merge.offset { detail(depth, "Offset", text(offset)) }
      relation(plan.relations[merge.relation], depth)
      self.fragments(fragments, plan.relations[merge.relation], depth + 1)
    case .local(let inputs, let sql, _):
      node(depth, "Local Query  (\(inputs.isEmpty ? "no tables" : "tier 3: on the compute node"))")
      detail(depth, "Local SQL", sql)
      guard case .local(let local) = plan.distributed else { return }
      for (input, source) in zip(inputs, local.inputs) { self.input(input, source, plan, depth + 1) }
    }
  }

  private mutating func input(_ input: BoundInput, _ source: LocalInput, _ plan: QueryPlan, _ depth: Int) {
    switch (input.source, source.source) {
    case (.fragments(let fragments), .tablets(let index, _)):
      node(depth, "Remote Scan on \(plan.relations[index].name) as \(input.table)")
      relation(plan.relations[index], depth)
      self.fragments(fragments, plan.relations[index], depth + 1)
    case (.virtual(let relation, _), _):
      node(depth, "Catalog Scan on \(relation.schema).\(relation.name) as \(input.table)")
    default: break
    }
  }

  private mutating func relation(_ access: RelationAccess, _ depth: Int) {
    guard access.tablets.count != 1 || access.tabletNames.first != access.name else { return }
    let remaining = access.remaining(parameters)
    detail(depth, "Partitions", "\(remaining.count) of \(access.tablets.count) of \(access.name)")
  }

  private mutating func fragments(_ fragments: [Fragment], _ access: RelationAccess, _ depth: Int) {
    for fragment in fragments {
      guard let tablet = fragment.tablets.first else { continue }
      let name = access.tablets.firstIndex(of: tablet).map { access.tabletNames[$0] } ?? access.name
      node(depth, "Remote Scan on \(name)  (shard \(fragment.shardID))")
      detail(depth, "Remote SQL", fragment.sql)
    }
  }

  // MARK: - Writes

  private mutating func insert(_ plan: InsertPlan) {
    node(0, "Insert on \(plan.router.tree.root.name)")
    let tree = plan.router.tree
    if tree.leaves.count != 1 || tree.leafNames.first != tree.root.name {
      let shards = Set(tree.leaves.map(\.shardID)).sorted().map(\.description).joined(separator: ", ")
      detail(0, "Partitions", "routed to \(tree.leaves.count) on shards \(shards)")
    }
    detail(0, "Remote SQL", template(plan.template))
    switch plan.source {
    case .values(let rows): node(1, "Values  (rows=\(rows.count))")
    case .query(let query, _): self.query(query, depth: 1)
    case .rows: node(1, "Copy")
    }
  }

  private mutating func modify(_ plan: ModifyPlan, _ command: AnalyzedStatement.Command) {
    node(0, "\(command == .delete ? "Delete" : "Update") on \(plan.relation.name)")
    relation(plan.relation, 0)
    for fragment in plan.bind(parameters) {
      guard let tablet = fragment.tablets.first else { continue }
      let name =
        plan.relation.tablets.firstIndex(of: tablet).map { plan.relation.tabletNames[$0] } ?? plan.relation.name
      node(1, "Remote \(command == .delete ? "Delete" : "Update") on \(name)  (shard \(fragment.shardID))")
      detail(1, "Remote SQL", fragment.sql)
    }
  }

  private func template(_ template: SQLTemplate) -> String {
    template.parts.map { part in
      switch part {
      case .text(let text): text
      case .table: "tablet"
      case .tabletID: "tablet id"
      case .tableOID: "table oid"
      }
    }.joined()
  }

  private func text(_ parameter: PlanParameter) -> String {
    switch parameter {
    case .constant(.integer(let value)): String(value)
    case .constant: "ALL"
    case .parameter(let number): "$\(number)"
    case .expression(let expression): expression.sql
    case .nextValue: "nextval"
    }
  }
}

extension Planner {
  /// The lines of EXPLAIN, with partitions pruned by the values of $1, $2 … as far as they are given.
  package func explain(_ statement: AnalyzedStatement, parameters: [StoredValue] = []) -> [String] {
    Explanation(statement, parameters: parameters).lines
  }
}
