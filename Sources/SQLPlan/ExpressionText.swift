import SQLTree
import SQLTypes

/// Expressions as SQL text that PostgreSQL's grammar reads back to the same tree: how the catalog keeps defaults and checks.
/// Each operator stands in parentheses, as in what pg_get_expr prints.
enum ExpressionText {
  /// Throws 0A000 for what cannot stand in a default or a check: subqueries, windows.
  static func text(_ expression: Expression) throws(SQLError) -> String {
    switch expression {
    case .column(let name, let isStar, _):
      return (name.map(quoteIdentifier) + (isStar ? ["*"] : [])).joined(separator: ".")
    case .constant(let constant, _): return text(constant)
    case .parameter(let number, _): return "$\(number)"
    case .cast(let value, let type, _): return try cast(value, type)
    case .binary(let name, let left, let right, _):
      let symbol = name.count == 1 ? name[0] : "OPERATOR(\(name.joined(separator: ".")))"
      guard let left else { return "(\(symbol) \(try text(right)))" }
      return "(\(try text(left)) \(symbol) \(try text(right)))"
    case .quantified(let name, let isAll, let left, let right, _):
      return "(\(try text(left)) \(name.last ?? "=") \(isAll ? "ALL" : "ANY") (\(try text(right))))"
    case .distinct(let left, let right, let isNegated, _):
      return "(\(try text(left)) IS \(isNegated ? "NOT " : "")DISTINCT FROM \(try text(right)))"
    case .nullIf(let left, let right, _): return "NULLIF(\(try text(left)), \(try text(right)))"
    case .inList(let value, let items, let isNegated, _):
      return "(\(try text(value)) \(isNegated ? "NOT " : "")IN (\(try list(items))))"
    case .like(let kind, let value, let pattern, let isNegated, _):
      return try like(kind, value, pattern, isNegated)
    case .between(let value, let low, let high, let isNegated, let isSymmetric, _):
      return "(\(try text(value)) \(isNegated ? "NOT " : "")BETWEEN \(isSymmetric ? "SYMMETRIC " : "")"
        + "\(try text(low)) AND \(try text(high)))"
    case .and(let items, _): return "(\(try list(items, " AND ")))"
    case .or(let items, _): return "(\(try list(items, " OR ")))"
    case .not(let value, _): return "(NOT \(try text(value)))"
    case .isNull(let value, let isNegated, _): return "(\(try text(value)) IS \(isNegated ? "NOT " : "")NULL)"
    case .booleanTest(let value, let test, _): return "(\(try text(value)) \(test.keyword))"
    case .function(let call): return try function(call)
    case .caseWhen(let operand, let branches, let otherwise, _): return try caseWhen(operand, branches, otherwise)
    case .coalesce(let items, _): return "COALESCE(\(try list(items)))"
    case .greatest(let items, _): return "GREATEST(\(try list(items)))"
    case .least(let items, _): return "LEAST(\(try list(items)))"
    case .array(let items, _): return "ARRAY[\(try list(items))]"
    case .row(let items, _): return "ROW(\(try list(items)))"
    case .collate(let value, let name, _):
      return "(\(try text(value)) COLLATE \(name.map { quoted($0) }.joined(separator: ".")))"
    case .sqlValue(let keyword, let precision, _):
      return keyword.uppercased() + (precision.map { "(\($0))" } ?? "")
    case .indirection(let value, let steps, _): return try indirection(value, steps)
    case .defaultValue: return "DEFAULT"
    case .subquery, .groupingSet: throw SQLError(.featureNotSupported, "a subquery in this place is not supported")
    }
  }

  private static func list(_ items: [Expression], _ separator: String = ", ") throws(SQLError) -> String {
    var texts: [String] = []
    for item in items { texts.append(try text(item)) }
    return texts.joined(separator: separator)
  }

  static func text(_ constant: Constant) -> String {
    switch constant {
    case .null: return "NULL"
    case .boolean(let value): return value ? "true" : "false"
    case .integer(let value): return value < 0 ? "(\(value))" : String(value)
    case .decimal(let text): return text
    case .string(let text): return literal(text)
    case .bitString(let text): return "\(text.prefix(1).uppercased())'\(text.dropFirst())'"
    }
  }

