import SQLTypes

/// Functions of arrays. A typed argument is its type's oid and its value; arrays are literals.
enum ArrayFunctions {
  static let all: [ScalarFunction] = comparisons + sets + shape + changes + quantified + texts

  /// The elements of a typed array argument, with their type.
  private static func elements(
    _ a: SQLiteArguments, _ index: Int, _ context: SessionContext
  ) throws(SQLError) -> (type: SQLType, values: [StoredValue], literal: ArrayText.Elements) {
    let type = a.type(index)
    let element = type.elementType ?? .text
    let isVector = type.oid == SQLType.int2vector.oid || type.oid == SQLType.oidvector.oid
    let literal = isVector ? ArrayText.parseVector(a.text(index + 1)) : try a.array(index + 1)
    var values: [StoredValue] = []
    for text in literal.texts {
      values.append(
        try text.map { text throws(SQLError) in try TypeInput.parse(text, as: element, context: context.conversion) }
          ?? .null)
    }
    return (element, values, literal)
  }

  private static let comparisons: [ScalarFunction] = [
    compare("eq") { $0 == 0 }, compare("ne") { $0 != 0 }, compare("lt") { $0 < 0 }, compare("le") { $0 <= 0 },
    compare("gt") { $0 > 0 }, compare("ge") { $0 >= 0 },
  ]

  private static func compare(_ name: String, _ test: @escaping @Sendable (Int) -> Bool) -> ScalarFunction {
    ScalarFunction("pg_array_\(name)", 4) { a, _ throws(SQLError) in
      .boolean(test(ValueOrder.compare(a[1], a[3], as: a.type(0))))
    }
  }

  private static func contains(_ values: [StoredValue], _ value: StoredValue, _ type: SQLType) -> Bool {
    !value.isNull && values.contains { !$0.isNull && ValueOrder.compare($0, value, as: type) == 0 }
  }

  private static let sets: [ScalarFunction] = [
    ScalarFunction("pg_array_contains", 4) { a, context throws(SQLError) in
      let (type, outer, _) = try elements(a, 0, context)
      return .boolean(try elements(a, 2, context).values.allSatisfy { contains(outer, $0, type) })
    },
    ScalarFunction("pg_array_contained", 4) { a, context throws(SQLError) in
      let (type, inner, _) = try elements(a, 0, context)
      let outer = try elements(a, 2, context).values
      return .boolean(inner.allSatisfy { contains(outer, $0, type) })
    },
    ScalarFunction("pg_array_overlaps", 4) { a, context throws(SQLError) in
      let (type, left, _) = try elements(a, 0, context)
      return .boolean(try elements(a, 2, context).values.contains { contains(left, $0, type) })
    },
  ]

  private static func dimension(_ a: SQLiteArguments) throws(SQLError) -> Int? {
    let dimensions = try a.array(0).dimensions
    let wanted = Int(clamping: a.integer(1)) - 1
    return dimensions.indices.contains(wanted) ? dimensions[wanted] : nil
  }

  private static let shape: [ScalarFunction] = [
    ScalarFunction("pg_array_length", 2) { a, _ throws(SQLError) in try dimension(a).map { .int($0) } ?? .null },
    ScalarFunction("pg_array_upper", 2) { a, _ throws(SQLError) in try dimension(a).map { .int($0) } ?? .null },
    ScalarFunction("pg_array_lower", 2) { a, _ throws(SQLError) in try dimension(a).map { _ in .int(1) } ?? .null },
    ScalarFunction("pg_array_ndims", 1) { a, _ throws(SQLError) in
      let count = try a.array(0).dimensions.count
      return count == 0 ? .null : .int(count)
    },
    ScalarFunction("pg_array_dims", 1) { a, _ throws(SQLError) in
      let dimensions = try a.array(0).dimensions
      return dimensions.isEmpty ? .null : .text(dimensions.map { "[1:\($0)]" }.joined())
    },
    ScalarFunction("pg_cardinality", 1) { a, _ throws(SQLError) in .int(try a.array(0).texts.count) },
    ScalarFunction("pg_vector_to_array", 1) { a, _ throws(SQLError) in
      .text(ArrayText.text(ArrayText.parseVector(a.text(0))))
    },
    ScalarFunction("pg_cast_array", 3) { a, context throws(SQLError) in
      let literal = try a.array(2)
      return .text(ArrayText.text(try convert(literal, a.type(0), a.type(1), context)))
    },
    ScalarFunction("pg_array_get", -1) { a, _ throws(SQLError) in .optional(try element(a)) },
    ScalarFunction("pg_make_array", -1, isStrict: false) { a, context throws(SQLError) in
      var texts: [String?] = []
      for (type, value) in a.typed() { texts.append(TypeOutput.text(value, as: type, context: context.conversion)) }
      return .text(ArrayText.text(texts))
    },
  ]

