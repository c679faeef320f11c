/// Comparing stored values as PostgreSQL compares the values of their type.
package enum ValueOrder {
  /// -1, 0, 1; NULL comes after all else.
  package static func compare(_ left: StoredValue, _ right: StoredValue, as type: SQLType) -> Int {
    switch (left, right) {
    case (.null, .null): return 0
    case (.null, _): return 1
    case (_, .null): return -1
    case (.integer(let a), .integer(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.real(let a), .real(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.integer(let a), .real(let b)): return Double(a) < b ? -1 : Double(a) > b ? 1 : 0
    case (.real(let a), .integer(let b)): return a < Double(b) ? -1 : a > Double(b) ? 1 : 0
    case (.text(let a), .text(let b)): return compare(a, b, type)
    case (.blob(let a), .blob(let b)):
      if type.oid == SQLType.interval.oid, let first = try? IntervalValue(stored: a),
        let second = try? IntervalValue(stored: b)
      {
        return first.compare(second)
      }
      return a.lexicographicallyPrecedes(b) ? -1 : a == b ? 0 : 1
    default:
      // NaN, which is text, is above all reals.
      return rank(left) < rank(right) ? -1 : 1
    }
  }

  private static func compare(_ left: String, _ right: String, _ type: SQLType) -> Int {
    if type.oid == SQLType.numeric.oid, let a = try? NumericValue(stored: left),
      let b = try? NumericValue(stored: right)
    {
      return a.compare(b)
    }
    if type.oid == SQLType.jsonb.oid, let a = try? JSONParser.parse(left), let b = try? JSONParser.parse(right) {
      return a.compare(b)
    }
    if let element = type.elementType, let a = try? ArrayText.parse(left), let b = try? ArrayText.parse(right) {
      return compare(a, b, element)
    }
    return JSONValue.compareBytes(left, right)
  }

  private static func compare(_ left: ArrayText.Elements, _ right: ArrayText.Elements, _ element: SQLType) -> Int {
    func value(_ text: String?) -> StoredValue { text.flatMap { try? TypeInput.parse($0, as: element) } ?? .null }
    for (first, second) in zip(left.texts, right.texts) {
      let order = compare(value(first), value(second), as: element)
      if order != 0 { return order }
    }
    let counts = (left.texts.count, right.texts.count)
    return counts.0 < counts.1 ? -1 : counts.0 > counts.1 ? 1 : 0
  }

  private static func rank(_ value: StoredValue) -> Int {
    switch value {
    case .integer, .real: return 0
    case .text: return 1
    case .blob: return 2
    case .null: return 3
    }
  }
}
