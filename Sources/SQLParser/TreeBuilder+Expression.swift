import SQLTree
import SQLTypes

extension TreeBuilder {
  /// An expression node; nil where the field is missing or null.
  func optionalExpression(_ value: JSONValue?) throws(SQLError) -> Expression? {
    guard let value, value.node != nil else { return nil }
    return try expression(value)
  }

  /// The expressions of a list.
  func expressions(_ values: [JSONValue]) throws(SQLError) -> [Expression] {
    try all(values) { (value) throws(SQLError) in try self.expression(value) }
  }

  /// An expression node.
  func expression(_ value: JSONValue) throws(SQLError) -> Expression {
    guard let (type, body) = value.node else { throw SQLError(.internalError, "an expression is missing") }
    return try nested { () throws(SQLError) in
      switch type {
      case "A_Const": return constant(body)
      case "ColumnRef": return columnReference(body)
      case "A_Expr": return try self.operation(body)
      case "FuncCall": return .function(try self.call(body))
      default: return try self.rareExpression(type, body)
      }
    }
  }

  /// The expressions that stand in fewer statements; apart, so that the recursion's frames stay small.
  private func rareExpression(_ type: String, _ body: JSONValue) throws(SQLError) -> Expression {
    let location = body.location
    switch type {
    case "ParamRef": return .parameter(Int(body.integer("number")), location: location)
    case "TypeCast": return try cast(body)
    case "BoolExpr": return try boolean(body)
    case "NullTest":
      return .isNull(
        try argument(body), isNegated: body.string("nulltesttype") == "IS_NOT_NULL", location: location)
    case "BooleanTest":
      return .booleanTest(try argument(body), booleanTest(body.string("booltesttype")), location: location)
    case "SubLink": return try subquery(body)
    case "CaseExpr": return try caseExpression(body)
    case "CoalesceExpr": return .coalesce(try expressions(body.list("args")), location: location)
    case "MinMaxExpr":
      let arguments = try expressions(body.list("args"))
      return body.string("op") == "IS_LEAST"
        ? .least(arguments, location: location) : .greatest(arguments, location: location)
    case "SQLValueFunction": return sqlValue(body)
    case "A_ArrayExpr": return .array(try expressions(body.list("elements")), location: location)
    case "RowExpr": return .row(try expressions(body.list("args")), location: location)
    case "CollateClause": return .collate(try argument(body), body.names("collname"), location: location)
    case "A_Indirection":
      return .indirection(try argument(body), try indirections(body.list("indirection")), location: location)
    case "SetToDefault": return .defaultValue(location: location)
    case "GroupingSet":
      return .groupingSet(
        Self.groupingKeywords[body.string("kind")] ?? "", try expressions(body.list("content")), location: location)
    case "GroupingFunc":
      return .function(
        FunctionCall(name: ["grouping"], arguments: try expressions(body.list("args")), location: location))
    case "List": return .row(try expressions(body.list("items")), location: location)
    case "CurrentOfExpr": throw unsupported("WHERE CURRENT OF")
    case "XmlExpr", "XmlSerialize": throw unsupported("XML", at: location)
    default: throw unsupported(Self.words(type), at: location)
    }
  }

  private static let groupingKeywords = [
    "GROUPING_SET_EMPTY": "empty", "GROUPING_SET_SIMPLE": "simple", "GROUPING_SET_ROLLUP": "rollup",
    "GROUPING_SET_CUBE": "cube", "GROUPING_SET_SETS": "sets",
  ]

  private func argument(_ body: JSONValue) throws(SQLError) -> Expression { try required(body["arg"]) }

  func required(_ value: JSONValue?) throws(SQLError) -> Expression {
    guard let value else { throw SQLError(.internalError, "an operand is missing") }
    return try expression(value)
  }

  /// A literal.
  func constant(_ body: JSONValue) -> Expression {
    let location = body.location
    if body.flag("isnull") { return .constant(.null, location: location) }
    if let value = body["ival"] {
      let number = value["ival"]?.integer ?? integerInText(at: location)
      return .constant(.integer(number), location: location)
    }
    if let value = body["sval"] { return .constant(.string(value.string("sval")), location: location) }
    if let value = body["fval"] { return .constant(.decimal(value.string("fval")), location: location) }
    if let value = body["boolval"] { return .constant(.boolean(value.flag("boolval")), location: location) }
    if let value = body["bsval"] { return .constant(.bitString(value.string("bsval")), location: location) }
    return .constant(.null, location: location)
  }

  private func columnReference(_ body: JSONValue) -> Expression {
    var names: [String] = []
    var isStar = false
    for field in body.list("fields") {
      if field["A_Star"] != nil { isStar = true } else { names.append(field.name) }
    }
    return .column(names, isStar: isStar, location: body.location)
  }

