import SQLTree
import SQLTypes

// Expressions: from the tree as written to typed ones.
extension Analyzer {
  /// Resolves an expression within a scope.
  func analyze(_ expression: Expression, _ scope: Scope) throws(SQLError) -> TypedExpression {
    switch expression {
    case .column(let name, let isStar, let location):
      guard !isStar else { throw failure(.syntaxError, "* is not allowed here", at: location) }
      let value = try column(name, scope, at: location).expression
      if clause != .aggregateArgument { columnLocations[value] = columnLocations[value] ?? location }
      return value
    case .constant(let constant, let location): return try constantValue(constant, at: location)
    case .parameter(let number, let location): return try parameter(number, at: location)
    case .cast(let value, let typeName, let location): return try castExpression(value, typeName, scope, at: location)
    case .binary(let name, let left, let right, let location):
      return try binary(name, left, right, scope, at: location)
    case .quantified(let name, let isAll, let left, let right, let location):
      return try quantified(name, isAll, left, right, scope, at: location)
    case .distinct(let left, let right, let isNegated, let location):
      return try distinct(left, right, isNegated, scope, at: location)
    case .nullIf(let left, let right, let location): return try nullIf(left, right, scope, at: location)
    case .inList(let value, let items, let isNegated, let location):
      return try inList(value, items, isNegated, scope, at: location)
    case .like(let kind, let value, let pattern, let isNegated, let location):
      return try like(kind, value, pattern, isNegated, scope, at: location)
    case .between(let value, let low, let high, let isNegated, let isSymmetric, let location):
      return try between(value, low, high, isNegated, isSymmetric, scope, at: location)
    case .and(let items, _): return .and(try booleans(items, "AND", scope))
    case .or(let items, _): return .or(try booleans(items, "OR", scope))
    case .not(let value, _): return .not(try booleans([value], "NOT", scope)[0])
    case .isNull(let value, let isNegated, _): return try isNull(value, isNegated, scope)
    case .booleanTest(let value, let test, let location):
      let operand = try analyze(value, scope)
      return .booleanTest(try coerceToBoolean(operand, clause: test.keyword, at: self.location(value, location)), test)
    case .function(let call): return try function(call, scope)
    case .caseWhen(let operand, let branches, let otherwise, let location):
      return try caseWhen(operand, branches, otherwise, scope, at: location)
    case .coalesce(let items, let location):
      let (values, type) = try common(items, "COALESCE", scope, at: location)
      return .coalesce(values, type)
    case .greatest(let items, let location):
      let (values, type) = try common(items, "GREATEST", scope, at: location)
      return .extreme(isGreatest: true, values, type)
    case .least(let items, let location):
      let (values, type) = try common(items, "LEAST", scope, at: location)
      return .extreme(isGreatest: false, values, type)
    case .subquery(let subquery): return try self.subquery(subquery, scope)
    case .array(let items, let location): return try array(items, scope, at: location)
    case .row(let items, _): return .row(try all(items, scope))
    case .collate(let value, let collation, let location): return try collate(value, collation, scope, at: location)
    case .sqlValue(let keyword, let precision, let location):
      return try sqlValue(keyword, precision, at: location)
    case .indirection(let value, let steps, let location): return try indirection(value, steps, scope, at: location)
    case .defaultValue(let location):
      throw failure(.syntaxError, "DEFAULT is not allowed in this context", at: location)
    case .groupingSet(let keyword, _, let location): throw unsupported(keyword, at: location)
    }
  }

  func all(_ items: [Expression], _ scope: Scope) throws(SQLError) -> [TypedExpression] {
    var typed: [TypedExpression] = []
    for item in items { typed.append(try analyze(item, scope)) }
    return typed
  }

