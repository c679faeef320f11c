/// A JSON document, normalised as jsonb normalises it: numbers exact, an object's keys once each, in jsonb's order (by length
/// in bytes, then by bytes).
package indirect enum JSONValue: Sendable, Hashable {
  case null
  case boolean(Bool)
  case number(NumericValue)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// A key with its value.
  package struct Member: Sendable, Hashable {
    package let key: String
    package let value: JSONValue

    /// Memberwise.
    package init(key: String, value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  /// An object from members in any order; of equal keys the last one stays.
  package static func object(normalizing members: [Member]) -> JSONValue {
    guard members.count > 1 else { return .object(members) }
    let sorted = members.enumerated().sorted { left, right in
      let order = compareKeys(left.element.key, right.element.key)
      return order != 0 ? order < 0 : left.offset < right.offset
    }
    var result: [Member] = []
    result.reserveCapacity(members.count)
    for (_, member) in sorted {
      if result.last?.key == member.key { result.removeLast() }
      result.append(member)
    }
    return .object(result)
  }

  /// jsonb's order of keys.
  static func compareKeys(_ left: String, _ right: String) -> Int {
    let counts = (left.utf8.count, right.utf8.count)
    if counts.0 != counts.1 { return counts.0 < counts.1 ? -1 : 1 }
    return compareBytes(left, right)
  }

  /// The order of the bytes, which is that of code points (collation "C").
  static func compareBytes(_ left: String, _ right: String) -> Int {
    for (first, second) in zip(left.utf8, right.utf8) where first != second { return first < second ? -1 : 1 }
    let counts = (left.utf8.count, right.utf8.count)
    return counts.0 < counts.1 ? -1 : counts.0 > counts.1 ? 1 : 0
  }

  /// The member of an object with the key.
  package func member(_ key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The element of an array, from the end for a negative index.
  package func element(_ index: Int) -> JSONValue? {
    guard case .array(let elements) = self else { return nil }
    let place = index < 0 ? elements.count + index : index
    return elements.indices.contains(place) ? elements[place] : nil
  }

  /// `jsonb_typeof`.
  package var typeName: String {
    switch self {
    case .null: return "null"
    case .boolean: return "boolean"
    case .number: return "number"
    case .string: return "string"
    case .array: return "array"
    case .object: return "object"
    }
  }

  /// The text that `->>` gives: a string without quotes, nil for null, else the JSON text.
  package var unquotedText: String? {
    switch self {
    case .null: return nil
    case .string(let text): return text
    default: return text
    }
  }

  /// -1, 0, 1 in jsonb's order: object, array, boolean, number, string, null.
  package func compare(_ other: JSONValue) -> Int {
    switch (self, other) {
    case (.null, .null): return 0
    case (.boolean(let left), .boolean(let right)): return left == right ? 0 : left ? 1 : -1
    case (.number(let left), .number(let right)): return left.compare(right)
    case (.string(let left), .string(let right)): return JSONValue.compareBytes(left, right)
    case (.array(let left), .array(let right)):
      if left.count != right.count { return left.count < right.count ? -1 : 1 }
      for (first, second) in zip(left, right) {
        let order = first.compare(second)
        if order != 0 { return order }
      }
      return 0
    case (.object(let left), .object(let right)):
      if left.count != right.count { return left.count < right.count ? -1 : 1 }
      for (first, second) in zip(left, right) {
        let keys = JSONValue.compareKeys(first.key, second.key)
        if keys != 0 { return keys }
        let order = first.value.compare(second.value)
        if order != 0 { return order }
      }
      return 0
    default:
      // An empty array sorts below everything, as in PostgreSQL.
      if case .array(let elements) = self, elements.isEmpty { return -1 }
      if case .array(let elements) = other, elements.isEmpty { return 1 }
      return rank < other.rank ? -1 : 1
    }
  }

  private var rank: Int {
    switch self {
    case .null: return 0
    case .string: return 1
    case .number: return 2
    case .boolean: return 3
    case .array: return 4
    case .object: return 5
    }
  }
}