  /// `A_Expr`: all that is written with an operator.
  private func operation(_ body: JSONValue) throws(SQLError) -> Expression {
    let location = body.location
    let name = body.names("name")
    let kind = body.string("kind")
    switch kind {
    case "AEXPR_OP":
      return .binary(
        name, left: try optionalExpression(body["lexpr"]), right: try required(body["rexpr"]), location: location)
    case "AEXPR_OP_ANY", "AEXPR_OP_ALL":
      return .quantified(
        name, isAll: kind == "AEXPR_OP_ALL", left: try required(body["lexpr"]), right: try required(body["rexpr"]),
        location: location)
    case "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT":
      return .distinct(
        try required(body["lexpr"]), try required(body["rexpr"]), isNegated: kind == "AEXPR_NOT_DISTINCT",
        location: location)
    case "AEXPR_NULLIF":
      return .nullIf(try required(body["lexpr"]), try required(body["rexpr"]), location: location)
    case "AEXPR_IN":
      return .inList(
        try required(body["lexpr"]), try operands(body["rexpr"]), isNegated: name.last == "<>", location: location)
    case "AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR":
      let like: LikeKind = kind == "AEXPR_LIKE" ? .like : kind == "AEXPR_ILIKE" ? .ilike : .similar
      return .like(
        like, try required(body["lexpr"]), pattern: try required(body["rexpr"]),
        isNegated: name.last?.hasPrefix("!") ?? false, location: location)
    case "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM":
      let bounds = try operands(body["rexpr"])
      guard bounds.count == 2 else { throw SQLError(.internalError, "BETWEEN without two bounds") }
      return .between(
        try required(body["lexpr"]), low: bounds[0], high: bounds[1], isNegated: kind.hasPrefix("AEXPR_NOT"),
        isSymmetric: kind.hasSuffix("SYM"), location: location)
    default: throw unsupported(name.joined(separator: "."), at: location)
    }
  }

  /// The items of a List node.
  private func operands(_ value: JSONValue?) throws(SQLError) -> [Expression] {
    try expressions(value?["List"]?.list("items") ?? [])
  }

  private func cast(_ body: JSONValue) throws(SQLError) -> Expression {
    .cast(try argument(body), try typeName(body["typeName"]), location: body.location)
  }

  private func boolean(_ body: JSONValue) throws(SQLError) -> Expression {
    let arguments = try expressions(body.list("args"))
    switch body.string("boolop") {
    case "AND_EXPR": return .and(arguments, location: body.location)
    case "OR_EXPR": return .or(arguments, location: body.location)
    default:
      guard let first = arguments.first else { throw SQLError(.internalError, "NOT without an operand") }
      return .not(first, location: body.location)
    }
  }

  private func booleanTest(_ name: String) -> BooleanTest {
    switch name {
    case "IS_TRUE": .isTrue
    case "IS_NOT_TRUE": .isNotTrue
    case "IS_FALSE": .isFalse
    case "IS_NOT_FALSE": .isNotFalse
    case "IS_UNKNOWN": .isUnknown
    default: .isNotUnknown
    }
  }

  private func subquery(_ body: JSONValue) throws(SQLError) -> Expression {
    let query = try selectNode(body["subselect"])
    let operatorName = body.names("operName")
    let kind: Subquery.Kind
    switch body.string("subLinkType") {
    case "EXISTS_SUBLINK": kind = .exists
    case "ARRAY_SUBLINK": kind = .array
    case "ANY_SUBLINK":
      kind = .any(
        test: try required(body["testexpr"]), operatorName: operatorName.isEmpty ? ["="] : operatorName)
    case "ALL_SUBLINK":
      kind = .all(test: try required(body["testexpr"]), operatorName: operatorName)
    default: kind = .scalar
    }
    return .subquery(Subquery(kind: kind, query: query, location: body.location))
  }

  private func caseExpression(_ body: JSONValue) throws(SQLError) -> Expression {
    let branches = try all(body.list("args")) { (value) throws(SQLError) in
      CaseBranch(
        condition: try self.required(value["CaseWhen"]?["expr"]),
        result: try self.required(value["CaseWhen"]?["result"]))
    }
    return .caseWhen(
      operand: try optionalExpression(body["arg"]), branches: branches,
      otherwise: try optionalExpression(body["defresult"]), location: body.location)
  }

  private func sqlValue(_ body: JSONValue) -> Expression {
    var keyword = body.string("op").dropFirst("SVFOP_".count).lowercased()
    var precision: Int?
    if keyword.hasSuffix("_n") {
      keyword.removeLast(2)
      precision = Int(body.integer("typmod"))
    }
    return .sqlValue(keyword, precision: precision, location: body.location)
  }