  /// Where an expression starts, or the fallback where the tree does not say.
  func location(_ expression: Expression, _ fallback: SourceLocation = -1) -> SourceLocation {
    let own: SourceLocation
    switch expression {
    case .column(_, _, let location), .constant(_, let location), .parameter(_, let location): own = location
    case .cast(let value, _, let location):
      let inner = self.location(value)
      own = inner >= 0 && location >= 0 ? min(inner, location) : max(inner, location)
    case .binary(_, let left, _, let location):
      let inner = left.map { self.location($0) } ?? -1
      own = inner >= 0 && location >= 0 ? min(inner, location) : max(inner, location)
    case .quantified(_, _, let left, _, let location), .distinct(let left, _, _, let location),
      .inList(let left, _, _, let location), .like(_, let left, _, _, let location),
      .between(let left, _, _, _, _, let location), .isNull(let left, _, let location),
      .booleanTest(let left, _, let location), .nullIf(let left, _, let location):
      let inner = self.location(left)
      own = inner >= 0 && location >= 0 ? min(inner, location) : max(inner, location)
    case .and(let items, let location), .or(let items, let location):
      let inner = items.first.map { self.location($0) } ?? -1
      own = inner >= 0 && location >= 0 ? min(inner, location) : max(inner, location)
    case .not(_, let location), .caseWhen(_, _, _, let location), .coalesce(_, let location),
      .greatest(_, let location), .least(_, let location), .array(_, let location), .row(_, let location),
      .sqlValue(_, _, let location), .defaultValue(let location), .groupingSet(_, _, let location):
      own = location
    case .collate(let value, _, _), .indirection(let value, _, _): own = self.location(value)
    case .function(let call): own = call.location
    case .subquery(let subquery): own = subquery.location
    }
    return own >= 0 ? own : fallback
  }

  // MARK: - Leaves

  private func constantValue(_ constant: Constant, at location: SourceLocation) throws(SQLError) -> TypedExpression {
    switch constant {
    case .null: return .constant(.null, .unknown)
    case .boolean(let value): return .constant(.boolean(value), .bool)
    case .integer(let value):
      return .constant(.integer(value), Int32(exactly: value) == nil ? .int8 : .int4)
    case .decimal(let text):
      // -2147483648 is an integer, though the number without its sign is none.
      if let value = Int64(text) { return .constant(.integer(value), Int32(exactly: value) == nil ? .int8 : .int4) }
      guard let numeric = NumericLiteral.canonical(text) else {
        throw failure(.numericValueOutOfRange, "value overflows numeric format", at: location)
      }
      return .constant(.text(numeric), .numeric)
    case .string(let text):
      literalLocations[text] = location
      return .constant(.text(text), .unknown)
    case .bitString: throw unsupported("a bit string", at: location)
    }
  }

  private func parameter(_ number: Int, at location: SourceLocation) throws(SQLError) -> TypedExpression {
    guard number >= 1, number <= 65535 else {
      throw failure(.undefinedParameter, "there is no parameter $\(number)", at: location)
    }
    while parameterTypes.count < number { parameterTypes.append(.unknown) }
    return .parameter(number, parameterTypes[number - 1])
  }

  private func castExpression(
    _ value: Expression, _ typeName: TypeName, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let target = try type(typeName)
    if case .array(let items, let arrayLocation) = value, let element = target.elementType {
      var elements: [TypedExpression] = []
      for item in items {
        let typed = try analyze(item, scope)
        elements.append(try cast(typed, to: element.base, at: self.location(item, arrayLocation)))
      }
      return .array(elements, target.base)
    }
    let operand = try analyze(value, scope)
    if operand.type.oid == SQLType.unknown.oid {
      return try cast(operand, to: target, at: self.location(value, location))
    }
    return try cast(operand, to: target, at: location)
  }

  // MARK: - Operators

  private func binary(
    _ name: QualifiedName, _ left: Expression?, _ right: Expression, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    // `(a, b) = (SELECT x, y …)`.
    if case .row(let items, _)? = left, case .subquery(let subquery) = right, subquery.kind == .scalar {
      let compared = Subquery(
        kind: .any(test: .row(items, location: location), operatorName: name), query: subquery.query,
        location: subquery.location)
      return try self.subquery(compared, scope)
    }
    let leftTyped: TypedExpression?
    if let left { leftTyped = try analyze(left, scope) } else { leftTyped = nil }
    return try operatorCall(
      name, leftTyped, try analyze(right, scope), at: location,
      places: [left, right].compactMap { $0 }.map { self.location($0) })
  }

