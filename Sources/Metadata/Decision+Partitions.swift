import SQLTypes

/// Partitioned tables and their partitions.
extension Decision {
  /// The key of a new partitioned table, by column numbers.
  func resolved(_ draft: PartitioningDraft, _ table: TableDefinition) throws(Rejection) -> Partitioning {
    guard draft.strategy != .list || draft.columns.count == 1 else {
      throw Rejection(
        .invalidObjectDefinition, "cannot use \"list\" partition strategy with more than one column")
    }
    guard !draft.columns.isEmpty, draft.columns.count <= 32 else {
      throw Rejection(.tooManyColumns, "cannot partition using more than 32 columns")
    }
    var columns: [Int] = []
    for name in draft.columns {
      guard let number = table.columnNumber(name) else {
        throw Rejection(.undefinedColumn, "column \"\(name)\" named in partition key does not exist")
      }
      columns.append(number)
    }
    return Partitioning(strategy: draft.strategy, columns: columns)
  }

  /// Makes a table the partition that a draft describes: the parent's columns and checks, what the draft overrides, and a
  /// bound that fits among the other partitions'.
  func inherit(
    from membership: PartitionMembership, into table: inout TableDefinition, _ draft: TableDraft
  ) throws(Rejection) {
    let parent = try self.table(membership.parentID)
    guard let partitioning = parent.partitioning else {
      throw Rejection(.invalidObjectDefinition, "table \"\(parent.name)\" is not partitioned")
    }
    table.columns = parent.columns
    table.checks = parent.checks
    var seen: Set<String> = []
    for column in draft.columns {
      guard let number = parent.columnNumber(column.name) else {
        throw Rejection(.undefinedColumn, "column \"\(column.name)\" does not exist")
      }
      guard seen.insert(column.name).inserted else {
        throw Rejection(.duplicateColumn, "column \"\(column.name)\" specified more than once")
      }
      guard column.identity == nil, column.sequence == nil else {
        throw Rejection(.featureNotSupported, "identity columns are not supported on partitions")
      }
      if column.isNotNull { table.columns[number - 1].isNotNull = true }
      if let expression = column.defaultExpression {
        table.columns[number - 1].defaultExpression = expression
        table.columns[number - 1].sequenceID = nil
      }
    }
    let types = partitioning.columns.map { parent.columns[$0 - 1].type }
    let rules = PartitionRules(
      parentName: parent.name, strategy: partitioning.strategy, types: types,
      existing: image.partitions(of: parent.id).compactMap { partition in
        partition.partition.map { PartitionRules.Existing(name: partition.name, bound: $0.bound) }
      })
    table.partition?.bound = try rules.checked(membership.bound, name: table.name)
  }

  /// Gives a new partition a counterpart of each of its parent's indexes and keys.
  mutating func inheritIndexes(
    of parentID: ObjectID, by table: TableDefinition, _ draft: TableDraft
  ) throws(Rejection) {
    // Names that the draft gives to its own keys are theirs.
    let reserved = Set(draft.keys.compactMap(\.name))
    for index in image.indexes(of: parentID) {
      let name = generatedIndexName(
        table, parts: index.parts, constraint: index.constraint, taken: reserved)
      try createIndexTree(
        on: table, name: name, parts: index.parts, isUnique: index.isUnique, constraint: index.constraint,
        parentID: index.id)
    }
  }

  /// A unique index of a partitioned table can only be kept by its partitions where it includes the partition key.
  func checkUniqueness(
    on table: TableDefinition, parts: [IndexDefinition.Part], constraint: IndexDefinition.Constraint?
  ) throws(Rejection) {
    guard let partitioning = table.partitioning else { return }
    for column in partitioning.columns where !parts.contains(where: { $0.column == column }) {
      let kind = constraint == .primaryKey ? "PRIMARY KEY" : "UNIQUE"
      throw Rejection(
        .featureNotSupported, "unique constraint on partitioned table must include all partitioning columns",
        detail: "\(kind) constraint on table \"\(table.name)\" lacks column \"\(table.columns[column - 1].name)\" "
          + "which is part of the partition key.")
    }
  }
}
