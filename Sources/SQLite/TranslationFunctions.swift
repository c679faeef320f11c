import SQLTypes

/// What translated SQL calls that is no function of PostgreSQL's: see `PlannerFunctions.translation` in SQLPlan.
enum TranslationFunctions {
  static let scalars: [ScalarFunction] = [raise, arrayBuild, arrayElement]

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
}