  /// `array[i][j]`: the element's text form; nil outside of the bounds.
  private static func element(_ a: SQLiteArguments) throws(SQLError) -> String? {
    let literal = try a.array(0)
    guard literal.dimensions.count == a.count - 1 else { return nil }
    var place = 0
    for (index, length) in literal.dimensions.enumerated() {
      let subscriptValue = Int(clamping: a.integer(index + 1))
      guard (1...max(1, length)).contains(subscriptValue), length > 0 else { return nil }
      place = place * length + subscriptValue - 1
    }
    return literal.texts[place]
  }

  /// Converts through text, rounding and checking as the input functions do; numbers go through numeric.
  private static func convert(
    _ literal: ArrayText.Elements, _ from: SQLType, _ to: SQLType, _ context: SessionContext
  ) throws(SQLError) -> ArrayText.Elements {
    var texts: [String?] = []
    for text in literal.texts {
      guard let text else {
        texts.append(nil)
        continue
      }
      var source = text
      if from.category == .numeric, [SQLType.int2, .int4, .int8].contains(to.base) {
        source = try NumericValue(parsing: text).rounded(toScale: 0).text
      }
      let value = try TypeInput.parse(source, as: to, context: context.conversion)
      texts.append(TypeOutput.text(value, as: to, context: context.conversion))
    }
    return ArrayText.Elements(texts)
  }

  private static func text(_ a: SQLiteArguments, _ index: Int, _ context: SessionContext) -> String? {
    TypeOutput.text(a[index + 1], as: a.type(index), context: context.conversion)
  }

  private static let changes: [ScalarFunction] = [
    ScalarFunction("pg_array_append", 4, isStrict: false) { a, context throws(SQLError) in
      let texts = a.isNull(1) ? [] : try a.array(1).texts
      return .text(ArrayText.text(texts + [text(a, 2, context)]))
    },
    ScalarFunction("pg_array_prepend", 4, isStrict: false) { a, context throws(SQLError) in
      let texts = a.isNull(3) ? [] : try a.array(3).texts
      return .text(ArrayText.text([text(a, 0, context)] + texts))
    },
    ScalarFunction("pg_array_cat", 4, isStrict: false) { a, _ throws(SQLError) in
      if a.isNull(1) { return a[3] }
      if a.isNull(3) { return a[1] }
      return .text(ArrayText.text(try a.array(1).texts + a.array(3).texts))
    },
    ScalarFunction("pg_array_position", 4, isStrict: false) { a, context throws(SQLError) in
      if a.isNull(1) { return .null }
      let (type, values, _) = try elements(a, 0, context)
      let index = values.firstIndex { matches($0, a[3], type) }
      return index.map { .int($0 + 1) } ?? .null
    },
    ScalarFunction("pg_array_positions", 4, isStrict: false) { a, context throws(SQLError) in
      if a.isNull(1) { return .null }
      let (type, values, _) = try elements(a, 0, context)
      let found = values.indices.filter { matches(values[$0], a[3], type) }
      return .text(ArrayText.text(found.map { String($0 + 1) }))
    },
    ScalarFunction("pg_array_remove", 4, isStrict: false) { a, context throws(SQLError) in
      if a.isNull(1) { return .null }
      let (type, values, literal) = try elements(a, 0, context)
      let kept = values.indices.filter { !matches(values[$0], a[3], type) }
      return .text(ArrayText.text(kept.map { literal.texts[$0] }))
    },
    ScalarFunction("pg_array_replace", 6, isStrict: false) { a, context throws(SQLError) in
      if a.isNull(1) { return .null }
      let (type, values, literal) = try elements(a, 0, context)
      let new = text(a, 4, context)
      return .text(ArrayText.text(values.indices.map { matches(values[$0], a[3], type) ? new : literal.texts[$0] }))
    },
  ]

