import SQLTypes

/// Whether a new partition's bound fits its parent and the partitions that are there (`check_new_partition_bound` in
/// PostgreSQL's partbounds.c, whose messages these are).
struct PartitionRules {
  struct Existing {
    var name: String
    var bound: PartitionBound
  }
  var parentName: String
  var strategy: PartitionStrategy
  /// Of the key's columns.
  var types: [SQLType]
  var existing: [Existing]

  /// The bound as it is kept (a list without repetitions).
  func checked(_ bound: PartitionBound, name: String) throws(Rejection) -> PartitionBound {
    let other = existing.first { $0.bound == .standard }
    if bound == .standard {
      guard strategy != .hash else {
        throw Rejection(.invalidTableDefinition, "a hash-partitioned table may not have a default partition")
      }
      if let other {
        throw Rejection(
          .invalidObjectDefinition,
          "partition \"\(name)\" conflicts with existing default partition \"\(other.name)\"")
      }
      return bound
    }
    let result: PartitionBound
    switch (strategy, bound) {
    case (.hash, .hash(let modulus, let remainder)): result = try checkedHash(modulus, remainder, name)
    case (.list, .list(let values)): result = try checkedList(values, name)
    case (.range, .range(let from, let to)): result = try checkedRange(from, to, name)
    default:
      throw Rejection(.invalidTableDefinition, "invalid bound specification for a \(strategy) partition")
    }
    if let other {
      throw Rejection(
        .featureNotSupported, "cannot add partition \"\(name)\" beside default partition \"\(other.name)\"",
        detail: "Rows that belong to the new partition may be in the default partition.",
        hint: "Create the default partition after all others.")
    }
    return result
  }

  private func overlap(_ name: String, _ other: Existing) -> Rejection {
    Rejection(.invalidObjectDefinition, "partition \"\(name)\" would overlap partition \"\(other.name)\"")
  }

  // Hash.

  private func checkedHash(_ modulus: Int, _ remainder: Int, _ name: String) throws(Rejection) -> PartitionBound {
    guard modulus > 0 else {
      throw Rejection(
        .invalidTableDefinition, "modulus for hash partition must be an integer value greater than zero")
    }
    guard remainder >= 0 else {
      throw Rejection(
        .invalidTableDefinition, "remainder for hash partition must be an integer value greater than or equal to zero")
    }
    guard remainder < modulus, modulus <= Int(Int32.max) else {
      throw Rejection(.invalidTableDefinition, "remainder for hash partition must be less than modulus")
    }
    var others: [(modulus: Int, remainder: Int, existing: Existing)] = []
    for partition in existing {
      guard case .hash(let modulus, let remainder) = partition.bound else { continue }
      others.append((modulus, remainder, partition))
    }
    // Every modulus is a factor of the next larger one: it is enough to look at the neighbours.
    let smaller = others.filter { $0.modulus <= modulus }.max { $0.modulus < $1.modulus }
    let larger = others.filter { $0.modulus > modulus }.min { $0.modulus < $1.modulus }
    if let smaller, modulus % smaller.modulus != 0 {
      throw factorError(
        "The new modulus \(modulus) is not divisible by \(smaller.modulus), the modulus of existing partition "
          + "\"\(smaller.existing.name)\".")
    }
    if let larger, larger.modulus % modulus != 0 {
      throw factorError(
        "The new modulus \(modulus) is not a factor of \(larger.modulus), the modulus of existing partition "
          + "\"\(larger.existing.name)\".")
    }
    for other in others {
      let common = min(modulus, other.modulus)
      if remainder % common == other.remainder % common { throw overlap(name, other.existing) }
    }
    return .hash(modulus: modulus, remainder: remainder)
  }

  private func factorError(_ detail: String) -> Rejection {
    Rejection(
      .invalidObjectDefinition, "every hash partition modulus must be a factor of the next larger modulus",
      detail: detail)
  }

  // List.

  private func checkedList(_ values: [StoredValue], _ name: String) throws(Rejection) -> PartitionBound {
    var distinct: [StoredValue] = []
    for value in values where !distinct.contains(where: { BoundOrder.compare($0, value, types[0]) == 0 }) {
      distinct.append(value)
    }
    for other in existing {
      guard case .list(let taken) = other.bound else { continue }
      let isShared = taken.contains { old in
        distinct.contains { BoundOrder.compare($0, old, types[0]) == 0 }
      }
      if isShared { throw overlap(name, other) }
    }
    return .list(distinct)
  }

  // Range.

  private func checkedRange(
    _ from: [PartitionBound.Datum], _ to: [PartitionBound.Datum], _ name: String
  ) throws(Rejection) -> PartitionBound {
    guard from.count == types.count else {
      throw Rejection(.invalidTableDefinition, "FROM must specify exactly one value per partitioning column")
    }
    guard to.count == types.count else {
      throw Rejection(.invalidTableDefinition, "TO must specify exactly one value per partitioning column")
    }
    try checkDatums(from)
    try checkDatums(to)
    guard compare(from, to) < 0 else {
      throw Rejection(
        .invalidObjectDefinition, "empty range bound specified for partition \"\(name)\"",
        detail: "Specified lower bound (\(text(from))) is greater than or equal to upper bound (\(text(to))).")
    }
    for other in existing {
      guard case .range(let otherFrom, let otherTo) = other.bound else { continue }
      if compare(from, otherTo) < 0, compare(otherFrom, to) < 0 { throw overlap(name, other) }
    }
    return .range(from: from, to: to)
  }

  /// What follows MINVALUE or MAXVALUE can only be the same, and NULL is in no range.
  private func checkDatums(_ datums: [PartitionBound.Datum]) throws(Rejection) {
    var unbounded: PartitionBound.Datum?
    for datum in datums {
      if case .value(.null) = datum {
        throw Rejection(.invalidTableDefinition, "cannot specify NULL in range bound")
      }
      if let unbounded, datum != unbounded {
        let word = unbounded == .minimum ? "MINVALUE" : "MAXVALUE"
        throw Rejection(.datatypeMismatch, "every bound following \(word) must also be \(word)")
      }
      if datum == .minimum || datum == .maximum { unbounded = datum }
    }
  }

  private func compare(_ left: [PartitionBound.Datum], _ right: [PartitionBound.Datum]) -> Int {
    for (position, type) in types.enumerated() {
      let order: Int
      switch (left[position], right[position]) {
      case (.minimum, .minimum), (.maximum, .maximum): return 0
      case (.minimum, _), (_, .maximum): return -1
      case (.maximum, _), (_, .minimum): return 1
      case (.value(let left), .value(let right)): order = BoundOrder.compare(left, right, type)
      }
      if order != 0 { return order }
    }
    return 0
  }

  private func text(_ datums: [PartitionBound.Datum]) -> String {
    zip(datums, types).map { datum, type in
      switch datum {
      case .minimum: "MINVALUE"
      case .maximum: "MAXVALUE"
      case .value(let value): BoundOrder.text(value, type)
      }
    }.joined(separator: ", ")
  }
}