  private func quantified(
    _ name: QualifiedName, _ isAll: Bool, _ left: Expression, _ right: Expression, _ scope: Scope,
    at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let value = try analyze(left, scope)
    var array = try analyze(right, scope)
    let symbol = name.last == "!=" ? "<>" : name.last ?? ""
    if case .array(let items, _) = array, !items.isEmpty {
      var tests: [TypedExpression] = []
      for item in items { tests.append(try operatorCall(name, value, item, at: location)) }
      return isAll ? conjunction(tests) : disjunction(tests)
    }
    if array.type.oid == SQLType.unknown.oid {
      let element = value.type.oid == SQLType.unknown.oid ? SQLType.text : value.type.base
      array = try coerce(array, to: element.arrayType ?? .textArray, .implicit, at: self.location(right, location))
    }
    if array.type.oid == SQLType.oidvector.oid || array.type.oid == SQLType.int2vector.oid {
      let plain: SQLType = array.type.oid == SQLType.oidvector.oid ? .oidArray : .int2Array
      array = try coerce(array, to: plain, .implicit, at: location)
    }
    guard let element = array.type.elementType else {
      throw failure(
        .wrongObjectType, "op ANY/ALL (array) requires array on right side", at: location)
    }
    let candidate = try operatorCandidate(symbol, value.type, element.base, at: location)
    let left = try coerce(value, to: candidate.types[0], .implicit, at: location)
    if candidate.types[1].oid != element.oid, let wanted = candidate.types[1].arrayType {
      array = try coerce(array, to: wanted, .implicit, at: location)
    }
    return .quantified(candidate.signature, isAll: isAll, left, array: array)
  }

  private func equality(
    _ left: TypedExpression, _ right: TypedExpression, at location: SourceLocation
  ) throws(SQLError) -> (FunctionSignature, TypedExpression, TypedExpression) {
    let candidate = try operatorCandidate("=", left.type, right.type, at: location)
    let call = try makeCall(candidate, [left, right], at: location)
    return (candidate.signature, call.arguments[0], call.arguments[1])
  }

  private func distinct(
    _ left: Expression, _ right: Expression, _ isNegated: Bool, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let (a, b) = (try analyze(left, scope), try analyze(right, scope))
    if case .row(let leftItems) = a, case .row(let rightItems) = b {
      guard leftItems.count == rightItems.count else {
        throw failure(.syntaxError, "unequal number of entries in row expressions", at: location)
      }
      var tests: [TypedExpression] = []
      for (x, y) in zip(leftItems, rightItems) {
        let (signature, first, second) = try equality(x, y, at: location)
        tests.append(.distinct(first, second, isNegated: isNegated, equality: signature))
      }
      return isNegated ? conjunction(tests) : disjunction(tests)
    }
    let (signature, first, second) = try equality(a, b, at: location)
    return .distinct(first, second, isNegated: isNegated, equality: signature)
  }

  private func nullIf(
    _ left: Expression, _ right: Expression, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let (signature, first, second) = try equality(analyze(left, scope), analyze(right, scope), at: location)
    return .nullIf(first, second, equality: signature)
  }

  private func inList(
    _ value: Expression, _ items: [Expression], _ isNegated: Bool, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let operand = try analyze(value, scope)
    let typed = try all(items, scope)
    var isRow = false
    if case .row = operand { isRow = true }
    if !isRow, let type = try? commonType([operand] + typed, context: "IN", at: location),
      canCoerce(operand.type, type, .implicit), typed.allSatisfy({ canCoerce($0.type, type, .implicit) })
    {
      _ = try operatorCandidate("=", type, type, at: location)
      let left = try coerce(operand, to: type, .implicit, at: location)
      var list: [TypedExpression] = []
      for (item, source) in zip(typed, items) {
        list.append(try coerce(item, to: type, .implicit, at: self.location(source, location)))
      }
      return .inList(left, list, isNegated: isNegated)
    }
    var tests: [TypedExpression] = []
    for item in typed { tests.append(try operatorCall([isNegated ? "<>" : "="], operand, item, at: location)) }
    return isNegated ? conjunction(tests) : disjunction(tests)
  }

