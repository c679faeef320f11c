/// The operators and functions of jsonb (manual, 9.16), on parsed documents.
extension JSONValue {
  /// The value at a path of keys and indexes; nil where there is none.
  package func value(at path: [String]) -> JSONValue? {
    var current = self
    for step in path {
      switch current {
      case .object:
        guard let next = current.member(step) else { return nil }
        current = next
      case .array:
        guard let index = Int(step), let next = current.element(index) else { return nil }
        current = next
      default: return nil
      }
    }
    return current
  }

  /// `@>`: whether this contains the other at its top level.
  package func contains(_ other: JSONValue) -> Bool {
    if case .array(let elements) = self {
      switch other {
      case .array, .object: break
      // An array may contain a primitive.
      default: return elements.contains { $0.compare(other) == 0 }
      }
    }
    return containsNested(other)
  }

  private func containsNested(_ other: JSONValue) -> Bool {
    switch (self, other) {
    case (.object(let members), .object(let wanted)):
      return wanted.allSatisfy { wish in
        members.contains { $0.key == wish.key && $0.value.containsNested(wish.value) }
      }
    case (.array(let elements), .array(let wanted)):
      return wanted.allSatisfy { wish in elements.contains { $0.containsNested(wish) } }
    case (.array, _), (.object, _), (_, .array), (_, .object): return false
    default: return compare(other) == 0
    }
  }

  /// `?`: whether the text is a key of the object, an element of the array, or the string itself.
  package func exists(_ text: String) -> Bool {
    switch self {
    case .object(let members): return members.contains { $0.key == text }
    case .array(let elements): return elements.contains(.string(text))
    case .string(let string): return string == text
    default: return false
    }
  }

  /// `||`.
  package func concatenated(_ other: JSONValue) -> JSONValue {
    switch (self, other) {
    case (.object(let left), .object(let right)): return .object(normalizing: left + right)
    case (.array(let left), .array(let right)): return .array(left + right)
    case (.array(let left), _): return .array(left + [other])
    case (_, .array(let right)): return .array([self] + right)
    default: return .array([self, other])
    }
  }

  /// `-` with a key: without the member, or without the elements that are that string.
  /// - Throws: 22023 for a scalar.
  package func deleting(_ keys: Set<String>) throws(SQLError) -> JSONValue {
    switch self {
    case .object(let members): return .object(members.filter { !keys.contains($0.key) })
    case .array(let elements):
      return .array(
        elements.filter { element in
          guard case .string(let text) = element else { return true }
          return !keys.contains(text)
        })
    default: throw SQLError(.invalidParameterValue, "cannot delete from scalar")
    }
  }

  /// `-` with an index.
  /// - Throws: 22023 for anything but an array.
  package func deleting(index: Int) throws(SQLError) -> JSONValue {
    switch self {
    case .array(var elements):
      let place = index < 0 ? elements.count + index : index
      if elements.indices.contains(place) { elements.remove(at: place) }
      return .array(elements)
    case .object: throw SQLError(.invalidParameterValue, "cannot delete from object using integer index")
    default: throw SQLError(.invalidParameterValue, "cannot delete from scalar")
    }
  }

  /// What ``changing(_:with:)`` does at the end of its path.
  package enum Change {
    case delete
    /// Replace; `creates` also adds what is missing.
    case set(JSONValue, creates: Bool)
    /// Insert into an array before or after the place, or as a new member.
    case insert(JSONValue, after: Bool)
  }

  /// `#-`, `jsonb_set`, `jsonb_insert`.
  /// - Throws: 22023 for a scalar or an existing key to insert, 22P02 for a path step that is no index.
  package func changing(_ path: [String], with change: Change) throws(SQLError) -> JSONValue {
    switch self {
    case .object, .array: break
    default:
      let verb: String
      if case .delete = change { verb = "cannot delete path in scalar" } else { verb = "cannot set path in scalar" }
      throw SQLError(.invalidParameterValue, verb)
    }
    if case .array(let elements) = self, elements.isEmpty {
      switch change {
      case .delete, .set(_, creates: false): return self
      default: break
      }
    }
    return path.isEmpty ? self : try changing(path[...], 1, change)
  }

  private func changing(_ path: ArraySlice<String>, _ position: Int, _ change: Change) throws(SQLError) -> JSONValue {
    guard let step = path.first else { return self }
    let isLast = path.count == 1
    switch self {
    case .object(var members):
      let place = members.firstIndex { $0.key == step }
      if !isLast {
        guard let place else { return self }
        members[place] = Member(
          key: step, value: try members[place].value.changing(path.dropFirst(), position + 1, change))
        return .object(members)
      }
      switch change {
      case .delete:
        if let place { members.remove(at: place) }
      case .set(let value, let creates):
        if place != nil || creates { members.append(Member(key: step, value: value)) }
      case .insert(let value, _):
        if place != nil {
          throw SQLError(
            .invalidParameterValue, "cannot replace existing key",
            hint: "Try using the function jsonb_set to replace key value.")
        }
        members.append(Member(key: step, value: value))
      }
      return .object(normalizing: members)
    case .array(var elements):
      guard let index = Int(step) else {
        throw SQLError(
          .invalidTextRepresentation, "path element at position \(position) is not an integer: \"\(step)\"")
      }
      let place = index < 0 ? elements.count + index : index
      if !isLast {
        guard elements.indices.contains(place) else { return self }
        elements[place] = try elements[place].changing(path.dropFirst(), position + 1, change)
        return .array(elements)
      }
      JSONValue.apply(change, to: &elements, at: place)
      return .array(elements)
    default: return self
    }
  }

  private static func apply(_ change: Change, to elements: inout [JSONValue], at place: Int) {
    let exists = elements.indices.contains(place)
    switch change {
    case .delete:
      if exists { elements.remove(at: place) }
    case .set(let value, let creates):
      if exists {
        elements[place] = value
      } else if creates {
        elements.insert(value, at: place < 0 ? 0 : elements.count)
      }
    case .insert(let value, let after):
      if exists {
        elements.insert(value, at: after ? place + 1 : place)
      } else {
        elements.insert(value, at: place < 0 ? 0 : elements.count)
      }
    }
  }

  /// `jsonb_strip_nulls`: without members that are null, at all levels.
  package func strippingNulls() -> JSONValue {
    switch self {
    case .object(let members):
      return .object(
        members.filter { $0.value != .null }.map { Member(key: $0.key, value: $0.value.strippingNulls()) })
    case .array(let elements): return .array(elements.map { $0.strippingNulls() })
    default: return self
    }
  }
}
