import Metadata
import SQLTypes

// What a partition's bound says of its rows, as `pg_get_partition_constraintdef` prints it.
extension CatalogView {
  /// The condition that the rows of a partition meet, those of the partitions around it included; nil where there is none.
  func partitionConstraint(_ oid: UInt32) -> String? {
    var conditions: [String] = []
    var current = image.tables[ObjectID(rawValue: oid)]
    while let table = current, let membership = table.partition, let parent = image.tables[membership.parentID] {
      conditions = boundConditions(membership.bound, parent, table) + conditions
      current = parent
    }
    guard conditions.count > 1 else { return conditions.first }
    return "(\(conditions.joined(separator: " AND ")))"
  }

  private func boundConditions(
    _ bound: PartitionBound, _ parent: TableDefinition, _ table: TableDefinition
  ) -> [String] {
    let columns = (parent.partitioning?.columns ?? []).map { parent.columns[$0 - 1] }
    let names = columns.map { Self.quote($0.name) }
    switch bound {
    case .hash(let modulus, let remainder):
      let list = names.joined(separator: ", ")
      return ["satisfies_hash_partition('\(parent.id)'::oid, \(modulus), \(remainder), \(list))"]
    case .list(let values):
      guard let column = columns.first else { return [] }
      return listConditions(values, names[0], column.type)
    case .range(let from, let to):
      let present = names.map { "(\($0) IS NOT NULL)" }
      let types = columns.map(\.type)
      return present
        + [rangeCondition(from, names, types, isLower: true), rangeCondition(to, names, types, isLower: false)]
        .compactMap { $0 }
    case .standard:
      let others = image.partitions(of: parent.id).filter { $0.id != table.id }
      let taken = others.compactMap { other -> String? in
        guard let bound = other.partition?.bound else { return nil }
        let conditions = boundConditions(bound, parent, other)
        return conditions.count == 1 ? conditions[0] : "(\(conditions.joined(separator: " AND ")))"
      }
      guard !taken.isEmpty else { return [] }
      return ["(NOT \(taken.count == 1 ? taken[0] : "(\(taken.joined(separator: " OR ")))"))"]
    }
  }

  private func listConditions(_ values: [StoredValue], _ name: String, _ type: SQLType) -> [String] {
    let constants = values.filter { !$0.isNull }.map { constant($0, type) }
    let isOneOf =
      constants.count == 1
      ? "(\(name) = \(constants[0]))" : "(\(name) = ANY (ARRAY[\(constants.joined(separator: ", "))]))"
    guard constants.count < values.count else { return ["(\(name) IS NOT NULL)", isOneOf] }
    return [constants.isEmpty ? "(\(name) IS NULL)" : "((\(name) IS NULL) OR \(isOneOf))"]
  }

  /// Row by row comparison, column after column: `((a > 1) OR ((a = 1) AND (b >= 2)))`.
  private func rangeCondition(
    _ data: [PartitionBound.Datum], _ names: [String], _ types: [SQLType], isLower: Bool
  ) -> String? {
    var alternatives: [String] = []
    var equal: [String] = []
    for (index, datum) in data.enumerated() {
      guard case .value(let value) = datum else { break }
      let text = constant(value, types[index])
      let next = index + 1 < data.count ? data[index + 1] : nil
      // With MINVALUE below, or MAXVALUE above, all rows that agree so far belong to it.
      let includesEqual = isLower ? next == nil || next == .minimum : next == .maximum
      let sign = (isLower ? ">" : "<") + (includesEqual ? "=" : "")
      alternatives.append(joined(equal + ["(\(names[index]) \(sign) \(text))"]))
      equal.append("(\(names[index]) = \(text))")
    }
    guard !alternatives.isEmpty else { return nil }
    return alternatives.count == 1 ? alternatives[0] : "(\(alternatives.joined(separator: " OR ")))"
  }

  private func joined(_ conditions: [String]) -> String {
    conditions.count == 1 ? conditions[0] : "(\(conditions.joined(separator: " AND ")))"
  }

  /// A value as an expression prints it: `1`, `'a'::text`.
  private func constant(_ value: StoredValue, _ type: SQLType) -> String {
    let text = boundLiteral(value, type)
    let plain: [UInt32] = [SQLType.int4.oid, SQLType.bool.oid]
    if plain.contains(type.oid), !text.hasPrefix("-") { return text }
    return (text.hasPrefix("'") ? text : Self.literal(text)) + "::" + type.base.displayName
  }
}
