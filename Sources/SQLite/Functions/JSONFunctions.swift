import SQLTypes

/// Operators and functions of jsonb and json.
enum JSONFunctions {
  static let all: [ScalarFunction] = access("jsonb") + access("json") + predicates + changes + builders + casts

  private static func stored(_ value: JSONValue?) -> StoredValue { value.map { .text($0.text) } ?? .null }

  private static func unquoted(_ value: JSONValue?) -> StoredValue { .optional(value?.unquotedText) }

  private static func path(_ a: SQLiteArguments, _ index: Int) throws(SQLError) -> [String]? {
    let texts = try a.array(index).texts
    let steps = texts.compactMap { $0 }
    return steps.count == texts.count ? steps : nil
  }

  /// `->`, `->>`, `#>`, `#>>`. A value taken out of type json is written as jsonb writes it.
  private static func access(_ type: String) -> [ScalarFunction] {
    let isBinary = type == "jsonb"
    let parse: @Sendable (SQLiteArguments) throws(SQLError) -> JSONValue = { a throws(SQLError) in
      isBinary ? try a.json(0) : try JSONParser.parseKeepingOrder(a.text(0))
    }
    let member: @Sendable (SQLiteArguments) throws(SQLError) -> JSONValue? = { a throws(SQLError) in
      guard case .object(let members) = try parse(a) else { return nil }
      let key = a.text(1)
      return members.last { $0.key == key }?.value
    }
    let element: @Sendable (SQLiteArguments) throws(SQLError) -> JSONValue? = { a throws(SQLError) in
      let json = try parse(a)
      let index = Int(clamping: a.integer(1))
      switch json {
      case .array, .object: return json.element(index)
      // jsonb keeps a lone value as the only element of an array.
      default: return isBinary && (index == 0 || index == -1) ? json : nil
      }
    }
    let atPath: @Sendable (SQLiteArguments) throws(SQLError) -> JSONValue? = { a throws(SQLError) in
      guard let path = try path(a, 1) else { return nil }
      return try parse(a).value(at: path)
    }
    return [
      ScalarFunction("pg_\(type)_field", 2) { a, _ throws(SQLError) in stored(try member(a)) },
      ScalarFunction("pg_\(type)_field_text", 2) { a, _ throws(SQLError) in unquoted(try member(a)) },
      ScalarFunction("pg_\(type)_element", 2) { a, _ throws(SQLError) in stored(try element(a)) },
      ScalarFunction("pg_\(type)_element_text", 2) { a, _ throws(SQLError) in unquoted(try element(a)) },
      ScalarFunction("pg_\(type)_path", 2) { a, _ throws(SQLError) in stored(try atPath(a)) },
      ScalarFunction("pg_\(type)_path_text", 2) { a, _ throws(SQLError) in unquoted(try atPath(a)) },
    ]
  }

  private static let predicates: [ScalarFunction] = [
    ScalarFunction("pg_jsonb_contains", 2) { a, _ throws(SQLError) in .boolean(try a.json(0).contains(a.json(1))) },
    ScalarFunction("pg_jsonb_exists", 2) { a, _ throws(SQLError) in .boolean(try a.json(0).exists(a.text(1))) },
    ScalarFunction("pg_jsonb_exists_any", 2) { a, _ throws(SQLError) in
      let json = try a.json(0)
      return .boolean(try a.array(1).texts.contains { $0.map(json.exists) ?? false })
    },
    ScalarFunction("pg_jsonb_exists_all", 2) { a, _ throws(SQLError) in
      let json = try a.json(0)
      return .boolean(try a.array(1).texts.allSatisfy { $0.map(json.exists) ?? true })
    },
    ScalarFunction("pg_jsonb_typeof", 1) { a, _ throws(SQLError) in .text(try a.json(0).typeName) },
    ScalarFunction("pg_jsonb_array_length", 1) { a, _ throws(SQLError) in
      switch try a.json(0) {
      case .array(let elements): return .int(elements.count)
      case .object: throw SQLError(.invalidParameterValue, "cannot get array length of a non-array")
      default: throw SQLError(.invalidParameterValue, "cannot get array length of a scalar")
      }
    },
    ScalarFunction("pg_jsonb_extract_path", -1) { a, _ throws(SQLError) in
      stored(try a.json(0).value(at: (1..<a.count).map { a.text($0) }))
    },
    ScalarFunction("pg_jsonb_extract_path_text", -1) { a, _ throws(SQLError) in
      unquoted(try a.json(0).value(at: (1..<a.count).map { a.text($0) }))
    },
    ScalarFunction("pg_jsonb_pretty", 1) { a, _ throws(SQLError) in .text(try a.json(0).prettyText) },
  ]

