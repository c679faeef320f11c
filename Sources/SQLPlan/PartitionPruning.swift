import Metadata
import SQLTypes

/// Which partitions a condition leaves, once its parameters are known.
package struct PartitionPruning: Sendable {
  /// What a conjunct says about one column. Values are of the column's own type.
  package struct Condition: Sendable, Hashable {
    package enum Comparison: Sendable, Hashable { case less, lessOrEqual, greater, greaterOrEqual }
    package enum Test: Sendable, Hashable {
      /// Equal to one of these.
      case among([PlanParameter])
      case compare(Comparison, PlanParameter)
      case isNull
    }
    /// Index of the column from 0.
    package var column: Int
    package var test: Test
    package init(column: Int, test: Test) {
      self.column = column
      self.test = test
    }
  }

  package var tree: PartitionTree
  /// A disjunction of conjunctions; each conjunct only narrows what is left.
  package var alternatives: [[Condition]]
  package init(tree: PartitionTree, alternatives: [[Condition]]) {
    self.tree = tree
    self.alternatives = alternatives
  }

  /// Indexes of the leaves that may hold rows, ascending. `parameters` are the values of $1, $2 …
  package func leaves(parameters: [StoredValue]) -> [Int] {
    var all: Set<Int> = []
    for alternative in alternatives {
      guard let known = Known(alternative, parameters) else { continue }
      collect(tree.root, known, into: &all)
    }
    return all.sorted()
  }

  /// What is known of a row's columns where a conjunction holds.
  private struct Known {
    /// Columns that equal one of these; null stands for IS NULL.
    var values: [Int: [StoredValue]] = [:]
    var bounds: [Int: [(Condition.Comparison, StoredValue)]] = [:]

    /// nil where no row can satisfy it: a comparison with null.
    init?(_ conditions: [Condition], _ parameters: [StoredValue]) {
      for condition in conditions {
        switch condition.test {
        case .isNull: values[condition.column] = [.null]
        case .among(let candidates):
          let known = candidates.map { Known.value($0, parameters) }
          // A value that only the storage node will know tells nothing here.
          guard !known.contains(nil) else { continue }
          let present = known.compactMap { $0 }.filter { !$0.isNull }
          if present.isEmpty { return nil }
          values[condition.column] = Known.both(values[condition.column], present)
        case .compare(let comparison, let parameter):
          guard let value = Known.value(parameter, parameters) else { continue }
          if value.isNull { return nil }
          bounds[condition.column, default: []].append((comparison, value))
        }
      }
    }

    /// Values that are in both lists. Those of other types than integers may be equal in several forms: of these the shorter
    /// list stands for both.
    private static func both(_ earlier: [StoredValue]?, _ present: [StoredValue]) -> [StoredValue] {
      guard let earlier else { return present }
      let isExact = (earlier + present).allSatisfy { $0.integerValue != nil }
      return isExact ? present.filter { earlier.contains($0) } : earlier.count < present.count ? earlier : present
    }

    private static func value(_ parameter: PlanParameter, _ parameters: [StoredValue]) -> StoredValue? {
      switch parameter {
      case .constant(let value): value
      case .parameter(let number): number >= 1 && number <= parameters.count ? parameters[number - 1] : nil
      case .expression, .nextValue: nil
      }
    }
  }

  private func collect(_ node: PartitionTree.Node, _ known: Known, into all: inout Set<Int>) {
    if let leaf = node.leaf {
      all.insert(leaf)
      return
    }
    for index in children(node, known) { collect(node.children[index].node, known, into: &all) }
  }

  private func children(_ node: PartitionTree.Node, _ known: Known) -> [Int] {
    // All key columns are known: look up each combination, within reason.
    let lists = node.keyColumns.map { known.values[$0] ?? [] }
    let combinations = lists.reduce(1) { $0 * $1.count }
    if combinations > 0, combinations <= 10_000 {
      var found: Set<Int> = []
      forEachCombination(lists, []) { key in
        if let child = node.child(forKey: key) { found.insert(child) }
      }
      return found.sorted()
    }
    switch node.strategy {
    case .range: return node.children.indices.filter { mayHold(node, node.children[$0].bound, known) }
    case .list: return node.children.indices.filter { mayHoldListed(node, node.children[$0].bound, known) }
    case .hash, nil: return Array(node.children.indices)
    }
  }

  private func forEachCombination(_ lists: [[StoredValue]], _ prefix: [StoredValue], _ body: ([StoredValue]) -> Void) {
    guard prefix.count < lists.count else { return body(prefix) }
    for value in lists[prefix.count] { forEachCombination(lists, prefix + [value], body) }
  }

  /// Looks at the first key column only; the rest is for the tablet to filter.
  private func mayHold(_ node: PartitionTree.Node, _ bound: PartitionBound, _ known: Known) -> Bool {
    guard case .range(let from, let to) = bound, let column = node.keyColumns.first else { return true }
    let type = node.keyTypes[0]
    let isSingle = node.keyColumns.count == 1
    func isBelowRange(_ value: StoredValue, orEqual: Bool) -> Bool {
      guard case .value(let lower) = from[0] else { return from[0] == .maximum }
      let order = KeyOrder.compare(value, lower, type: type)
      return order < 0 || (order == 0 && !orEqual)
    }
    func isAboveRange(_ value: StoredValue) -> Bool {
      guard case .value(let upper) = to[0] else { return to[0] == .minimum }
      let order = KeyOrder.compare(value, upper, type: type)
      return order > 0 || (order == 0 && isSingle)
    }
    if let values = known.values[column] {
      return values.contains { !isBelowRange($0, orEqual: true) && !isAboveRange($0) }
    }
    return (known.bounds[column] ?? []).allSatisfy { comparison, value in
      switch comparison {
      case .less: !isBelowRange(value, orEqual: false)
      case .lessOrEqual: !isBelowRange(value, orEqual: true)
      case .greater, .greaterOrEqual: !isAboveRange(value)
      }
    }
  }

  private func mayHoldListed(_ node: PartitionTree.Node, _ bound: PartitionBound, _ known: Known) -> Bool {
    guard case .list(let values) = bound, let bounds = known.bounds[node.keyColumns[0]] else { return true }
    return values.contains { value in
      guard !value.isNull else { return false }
      return bounds.allSatisfy { comparison, limit in
        let order = KeyOrder.compare(value, limit, type: node.keyTypes[0])
        switch comparison {
        case .less: return order < 0
        case .lessOrEqual: return order <= 0
        case .greater: return order > 0
        case .greaterOrEqual: return order >= 0
        }
      }
    }
  }
}
