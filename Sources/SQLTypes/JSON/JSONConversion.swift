/// SQL values as JSON (`to_jsonb` and the functions that build documents).
package enum JSONConversion {
  /// The JSON value of a stored value.
  package static func value(
    _ value: StoredValue, _ type: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> JSONValue {
    if value.isNull { return .null }
    if type.oid == SQLType.jsonb.oid || type.oid == SQLType.json.oid {
      return try JSONParser.parse(value.textValue ?? "")
    }
    if type.oid == SQLType.bool.oid { return .boolean(value.integerValue != 0) }
    if isNumber(type), let text = TypeOutput.text(value, as: type, context: context),
      let number = try? NumericValue(parsing: text), number.isFinite
    {
      return .number(number)
    }
    if let element = type.elementType, case .text(let text) = value {
      let elements =
        try type.oid == SQLType.int2vector.oid || type.oid == SQLType.oidvector.oid
        ? ArrayText.parseVector(text) : ArrayText.parse(text)
      var rest = elements.texts[...]
      return try array(elements.dimensions[...], &rest, element, context)
    }
    return .string(text(value, type, context))
  }

  /// The text of type json that a stored value becomes; a json value stays as it is written.
  package static func jsonText(
    _ value: StoredValue, _ type: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> String {
    if case .text(let text) = value, type.oid == SQLType.json.oid || type.oid == SQLType.jsonb.oid { return text }
    let json = try self.value(value, type, context)
    guard case .array = json else { return json.text }
    return compactText(json)
  }

  /// An array without blanks, as PostgreSQL's `to_json` writes it.
  private static func compactText(_ json: JSONValue) -> String {
    guard case .array(let elements) = json else { return json.text }
    return "[" + elements.map(compactText).joined(separator: ",") + "]"
  }

  private static func array(
    _ dimensions: ArraySlice<Int>, _ rest: inout ArraySlice<String?>, _ element: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> JSONValue {
    var values: [JSONValue] = []
    for _ in 0..<(dimensions.first ?? 0) {
      if dimensions.count > 1 {
        values.append(try array(dimensions.dropFirst(), &rest, element, context))
      } else if let text = rest.removeFirst() {
        values.append(try value(TypeInput.parse(text, as: element, context: context), element, context))
      } else {
        values.append(.null)
      }
    }
    return .array(values)
  }

  private static func isNumber(_ type: SQLType) -> Bool {
    switch type.oid {
    case SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid, SQLType.float4.oid, SQLType.float8.oid,
      SQLType.numeric.oid:
      return true
    default: return false
    }
  }

  /// Timestamps in ISO 8601, all else as it prints.
  private static func text(_ value: StoredValue, _ type: SQLType, _ context: ConversionContext) -> String {
    let text = TypeOutput.text(value, as: type, context: context) ?? ""
    guard type.oid == SQLType.timestamp.oid || type.oid == SQLType.timestamptz.oid, let blank = text.firstIndex(of: " ")
    else { return text }
    var result = text
    result.replaceSubrange(blank...blank, with: "T")
    guard type.oid == SQLType.timestamptz.oid else { return result }
    let hasMinutes = result.dropFirst(11).drop { $0 != "+" && $0 != "-" }.contains(":")
    if hasMinutes { return result }
    if let space = result.firstIndex(of: " ") { return result[..<space] + ":00" + result[space...] }
    return result + ":00"
  }
}
