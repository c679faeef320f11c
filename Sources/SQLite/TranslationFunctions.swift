import SQLTypes

/// What translated SQL calls that is no function of PostgreSQL's: see `PlannerFunctions.translation` in SQLPlan.
enum TranslationFunctions {
  static let scalars: [ScalarFunction] = [raise, arrayBuild, arrayElement, sizePretty]

  /// `pg_raise(state, message)` fails with that error.
  private static let raise = ScalarFunction("pg_raise", 2, isStrict: false, isDeterministic: false) {
    (arguments, _) throws(SQLError) in
    throw SQLError(SQLState(rawValue: arguments.text(0)), arguments.text(1))
  }

  /// `pg_array_build(element oid, value, …)`: ARRAY[value, …].
  private static let arrayBuild = ScalarFunction("pg_array_build", -1, isStrict: false) {
    (arguments, context) throws(SQLError) in
    let type = SQLType(oid: UInt32(truncatingIfNeeded: arguments.integer(0)))
    var texts: [String?] = []
    for index in 1..<max(1, arguments.count) {
      texts.append(TypeOutput.text(arguments[index], as: type, context: context.conversion))
    }
    return .text(ArrayText.text(texts))
  }

  /// `pg_array_element(element oid, array, i)`: the i-th element from 1, NULL outside.
  private static let arrayElement = ScalarFunction("pg_array_element", 3) { (arguments, context) throws(SQLError) in
    let type = SQLType(oid: UInt32(truncatingIfNeeded: arguments.integer(0)))
    let elements = try ArrayText.parse(arguments.text(1))
    let index = arguments.integer(2)
    guard elements.dimensions.count <= 1, index >= 1, index <= elements.texts.count,
      let text = elements.texts[Int(index) - 1]
    else { return .null }
    return try TypeInput.parse(text, as: type, context: context.conversion)
  }

  /// `pg_size_pretty(bytes)`: the size in the unit that leaves two to five digits, rounded half up.
  private static let sizePretty = ScalarFunction("pg_size_pretty", 1) { (arguments, _) throws(SQLError) in
    var size = arguments.integer(0)
    if size.magnitude < 10 * 1024 { return .text("\(size) bytes") }
    // One bit more than the unit has, to round by.
    size /= 512
    for unit in ["kB", "MB", "GB", "TB"] {
      if size.magnitude < 20 * 1024 - 1 { return .text("\(halved(size)) \(unit)") }
      size /= 1024
    }
    return .text("\(halved(size)) PB")
  }

  private static func halved(_ value: Int64) -> Int64 { value < 0 ? (value - 1) / 2 : (value + 1) / 2 }
}