  private func like(
    _ kind: LikeKind, _ value: Expression, _ pattern: Expression, _ isNegated: Bool, _ scope: Scope,
    at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let symbol: String
    switch kind {
    case .like: symbol = isNegated ? "!~~" : "~~"
    case .ilike: symbol = isNegated ? "!~~*" : "~~*"
    case .similar: symbol = isNegated ? "!~" : "~"
    }
    return try operatorCall(
      [symbol], try analyze(value, scope), try analyze(pattern, scope), at: location,
      places: [self.location(value), self.location(pattern)])
  }

  private func between(
    _ value: Expression, _ low: Expression, _ high: Expression, _ isNegated: Bool, _ isSymmetric: Bool, _ scope: Scope,
    at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let operand = try analyze(value, scope)
    let (first, second) = (try analyze(low, scope), try analyze(high, scope))
    let lowPlaces = [self.location(value), self.location(low)]
    let highPlaces = [self.location(value), self.location(high)]
    func range(
      _ low: TypedExpression, _ lowPlaces: [SourceLocation], _ high: TypedExpression, _ highPlaces: [SourceLocation]
    ) throws(SQLError) -> TypedExpression {
      let above = try operatorCall([isNegated ? "<" : ">="], operand, low, at: location, places: lowPlaces)
      let below = try operatorCall([isNegated ? ">" : "<="], operand, high, at: location, places: highPlaces)
      return isNegated ? .or([above, below]) : .and([above, below])
    }
    guard isSymmetric else { return try range(first, lowPlaces, second, highPlaces) }
    let both = [
      try range(first, lowPlaces, second, highPlaces), try range(second, highPlaces, first, lowPlaces),
    ]
    return isNegated ? .and(both) : .or(both)
  }

  private func booleans(
    _ items: [Expression], _ keyword: String, _ scope: Scope
  ) throws(SQLError) -> [TypedExpression] {
    var typed: [TypedExpression] = []
    for item in items {
      typed.append(try coerceToBoolean(try analyze(item, scope), clause: keyword, at: location(item)))
    }
    return typed
  }

  private func isNull(_ value: Expression, _ isNegated: Bool, _ scope: Scope) throws(SQLError) -> TypedExpression {
    let operand = try analyze(value, scope)
    guard case .row(let items) = operand else {
      return .isNull(try resolveUnknown(operand), isNegated: isNegated)
    }
    return conjunction(
      try items.map { item throws(SQLError) in .isNull(try resolveUnknown(item), isNegated: isNegated) })
  }

  // MARK: - Constructs with several branches