  /// A string literal; backslashes need the E form.
  static func literal(_ text: String) -> String {
    var body = ""
    var isEscaped = false
    for character in text.unicodeScalars {
      switch character {
      case "'": body += "''"
      case "\\":
        body += "\\\\"
        isEscaped = true
      default: body.unicodeScalars.append(character)
      }
    }
    return (isEscaped ? "E'" : "'") + body + "'"
  }

  private static func cast(_ value: Expression, _ type: TypeName) throws(SQLError) -> String {
    if case .constant(.boolean(let truth), _) = value, type.name.last == "bool" { return truth ? "true" : "false" }
    let operand = try text(value)
    switch value {
    case .constant(.string, _), .column, .function, .cast: return "\(operand)::\(try name(type))"
    default: return operand.hasPrefix("(") ? "\(operand)::\(try name(type))" : "(\(operand))::\(try name(type))"
    }
  }

  /// A type as users read it.
  static func name(_ type: TypeName) throws(SQLError) -> String {
    let last = type.name.last ?? ""
    let known = type.name.count == 1 || type.name[0] == "pg_catalog"
    var text =
      known
      ? SQLType.named(last)?.displayName ?? quoteIdentifier(last)
      : type.name.map(quoteIdentifier).joined(separator: ".")
    if last == "bpchar", type.modifiers.isEmpty { text = "bpchar" }
    if last == "char", type.name.count == 1 { text = "\"char\"" }
    if !type.modifiers.isEmpty, last != "interval" {
      let modifiers = try list(type.modifiers)
      // The modifier of `timestamp(3) with time zone` stands in its middle.
      if let space = text.firstIndex(of: " "), text.hasPrefix("time") {
        text = "\(text[..<space])(\(modifiers))\(text[space...])"
      } else {
        text += "(\(modifiers))"
      }
    }
    return text + String(repeating: "[]", count: type.arrayDimensions)
  }

  private static func like(
    _ kind: LikeKind, _ value: Expression, _ pattern: Expression, _ isNegated: Bool
  ) throws(SQLError) -> String {
    let symbol: String
    switch kind {
    case .like: symbol = isNegated ? "!~~" : "~~"
    case .ilike: symbol = isNegated ? "!~~*" : "~~*"
    // The pattern is already wrapped in the function that turns it into a regular expression.
    case .similar: symbol = isNegated ? "!~" : "~"
    }
    return "(\(try text(value)) \(symbol) \(try text(pattern)))"
  }

  private static func function(_ call: FunctionCall) throws(SQLError) -> String {
    guard call.over == nil, call.filter == nil, call.orderBy.isEmpty, !call.isDistinct, !call.isStar else {
      throw SQLError(.featureNotSupported, "an aggregate in this place is not supported")
    }
    let name = call.name.map(quoteIdentifier).joined(separator: ".")
    return "\(name)(\(try list(call.arguments)))"
  }

  private static func caseWhen(
    _ operand: Expression?, _ branches: [CaseBranch], _ otherwise: Expression?
  ) throws(SQLError) -> String {
    var result = "CASE"
    if let operand { result += " \(try text(operand))" }
    for branch in branches { result += " WHEN \(try text(branch.condition)) THEN \(try text(branch.result))" }
    if let otherwise { result += " ELSE \(try text(otherwise))" }
    return result + " END"
  }

  private static func indirection(_ value: Expression, _ steps: [Indirection]) throws(SQLError) -> String {
    var result = "(\(try text(value)))"
    for step in steps {
      switch step {
      case .subscripted(let index): result += "[\(try text(index))]"
      case .slice(let lower, let upper):
        result += "[\(try lower.map { item throws(SQLError) in try text(item) } ?? "")"
        result += ":\(try upper.map { item throws(SQLError) in try text(item) } ?? "")]"
      case .field(let name): result += "." + quoteIdentifier(name)
      case .star: result += ".*"
      }
    }
    return result
  }
}