  private static func matches(_ left: StoredValue, _ right: StoredValue, _ type: SQLType) -> Bool {
    left.isNull || right.isNull ? left.isNull && right.isNull : ValueOrder.compare(left, right, as: type) == 0
  }

  /// `value operator ANY (array)` and `ALL`: operator, value's oid, value, array's oid, array.
  private static let quantified: [ScalarFunction] = [
    ScalarFunction("pg_any", 5, isStrict: false) { a, context throws(SQLError) in
      try quantify(a, context, isAny: true)
    },
    ScalarFunction("pg_all", 5, isStrict: false) { a, context throws(SQLError) in
      try quantify(a, context, isAny: false)
    },
  ]

  private static func quantify(
    _ a: SQLiteArguments, _ context: SessionContext, isAny: Bool
  ) throws(SQLError) -> StoredValue {
    if a.isNull(4) { return .null }
    let (type, values, _) = try elements(a, 3, context)
    let test = try predicate(a.text(0), type, context)
    var sawNull = false
    for value in values {
      if a.isNull(2) || value.isNull {
        sawNull = true
      } else if try test(a[2], value) == isAny {
        return .boolean(isAny)
      }
    }
    return sawNull ? .null : .boolean(!isAny)
  }

  private static func predicate(
    _ name: String, _ type: SQLType, _ context: SessionContext
  ) throws(SQLError) -> (StoredValue, StoredValue) throws(SQLError) -> Bool {
    let order: (StoredValue, StoredValue) -> Int = { ValueOrder.compare($0, $1, as: type) }
    switch name {
    case "=": return { a, b throws(SQLError) in order(a, b) == 0 }
    case "<>", "!=": return { a, b throws(SQLError) in order(a, b) != 0 }
    case "<": return { a, b throws(SQLError) in order(a, b) < 0 }
    case "<=": return { a, b throws(SQLError) in order(a, b) <= 0 }
    case ">": return { a, b throws(SQLError) in order(a, b) > 0 }
    case ">=": return { a, b throws(SQLError) in order(a, b) >= 0 }
    case "~~", "!~~", "~~*", "!~~*":
      let negated = name.hasPrefix("!")
      let ignoresCase = name.hasSuffix("*")
      return { a, b throws(SQLError) in
        try LikePattern(b.textValue ?? "", ignoresCase: ignoresCase).matches(a.textValue ?? "") != negated
      }
    case "~", "!~", "~*", "!~*":
      let negated = name.hasPrefix("!")
      let ignoresCase = name.hasSuffix("*")
      return { a, b throws(SQLError) in
        try context.regularExpression(b.textValue ?? "", flags: ignoresCase ? "i" : "").matches(a.textValue ?? "")
          != negated
      }
    default:
      throw SQLError(.featureNotSupported, "operator \(name) is not supported with ANY or ALL")
    }
  }

  private static let texts: [ScalarFunction] = [
    // (array type, array, delimiter type, delimiter [, null text type, null text])
    ScalarFunction("pg_array_to_string", -1, isStrict: false) { a, _ throws(SQLError) in
      if a.count < 4 || a.isNull(1) || a.isNull(3) { return .null }
      let null: String? = a.count > 5 && !a.isNull(5) ? a.text(5) : nil
      let isBoolean = a.type(0).elementType == .bool
      let texts = try a.array(1).texts.compactMap { text in
        isBoolean ? text.map { $0 == "t" ? "t" : $0 } ?? null : text ?? null
      }
      return .text(texts.joined(separator: a.text(3)))
    },
    ScalarFunction("pg_string_to_array", -1, isStrict: false) { a, _ throws(SQLError) in
      if a.isNull(0) { return .null }
      let text = a.text(0)
      let null: String? = a.count > 2 && !a.isNull(2) ? a.text(2) : nil
      var parts: [String]
      if text.isEmpty {
        parts = []
      } else if a.isNull(1) {
        parts = text.unicodeScalars.map { String($0) }
      } else {
        parts = TextFunctions.split(text, a.text(1))
      }
      return .text(ArrayText.text(parts.map { $0 == null ? nil : $0 }))
    },
  ]
}
