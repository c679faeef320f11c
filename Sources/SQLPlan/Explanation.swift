import Metadata
import SQLTypes

/// EXPLAIN: a plan as a tree of nodes, with the shards, the partitions and what is pushed down; as lines of text in PostgreSQL's
/// look, or as JSON in its form (PostgreSQL 15 manual, EXPLAIN).
package struct Explanation: Sendable {
  /// A step of a plan.
  package struct Node: Sendable {
    /// As the text shows it.
    var title: String
    /// "Node Type" of the JSON form, and what else the title says.
    var type: String
    var properties: [(name: String, value: Value)] = []
    /// Shown as lines below the title, and as properties of the same names in JSON.
    var details: [(name: String, value: String)] = []
    var children: [Node] = []
  }
  enum Value: Sendable {
    case text(String)
    case number(Int)
  }

  package var root: Node

  package init(_ statement: AnalyzedStatement, parameters: [StoredValue]) {
    root = Builder(parameters: parameters).node(statement)
  }

  /// The tree in lines.
  package var lines: [String] {
    var lines: [String] = []
    append(root, depth: 0, to: &lines)
    return lines
  }

  private func append(_ node: Node, depth: Int, to lines: inout [String]) {
    lines.append(depth == 0 ? node.title : String(repeating: " ", count: depth * 6 - 4) + "->  " + node.title)
    for detail in node.details {
      lines.append(String(repeating: " ", count: depth * 6 + 2) + "\(detail.name): \(detail.value)")
    }
    for child in node.children { append(child, depth: depth + 1, to: &lines) }
  }
}

/// Makes the nodes.
private struct Builder {
  let parameters: [StoredValue]

  func node(_ statement: AnalyzedStatement) -> Explanation.Node {
    switch statement.plan {
    case .query(let plan):
      var node = query(plan)
      if let locks = plan.locks {
        node.details.append(("Row Locks", "\(locks.clause) on \(locks.relations.map(\.name).joined(separator: ", "))"))
      }
      return node
    case .write(.insert(let plan)): return insert(plan)
    case .write(.modify(let plan)): return modify(plan, statement.command)
    case .write(.modifyByKey(let plan)):
      let word = statement.command == .delete ? "Delete" : "Update"
      var node = write(word, plan.relation.name, suffix: " by key")
      node.details += copies(plan.relation.tablets)
      node.details.append(("Remote SQL", template(plan.template)))
      if let move = plan.move { node.details.append(("Moved Rows", template(move.insert))) }
      node.children = [query(plan.query)]
      return node
    }
  }

  private func write(_ word: String, _ relation: String, suffix: String = "") -> Explanation.Node {
    Explanation.Node(
      title: "\(word) on \(relation)\(suffix)", type: "ModifyTable",
      properties: [("Operation", .text(word)), ("Relation Name", .text(relation))])
  }

  // MARK: - Queries

  private func query(_ plan: QueryPlan) -> Explanation.Node {
    // Without its parameters' values a plan is shown as if nothing could be pruned by them.
    switch plan.bind(parameters) {
    case .pushdown(let fragment):
      return Explanation.Node(
        title: "Remote Query on shard \(fragment.shardID)  (tier 1: whole statement)", type: "Remote Query",
        properties: [("Shard", .number(Int(fragment.shardID.rawValue))), ("Tier", .number(1))],
        details: plan.relations.compactMap(partitions) + [("Remote SQL", fragment.sql)])
    case .merge(let fragments, let merge):
      let type = merge.order.isEmpty ? "Append" : "Merge Append"
      var node = Explanation.Node(
        title: "\(type)  (tier 2: merged on the compute node)", type: type, properties: [("Tier", .number(2))])
      if let limit = merge.limit { node.details.append(("Limit", text(limit))) }
      if let offset = merge.offset { node.details.append(("Offset", text(offset))) }
      let relation = plan.relations[merge.relation]
      node.details += [relation].compactMap(partitions)
      node.children = scans(fragments, relation)
      return node
    case .local(let inputs, let sql, _):
      var node = Explanation.Node(
        title: "Local Query  (\(inputs.isEmpty ? "no tables" : "tier 3: on the compute node"))", type: "Local Query",
        properties: inputs.isEmpty ? [] : [("Tier", .number(3))], details: [("Local SQL", sql)])
      guard case .local(let local) = plan.distributed else { return node }
      node.children = zip(inputs, local.inputs).compactMap { input($0, $1, plan) }
      return node
    }
  }