  private static func change(
    _ a: SQLiteArguments, _ change: JSONValue.Change
  ) throws(SQLError) -> StoredValue {
    var position = 0
    var steps: [String] = []
    for step in try a.array(1).texts {
      position += 1
      guard let step else {
        throw SQLError(.nullValueNotAllowed, "path element at position \(position) is null")
      }
      steps.append(step)
    }
    return stored(try a.json(0).changing(steps, with: change))
  }

  private static let changes: [ScalarFunction] = [
    ScalarFunction("pg_jsonb_concat", 2) { a, _ throws(SQLError) in stored(try a.json(0).concatenated(a.json(1))) },
    ScalarFunction("pg_jsonb_delete", 2) { a, _ throws(SQLError) in stored(try a.json(0).deleting([a.text(1)])) },
    ScalarFunction("pg_jsonb_delete_element", 2) { a, _ throws(SQLError) in
      stored(try a.json(0).deleting(index: Int(clamping: a.integer(1))))
    },
    ScalarFunction("pg_jsonb_delete_keys", 2) { a, _ throws(SQLError) in
      stored(try a.json(0).deleting(Set(a.array(1).texts.compactMap { $0 })))
    },
    ScalarFunction("pg_jsonb_delete_path", 2) { a, _ throws(SQLError) in try change(a, .delete) },
    ScalarFunction("pg_jsonb_set", -1) { a, _ throws(SQLError) in
      try change(a, .set(a.json(2), creates: a.count < 4 || a.integer(3) != 0))
    },
    ScalarFunction("pg_jsonb_insert", -1) { a, _ throws(SQLError) in
      try change(a, .insert(a.json(2), after: a.count > 3 && a.integer(3) != 0))
    },
    ScalarFunction("pg_jsonb_strip_nulls", 1) { a, _ throws(SQLError) in stored(try a.json(0).strippingNulls()) },
  ]

  private static func key(
    _ type: SQLType, _ value: StoredValue, _ position: Int, _ context: SessionContext, isBinary: Bool
  ) throws(SQLError) -> String {
    guard let text = TypeOutput.castText(value, as: type, context: context.conversion) else {
      if isBinary { throw SQLError(.invalidParameterValue, "argument \(position): key must not be null") }
      throw SQLError(
        .invalidParameterValue, "argument \(position) cannot be null", hint: "Object keys should be text.")
    }
    return text
  }

  private static func oddArguments(_ name: String) -> SQLError {
    SQLError(
      .invalidParameterValue, "argument list must have even number of elements",
      hint: "The arguments of \(name)() must consist of alternating keys and values.")
  }