  private func common(
    _ items: [Expression], _ context: String, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> ([TypedExpression], SQLType) {
    let typed = try all(items, scope)
    var place = location
    if let type = typed.first?.type {
      place = zip(typed, items).first { $0.0.type.oid != type.oid }.map { self.location($0.1, location) } ?? location
    }
    let type = try commonType(typed, context: context, at: place)
    var coerced: [TypedExpression] = []
    for (item, source) in zip(typed, items) {
      coerced.append(try coerceToCommon(item, type, context: context, at: self.location(source, location)))
    }
    return (coerced, type)
  }

  private func caseWhen(
    _ operand: Expression?, _ branches: [CaseBranch], _ otherwise: Expression?, _ scope: Scope,
    at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    var subject: TypedExpression?
    if let operand { subject = try resolveUnknown(analyze(operand, scope)) }
    var conditions: [TypedExpression] = []
    for branch in branches {
      let condition = try analyze(branch.condition, scope)
      if let subject {
        conditions.append(
          try operatorCall(["="], subject, condition, at: self.location(branch.condition, location)))
      } else {
        conditions.append(
          try coerceToBoolean(condition, clause: "CASE/WHEN", at: self.location(branch.condition, location)))
      }
    }
    // PostgreSQL looks at ELSE first.
    let sources = (otherwise.map { [$0] } ?? []) + branches.map(\.result)
    let (results, type) = try common(sources, "CASE", scope, at: location)
    let values = otherwise == nil ? results[...] : results.dropFirst()
    let typed = zip(conditions, values).map { TypedExpression.TypedBranch(condition: $0.0, result: $0.1) }
    return .caseWhen(typed, otherwise: otherwise == nil ? nil : results[0], type)
  }

  private func array(
    _ items: [Expression], _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard !items.isEmpty else {
      throw failure(
        .indeterminateDatatype, "cannot determine type of empty array", at: location,
        hint: "Explicitly cast to the desired type, for example ARRAY[]::integer[].")
    }
    let (values, type) = try common(items, "ARRAY", scope, at: location)
    guard !type.isArray else { throw unsupported("an array of several dimensions", at: location) }
    guard let arrayType = type.base.arrayType else {
      throw failure(
        .undefinedObject, "could not find array type for data type \(type.displayName)", at: location)
    }
    return .array(values, arrayType)
  }

  private func collate(
    _ value: Expression, _ collation: QualifiedName, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let name = collation.last ?? ""
    let operand = try analyze(value, scope)
    guard operand.type.category == .string || operand.type.oid == SQLType.unknown.oid else {
      throw failure(
        .datatypeMismatch, "collations are not supported by type \(operand.type.displayName)", at: location)
    }
    guard ["C", "POSIX", "default", "ucs_basic"].contains(name) else {
      throw failure(
        .featureNotSupported, "collation \"\(name)\" is not supported", at: location,
        hint: "Text is ordered by code point: \"C\" and \"default\".")
    }
    return .collate(try resolveUnknown(operand))
  }

  private func indirection(
    _ value: Expression, _ steps: [Indirection], _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    var operand = try analyze(value, scope)
    for step in steps {
      switch step {
      case .subscripted(let index):
        if operand.type.oid == SQLType.int2vector.oid {
          operand = try coerce(operand, to: .int2Array, .implicit, at: location)
        } else if operand.type.oid == SQLType.oidvector.oid {
          operand = try coerce(operand, to: .oidArray, .implicit, at: location)
        }
        guard let element = operand.type.elementType else {
          throw failure(
            .datatypeMismatch,
            "cannot subscript type \(operand.type.displayName) because it does not support subscripting",
            at: self.location(value, location))
        }
        let typed = try coerce(analyze(index, scope), to: .int4, .assignment, at: self.location(index, location))
        operand = .element(operand, index: typed, element.base)
      case .slice: throw unsupported("an array slice", at: location)
      case .field(let name): throw unsupported("selecting field \"\(name)\" of a composite value", at: location)
      case .star: throw unsupported("expanding a composite value", at: location)
      }
    }
    return operand
  }

  // MARK: - Keywords that are values

  private func sqlValue(
    _ keyword: String, _ precision: Int?, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard let signature = catalog.functions(named: keyword).first(where: { $0.argumentTypes.isEmpty }) else {
      throw unsupported(keyword.uppercased(), at: location)
    }
    let call = TypedExpression.call(
      TypedExpression.Call(signature: signature, arguments: [], type: signature.resultType))
    guard let precision else { return call }
    return try coerce(
      call, to: signature.resultType.with(modifier: Int32(min(precision, 6))), .explicit, at: location)
  }
}

extension BooleanTest {
  /// As PostgreSQL's messages name it.
  var keyword: String {
    switch self {
    case .isTrue: "IS TRUE"
    case .isNotTrue: "IS NOT TRUE"
    case .isFalse: "IS FALSE"
    case .isNotFalse: "IS NOT FALSE"
    case .isUnknown: "IS UNKNOWN"
    case .isNotUnknown: "IS NOT UNKNOWN"
    }
  }
}
