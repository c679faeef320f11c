/// Reads the tables of signatures. They are text, one signature per line, because thousands of array elements cost
/// the compiler minutes and the reader a screen each:
///
///     name argument… => result [flag…] implementation
///
/// Flags: `stable`, `volatile`, `nonstrict`, `typed` (see ``FunctionImplementation/sqliteTyped(_:)``). The
/// implementation is the name of a SQLite function, or SQL with `$1`…; an argument written `type...` is variadic.
/// For aggregates ` ~ partial ~ combine` may follow. A malformed line is a bug of ours, and traps.
package enum FunctionTableReader {
  /// The signatures of all tables.
  static func standardFunctions() -> [FunctionSignature] {
    var all = ComparisonOperators.signatures()
    for (kind, table) in standardTables {
      for line in table.split(separator: "\n") where !line.hasPrefix("--") {
        all.append(signature(kind, line))
      }
    }
    return all
  }

  /// The casts of the cast table: `source target context implementation`, `=` for binary-coercible.
  static func standardCasts() -> [CastSignature] {
    CastTable.casts.split(separator: "\n").filter { !$0.hasPrefix("--") }.map { line in
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      precondition(words.count == 4, "cast table: \(line)")
      let contexts: [String: CastContext] = ["implicit": .implicit, "assignment": .assignment, "explicit": .explicit]
      guard let context = contexts[words[2]] else { preconditionFailure("cast table: \(line)") }
      let isBinary = words[3] == "="
      return CastSignature(
        source: type(words[0]), target: type(words[1]), context: context,
        implementation: isBinary ? .inline("$1") : implementation(words[3], typed: false),
        isBinaryCoercible: isBinary)
    }
  }

  private static var standardTables: [(FunctionKind, String)] {
    [
      (.infixOperator, OperatorTable.infix), (.prefixOperator, OperatorTable.prefix),
      (.function, MathFunctionTable.functions), (.function, TextFunctionTable.functions),
      (.function, DateTimeFunctionTable.functions), (.function, JSONFunctionTable.functions),
      (.function, ArrayFunctionTable.functions), (.function, SessionFunctionTable.functions),
      (.aggregate, AggregateTable.aggregates), (.window, AggregateTable.windows),
    ]
  }

  /// One line of a table.
  package static func signature(_ kind: FunctionKind, _ line: Substring) -> FunctionSignature {
    let words = line.split(separator: " ")
    guard let arrow = words.firstIndex(of: "=>"), arrow >= 1, words.count > arrow + 2 else {
      preconditionFailure("function table: \(line)")
    }
    var isVariadic = false
    let arguments = words[1..<arrow].map { word in
      isVariadic = word.hasSuffix("...")
      return type(String(isVariadic ? word.dropLast(3) : word))
    }
    var volatility = Volatility.immutable
    var isStrict = kind != .aggregate && kind != .window
    var typed = false
    var index = arrow + 2
    flags: while index < words.count {
      switch words[index] {
      case "stable": volatility = .stable
      case "volatile": volatility = .volatile
      case "nonstrict": isStrict = false
      case "typed": typed = true
      default: break flags
      }
      index += 1
    }
    let rest = words[index...].joined(separator: " ")
    let pieces = kind == .aggregate ? rest.split(separator: " ~ ").map(String.init) : [rest]
    precondition(pieces.count == 1 || pieces.count == 3, "function table: \(line)")
    let parts =
      pieces.count == 3
      ? AggregateParts(
        partial: implementation(pieces[1], typed: typed), combine: implementation(pieces[2], typed: false)) : nil
    return FunctionSignature(
      kind: kind, name: String(words[0]), argumentTypes: Array(arguments), isVariadic: isVariadic,
      resultType: type(String(words[arrow + 1])), isStrict: isStrict, volatility: volatility,
      implementation: implementation(pieces[0], typed: typed), parts: parts)
  }

  private static func implementation(_ text: String, typed: Bool) -> FunctionImplementation {
    let isNumber = text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    let isName =
      !isNumber && text.utf8.allSatisfy { $0 == 0x5f || ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39) }
    if !isName { return .inline(text) }
    return typed ? .sqliteTyped(text) : .sqlite(text)
  }

  private static func type(_ name: String) -> SQLType {
    if name == "char" { return .char }
    guard let type = SQLType.named(name) else { preconditionFailure("function table: unknown type \(name)") }
    return type
  }
}