  /// `[1]`, `[1:2]`, `.field`, `.*`.
  func indirections(_ values: [JSONValue]) throws(SQLError) -> [Indirection] {
    try all(values) { (value) throws(SQLError) -> Indirection in
      if value["A_Star"] != nil { return .star }
      guard let indices = value["A_Indices"] else { return .field(value.name) }
      if indices.flag("is_slice") {
        return .slice(
          lower: try self.optionalExpression(indices["lidx"]), upper: try self.optionalExpression(indices["uidx"]))
      }
      return .subscripted(try self.required(indices["uidx"]))
    }
  }

  /// A type, as an object without the node's name around it.
  func typeName(_ value: JSONValue?) throws(SQLError) -> TypeName {
    guard let value else { throw SQLError(.internalError, "a type is missing") }
    if value.flag("setof") { throw unsupported("SETOF", at: value.location) }
    if value.flag("pct_type") { throw unsupported("%TYPE", at: value.location) }
    return TypeName(
      name: value.names("names"), modifiers: try expressions(value.list("typmods")),
      arrayDimensions: value.list("arrayBounds").count, location: value.location)
  }

  /// A function call with its aggregate and window clauses.
  func call(_ body: JSONValue) throws(SQLError) -> FunctionCall {
    var call = FunctionCall(name: body.names("funcname"), arguments: [], location: body.location)
    for (index, argument) in body.list("args").enumerated() {
      if let named = argument["NamedArgExpr"] {
        call.argumentNames[index] = named.string("name")
        call.arguments.append(try required(named["arg"]))
      } else {
        call.arguments.append(try expression(argument))
      }
    }
    call.isStar = body.flag("agg_star")
    call.isDistinct = body.flag("agg_distinct")
    call.isVariadic = body.flag("func_variadic")
    call.isWithinGroup = body.flag("agg_within_group")
    call.orderBy = try sortItems(body.list("agg_order"))
    call.filter = try optionalExpression(body["agg_filter"])
    call.over = try body["over"].map { (value) throws(SQLError) in try self.overClause(value) }
    return call
  }

  /// `OVER w` names its window in `name`, `OVER (w …)` in `refname`: both refer.
  private func overClause(_ value: JSONValue) throws(SQLError) -> WindowDefinition {
    var window = try windowDefinition(value)
    if let name = window.name {
      window.baseName = name
      window.name = nil
    }
    return window
  }

  /// An entry of the WINDOW clause.
  func windowDefinition(_ value: JSONValue) throws(SQLError) -> WindowDefinition {
    var window = WindowDefinition(location: value.location)
    window.name = value.optionalString("name")
    window.baseName = value.optionalString("refname")
    window.partitionBy = try expressions(value.list("partitionClause"))
    window.orderBy = try sortItems(value.list("orderClause"))
    window.frame = try frame(value)
    return window
  }

  /// The frame from its option bits (FRAMEOPTION_… of PostgreSQL's parsenodes.h); nil where none is written.
  private func frame(_ value: JSONValue) throws(SQLError) -> WindowFrame? {
    let bits = value.integer("frameOptions")
    guard bits & 0x1 != 0 else { return nil }
    let start: WindowFrame.Bound
    switch bits {
    case _ where bits & 0x20 != 0: start = .unboundedPreceding
    case _ where bits & 0x80 != 0: start = .unboundedFollowing
    case _ where bits & 0x800 != 0: start = .preceding(try required(value["startOffset"]))
    case _ where bits & 0x2000 != 0: start = .following(try required(value["startOffset"]))
    default: start = .currentRow
    }
    let end: WindowFrame.Bound
    switch bits {
    case _ where bits & 0x40 != 0: end = .unboundedPreceding
    case _ where bits & 0x100 != 0: end = .unboundedFollowing
    case _ where bits & 0x1000 != 0: end = .preceding(try required(value["endOffset"]))
    case _ where bits & 0x4000 != 0: end = .following(try required(value["endOffset"]))
    default: end = .currentRow
    }
    return WindowFrame(
      unit: bits & 0x4 != 0 ? .rows : bits & 0x8 != 0 ? .groups : .range, start: start, end: end,
      exclusion: bits & 0x8000 != 0
        ? .currentRow : bits & 0x10000 != 0 ? .group : bits & 0x20000 != 0 ? .ties : .none)
  }

  /// The entries of an ORDER BY.
  func sortItems(_ values: [JSONValue]) throws(SQLError) -> [SortItem] {
    try all(values) { (value) throws(SQLError) in
      let body = value["SortBy"] ?? value
      let names = body.names("useOp")
      return SortItem(
        expression: try self.required(body["node"]), isDescending: body.string("sortby_dir") == "SORTBY_DESC",
        nulls: nullsOrder(body.string("sortby_nulls")), usingOperator: names.isEmpty ? nil : names,
        location: body.location)
    }
  }

  func nullsOrder(_ name: String) -> SortItem.Nulls {
    switch name {
    case "SORTBY_NULLS_FIRST": .first
    case "SORTBY_NULLS_LAST": .last
    default: .byDirection
    }
  }
}