  private func input(_ input: BoundInput, _ source: LocalInput, _ plan: QueryPlan) -> Explanation.Node? {
    switch (input.source, source.source) {
    case (.fragments(let fragments), .tablets(let index, _)):
      let relation = plan.relations[index]
      return Explanation.Node(
        title: "Remote Scan on \(relation.name) as \(input.table)", type: "Remote Scan",
        properties: [("Relation Name", .text(relation.name)), ("Alias", .text(input.table))],
        details: [relation].compactMap(partitions), children: scans(fragments, relation))
    case (.virtual(let relation, _), _):
      return Explanation.Node(
        title: "Catalog Scan on \(relation.schema).\(relation.name) as \(input.table)", type: "Catalog Scan",
        properties: [
          ("Relation Name", .text(relation.name)), ("Schema", .text(relation.schema)), ("Alias", .text(input.table)),
        ])
    default: return nil
    }
  }

  private func partitions(_ access: RelationAccess) -> (name: String, value: String)? {
    guard access.tablets.count != 1 || access.tabletNames.first != access.name else { return nil }
    let remaining = access.remaining(parameters)
    return ("Partitions", "\(remaining.count) of \(access.tablets.count) of \(access.name)")
  }

  private func scans(
    _ fragments: [Fragment], _ access: RelationAccess, verb: String = "Scan"
  ) -> [Explanation.Node] {
    fragments.compactMap { fragment in
      guard let tablet = fragment.tablets.first else { return nil }
      let name =
        access.tablets.firstIndex { $0.tabletID == tablet.tabletID }.map { access.tabletNames[$0] } ?? access.name
      return Explanation.Node(
        title: "Remote \(verb) on \(name)  (shard \(fragment.shardID))", type: "Remote \(verb)",
        properties: [("Relation Name", .text(name)), ("Shard", .number(Int(fragment.shardID.rawValue)))],
        details: [("Remote SQL", fragment.sql)])
    }
  }

  // MARK: - Writes

  private func insert(_ plan: InsertPlan) -> Explanation.Node {
    let tree = plan.router.tree
    var node = write("Insert", tree.root.name)
    if tree.leaves.count != 1 || tree.leafNames.first != tree.root.name {
      let shards = Set(tree.leaves.map(\.shardID)).sorted().map(\.description).joined(separator: ", ")
      node.details.append(("Partitions", "routed to \(tree.leaves.count) on shards \(shards)"))
    }
    node.details += copies(tree.leaves)
    node.details.append(("Remote SQL", template(plan.template)))
    switch plan.source {
    case .values(let rows):
      node.children = [
        Explanation.Node(
          title: "Values  (rows=\(rows.count))", type: "Values Scan", properties: [("Plan Rows", .number(rows.count))])
      ]
    case .query(let query, _): node.children = [self.query(query)]
    case .rows: node.children = [Explanation.Node(title: "Copy", type: "Copy")]
    }
    return node
  }

  /// Where a mirror table is written.
  private func copies(_ tablets: [TabletTarget]) -> [(name: String, value: String)] {
    guard let copies = tablets.first?.copies, !copies.isEmpty else { return [] }
    return [("Copies", "shards " + copies.map(\.description).joined(separator: ", "))]
  }

  private func modify(_ plan: ModifyPlan, _ command: AnalyzedStatement.Command) -> Explanation.Node {
    let word = command == .delete ? "Delete" : "Update"
    var node = write(word, plan.relation.name)
    node.details = [plan.relation].compactMap(partitions)
    node.children = scans(plan.bind(parameters), plan.relation, verb: word)
    return node
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

// MARK: - JSON

extension Explanation {
  /// The tree in PostgreSQL's form of JSON: an array of one object with the plan, then `properties` of the whole, whose values
  /// are JSON.
  package func json(_ properties: [(name: String, value: String)] = []) -> String {
    var text = "[\n  {\n    \"Plan\": "
    append(root, indent: 4, to: &text)
    for property in properties { text += ",\n    \(Self.quoted(property.name)): \(property.value)" }
    return text + "\n  }\n]"
  }

  private func append(_ node: Node, indent: Int, to text: inout String) {
    let margin = String(repeating: " ", count: indent + 2)
    text += "{\n\(margin)\"Node Type\": \(Self.quoted(node.type))"
    for property in node.properties {
      switch property.value {
      case .text(let value): text += ",\n\(margin)\(Self.quoted(property.name)): \(Self.quoted(value))"
      case .number(let value): text += ",\n\(margin)\(Self.quoted(property.name)): \(value)"
      }
    }
    for detail in node.details { text += ",\n\(margin)\(Self.quoted(detail.name)): \(Self.quoted(detail.value))" }
    if !node.children.isEmpty {
      text += ",\n\(margin)\"Plans\": [\n"
      for (index, child) in node.children.enumerated() {
        text += margin + "  "
        append(child, indent: indent + 4, to: &text)
        text += index < node.children.count - 1 ? ",\n" : "\n"
      }
      text += "\(margin)]"
    }
    text += "\n\(String(repeating: " ", count: indent))}"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

extension Planner {
  /// What EXPLAIN shows, with partitions pruned by the values of $1, $2 … as far as they are given.
  package func explain(_ statement: AnalyzedStatement, parameters: [StoredValue] = []) -> Explanation {
    Explanation(statement, parameters: parameters)
  }
}