  private static let builders: [ScalarFunction] = [
    ScalarFunction("pg_to_jsonb", 2, isStrict: false) { a, context throws(SQLError) in
      a.isNull(1) ? .null : stored(try JSONConversion.value(a[1], a.type(0), context.conversion))
    },
    ScalarFunction("pg_to_json", 2, isStrict: false) { a, context throws(SQLError) in
      a.isNull(1) ? .null : .text(try JSONConversion.jsonText(a[1], a.type(0), context.conversion))
    },
    ScalarFunction("pg_jsonb_build_object", -1, isStrict: false) { a, context throws(SQLError) in
      let pairs = a.typed()
      if pairs.count % 2 != 0 { throw oddArguments("jsonb_build_object") }
      var members: [JSONValue.Member] = []
      for index in stride(from: 0, to: pairs.count, by: 2) {
        let key = try key(pairs[index].type, pairs[index].value, index + 1, context, isBinary: true)
        let value = try JSONConversion.value(pairs[index + 1].value, pairs[index + 1].type, context.conversion)
        members.append(JSONValue.Member(key: key, value: value))
      }
      return stored(.object(normalizing: members))
    },
    ScalarFunction("pg_json_build_object", -1, isStrict: false) { a, context throws(SQLError) in
      let pairs = a.typed()
      if pairs.count % 2 != 0 { throw oddArguments("json_build_object") }
      var parts: [String] = []
      for index in stride(from: 0, to: pairs.count, by: 2) {
        let key = try key(pairs[index].type, pairs[index].value, index + 1, context, isBinary: false)
        let value = try JSONConversion.jsonText(pairs[index + 1].value, pairs[index + 1].type, context.conversion)
        parts.append("\(JSONValue.quoted(key)) : \(value)")
      }
      return .text("{" + parts.joined(separator: ", ") + "}")
    },
    ScalarFunction("pg_jsonb_build_array", -1, isStrict: false) { a, context throws(SQLError) in
      var elements: [JSONValue] = []
      for (type, value) in a.typed() { elements.append(try JSONConversion.value(value, type, context.conversion)) }
      return stored(.array(elements))
    },
    ScalarFunction("pg_json_build_array", -1, isStrict: false) { a, context throws(SQLError) in
      var parts: [String] = []
      for (type, value) in a.typed() { parts.append(try JSONConversion.jsonText(value, type, context.conversion)) }
      return .text("[" + parts.joined(separator: ", ") + "]")
    },
    ScalarFunction("pg_jsonb_object", -1) { a, _ throws(SQLError) in
      let keys = try a.array(0).texts
      var members: [JSONValue.Member] = []
      let values = a.count > 1 ? try a.array(1).texts : []
      if a.count > 1, keys.count != values.count {
        throw SQLError(.arraySubscriptError, "mismatched array dimensions")
      }
      if a.count == 1, keys.count % 2 != 0 {
        throw SQLError(.arraySubscriptError, "array must have even number of elements")
      }
      for index in stride(from: 0, to: keys.count, by: a.count > 1 ? 1 : 2) {
        guard let key = keys[index] else {
          throw SQLError(.nullValueNotAllowed, "null value not allowed for object key")
        }
        let value = a.count > 1 ? values[index] : keys[index + 1]
        members.append(JSONValue.Member(key: key, value: value.map { .string($0) } ?? .null))
      }
      return stored(.object(normalizing: members))
    },
  ]

  private static func number(_ a: SQLiteArguments, _ type: String) throws(SQLError) -> NumericValue {
    let json = try a.json(0)
    guard case .number(let value) = json else {
      throw SQLError(.invalidParameterValue, "cannot cast jsonb \(castName(json)) to type \(type)")
    }
    return value
  }

  private static func castName(_ json: JSONValue) -> String {
    if case .number = json { return "numeric" }
    return json.typeName
  }

  private static let casts: [ScalarFunction] = [
    ScalarFunction("pg_jsonb_to_bool", 1) { a, _ throws(SQLError) in
      let json = try a.json(0)
      guard case .boolean(let value) = json else {
        throw SQLError(.invalidParameterValue, "cannot cast jsonb \(castName(json)) to type boolean")
      }
      return .boolean(value)
    },
    ScalarFunction("pg_jsonb_to_numeric", 1) { a, _ throws(SQLError) in .numeric(try number(a, "numeric")) },
    ScalarFunction("pg_jsonb_to_int2", 1) { a, _ throws(SQLError) in
      .integer(try number(a, "smallint").integer(as: .int2))
    },
    ScalarFunction("pg_jsonb_to_int4", 1) { a, _ throws(SQLError) in
      .integer(try number(a, "integer").integer(as: .int4))
    },
    ScalarFunction("pg_jsonb_to_int8", 1) { a, _ throws(SQLError) in
      .integer(try number(a, "bigint").integer(as: .int8))
    },
    ScalarFunction("pg_jsonb_to_float4", 1) { a, _ throws(SQLError) in
      .float(try FloatText.parseFloat(number(a, "real").text))
    },
    ScalarFunction("pg_jsonb_to_float8", 1) { a, _ throws(SQLError) in
      .float(try number(a, "double precision").double())
    },
  ]
}
