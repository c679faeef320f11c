import Metadata
import SQLTypes

/// A table and its partitions down to the tablets, as routing and pruning walk it.
package struct PartitionTree: Sendable {
  /// A table of the tree: partitioned, or a leaf with a tablet.
  package struct Node: Sendable {
    package var tableID: ObjectID
    package var name: String
    /// How it spreads its rows; nil for a leaf.
    package var strategy: PartitionStrategy?
    /// Key columns as indexes from 0 into the row.
    package var keyColumns: [Int]
    package var keyNames: [String]
    package var keyTypes: [SQLType]
    package var children: [Child]
    /// Index into the tree's leaves; nil where it is partitioned.
    package var leaf: Int?
  }
  package struct Child: Sendable {
    package var bound: PartitionBound
    package var node: Node
  }

  package var root: Node
  package var leaves: [TabletTarget] = []
  package var leafNames: [String] = []

  /// The tree below a table; a leaf whose tablet is not placed yet is left out, as it has no rows.
  package init(_ tableID: ObjectID, image: Image) {
    root = Node(tableID: tableID, name: "", strategy: nil, keyColumns: [], keyNames: [], keyTypes: [], children: [])
    if let table = image.tables[tableID], let node = makeNode(table, image) { root = node }
  }

  private mutating func makeNode(_ table: TableDefinition, _ image: Image) -> Node? {
    var node = Node(
      tableID: table.id, name: table.name, strategy: table.partitioning?.strategy, keyColumns: [], keyNames: [],
      keyTypes: [], children: [])
    guard let partitioning = table.partitioning else {
      guard let tablet = image.tablet(of: table.id) else { return nil }
      node.leaf = leaves.count
      leaves.append(
        TabletTarget(
          tableID: table.id, tabletID: tablet.id, shardID: tablet.shardID, epoch: tablet.epoch, copies: tablet.copies))
      leafNames.append(table.name)
      return node
    }
    node.keyColumns = partitioning.columns.map { $0 - 1 }
    node.keyNames = node.keyColumns.map { table.columns[$0].name }
    node.keyTypes = node.keyColumns.map { table.columns[$0].type }
    for partition in image.partitions(of: table.id) {
      guard let bound = partition.partition?.bound, let child = makeNode(partition, image) else { continue }
      node.children.append(Child(bound: bound, node: child))
    }
    return node
  }
}

extension PartitionTree.Node {
  /// The child that takes a row with this key, nil where none does.
  func child(forKey key: [StoredValue]) -> Int? {
    let exact: Int?
    switch strategy {
    case .hash:
      let hash = PartitionHash.hash(key, types: keyTypes)
      exact = children.firstIndex {
        guard case .hash(let modulus, let remainder) = $0.bound else { return false }
        return hash % UInt64(modulus) == UInt64(remainder)
      }
    case .list:
      exact = children.firstIndex {
        guard case .list(let values) = $0.bound else { return false }
        return values.contains { KeyOrder.compare($0, key[0], type: keyTypes[0]) == 0 }
      }
    case .range:
      exact = key.contains(.null) ? nil : children.firstIndex { contains(key, $0.bound) }
    case nil: exact = nil
    }
    return exact ?? children.firstIndex { $0.bound == .standard }
  }

  private func contains(_ key: [StoredValue], _ bound: PartitionBound) -> Bool {
    guard case .range(let from, let to) = bound else { return false }
    return compare(key, from) >= 0 && compare(key, to) < 0
  }

  /// The key's place before (negative), at or behind a bound, column by column.
  func compare(_ key: [StoredValue], _ bound: [PartitionBound.Datum]) -> Int {
    for (index, datum) in bound.enumerated() {
      switch datum {
      case .minimum: return 1
      case .maximum: return -1
      case .value(let value):
        let order = KeyOrder.compare(key[index], value, type: keyTypes[index])
        if order != 0 { return order }
      }
    }
    return 0
  }
}

/// Finds the tablet that takes a row.
package struct PartitionRouter: Sendable {
  package var tree: PartitionTree
  /// The partition that the statement names: rows must belong below it.
  package var onlyBelow: TableDefinition?
  package init(tree: PartitionTree, onlyBelow: TableDefinition? = nil) {
    self.tree = tree
    self.onlyBelow = onlyBelow
  }

  /// Index into the tree's leaves for a row with all columns of the root table. Throws 23514 where no partition takes it.
  package func leaf(for row: [StoredValue]) throws(SQLError) -> Int {
    var node = tree.root
    var isBelow = onlyBelow == nil || node.tableID == onlyBelow?.id
    while node.leaf == nil {
      let key = node.keyColumns.map { row[$0] }
      guard let child = node.child(forKey: key) else {
        if let onlyBelow, !isBelow { throw violation(onlyBelow) }
        throw noPartition(node, key)
      }
      node = node.children[child].node
      isBelow = isBelow || node.tableID == onlyBelow?.id
    }
    if let onlyBelow, !isBelow { throw violation(onlyBelow) }
    return node.leaf ?? 0
  }

  private func violation(_ table: TableDefinition) -> SQLError {
    SQLError(
      .checkViolation, "new row for relation \"\(table.name)\" violates partition constraint", table: table.name)
  }

  private func noPartition(_ node: PartitionTree.Node, _ key: [StoredValue]) -> SQLError {
    let names = node.keyNames.map(quoteIdentifier).joined(separator: ", ")
    let values = zip(key, node.keyTypes).map(ValueText.text).joined(separator: ", ")
    return SQLError(
      .checkViolation, "no partition of relation \"\(node.name)\" found for row",
      detail: "Partition key of the failing row contains (\(names)) = (\(values)).", table: node.name)
  }
}
