import SQLTree
import SQLTypes

// Choice among functions and operators of one name (manual, 10.2 and 10.3).
extension Analyzer {
  /// A candidate whose variadic argument is repeated as often as the call needs.
  struct Candidate {
    var signature: FunctionSignature
    var types: [SQLType]
  }

  /// The candidates that take so many arguments.
  func candidates(_ signatures: [FunctionSignature], count: Int) -> [Candidate] {
    signatures.compactMap { signature in
      var types = signature.argumentTypes
      if signature.isVariadic, let last = types.last {
        guard count >= types.count - 1 else { return nil }
        if count == types.count - 1, !isAnyType(last) { return nil }
        types = Array(types.dropLast())
        types += Array(repeating: last, count: count - types.count)
      }
      return types.count == count ? Candidate(signature: signature, types: types) : nil
    }
  }

  /// What a choice led to.
  enum Choice {
    case one(Candidate)
    case none
    case several
  }

  /// The best candidate for arguments of these types.
  func choose(_ all: [Candidate], _ arguments: [SQLType]) -> Choice {
    if let exact = all.first(where: { zip($0.types, arguments).allSatisfy { $0.0.oid == $0.1.oid } }) {
      return .one(exact)
    }
    let viable = all.filter { candidate in
      zip(candidate.types, arguments).allSatisfy { canCoerce($0.1, $0.0, .implicit) }
        && isConsistent(candidate, arguments)
    }
    guard let first = viable.first else { return .none }
    return viable.count == 1 ? .one(first) : select(viable, arguments)
  }

  /// Whether polymorphic arguments agree: anyarray's elements with anyelement.
  private func isConsistent(_ candidate: Candidate, _ arguments: [SQLType]) -> Bool {
    var element: SQLType?
    for (type, argument) in zip(candidate.types, arguments) where argument.oid != SQLType.unknown.oid {
      let isCompatible = type.oid == SQLType.anycompatible.oid || type.oid == SQLType.anycompatiblearray.oid
      let found: SQLType?
      if isArrayPolymorphic(type) {
        found = argument.elementType?.base
      } else if isElementPolymorphic(type) {
        found = argument.base
      } else {
        continue
      }
      if let element, let found, element != found {
        if isCompatible {
          guard canCoerce(found, element, .implicit) || canCoerce(element, found, .implicit) else { return false }
        } else if !canCoerce(found, element, .implicit) || !isArrayPolymorphic(candidate.types[0]) {
          return false
        }
      }
      element = element ?? found
    }
    return true
  }

  /// Steps 4a to 4f of the manual's 10.2.
  private func select(_ viable: [Candidate], _ arguments: [SQLType]) -> Choice {
    let unknown = SQLType.unknown.oid
    var left = best(viable) { candidate in
      zip(candidate.types, arguments).count { $0.1.oid != unknown && $0.0.oid == $0.1.oid }
    }
    if left.count == 1 { return .one(left[0]) }
    left = best(left) { candidate in
      zip(candidate.types, arguments).count { type, argument in
        guard argument.oid != unknown else { return false }
        return type.oid == argument.oid || (type.isPreferred && type.category == argument.category)
      }
    }
    if left.count == 1 { return .one(left[0]) }
    let unknowns = arguments.indices.filter { arguments[$0].oid == unknown }
    guard !unknowns.isEmpty else { return .several }
    if let narrowed = byCategory(left, unknowns) {
      left = narrowed
      if left.count == 1 { return .one(left[0]) }
    }
    let known = Set(arguments.filter { $0.oid != unknown }.map(\.oid))
    if let only = known.first, known.count == 1 {
      let assumed = SQLType(oid: only)
      let accepting = left.filter { $0.types.allSatisfy { canCoerce(assumed, $0, .implicit) } }
      if accepting.count == 1 { return .one(accepting[0]) }
    }
    return .several
  }

  private func best(_ candidates: [Candidate], _ score: (Candidate) -> Int) -> [Candidate] {
    let scores = candidates.map(score)
    let highest = scores.max() ?? 0
    return zip(candidates, scores).filter { $0.1 == highest }.map(\.0)
  }

  /// Step 4e: one category for each argument of unknown type; nil where candidates disagree.
  private func byCategory(_ candidates: [Candidate], _ unknowns: [Int]) -> [Candidate]? {
    var wanted: [Int: (category: TypeCategory, preferred: Bool)] = [:]
    for index in unknowns {
      let types = candidates.map { $0.types[index] }
      let categories = Set(types.map(\.category))
      let category: TypeCategory
      if categories.contains(.string) {
        category = .string
      } else if let only = categories.first, categories.count == 1 {
        category = only
      } else {
        return nil
      }
      let hasPreferred = types.contains { $0.category == category && $0.isPreferred }
      wanted[index] = (category, hasPreferred)
    }
    let kept = candidates.filter { candidate in
      wanted.allSatisfy { index, want in
        let type = candidate.types[index]
        return type.category == want.category && (!want.preferred || type.isPreferred)
      }
    }
    return kept.isEmpty ? nil : kept
  }

  /// A call with its arguments as the signature takes them.
  ///
  /// - Parameter places: where the arguments are, for the errors of literals among them; none: at `location`.
  func makeCall(
    _ candidate: Candidate, _ arguments: [TypedExpression], at location: SourceLocation,
    places: [SourceLocation] = []
  ) throws(SQLError) -> TypedExpression.Call {
    var element: SQLType?
    for (type, argument) in zip(candidate.types, arguments) where argument.type.oid != SQLType.unknown.oid {
      if isArrayPolymorphic(type) { element = element ?? argument.type.elementType?.base }
      if isElementPolymorphic(type) { element = element ?? argument.type.base }
    }
    let compatible = zip(candidate.types, arguments).filter { $0.0.oid == SQLType.anycompatible.oid }.map(\.1)
    if !compatible.isEmpty {
      element = try commonType(compatible, context: candidate.signature.name, at: location).base
    }
    var coerced: [TypedExpression] = []
    for (index, (type, argument)) in zip(candidate.types, arguments).enumerated() {
      var target = type
      if isArrayPolymorphic(type) { target = (element ?? .text).arrayType ?? .textArray }
      if isElementPolymorphic(type) { target = element ?? .text }
      if isAnyType(type) { target = argument.type.oid == SQLType.unknown.oid ? .text : argument.type }
      let place = places.indices.contains(index) && places[index] >= 0 ? places[index] : location
      coerced.append(try coerce(argument, to: target.base, .implicit, at: place))
    }
    var result = candidate.signature.resultType
    if isArrayPolymorphic(result) {
      result = (element ?? coerced.first.map { $0.type.base } ?? .text).arrayType ?? .textArray
    } else if isElementPolymorphic(result) {
      result = element ?? coerced.first?.type.base ?? .text
    }
    return TypedExpression.Call(signature: candidate.signature, arguments: coerced, type: result)
  }

  // MARK: - Operators

  /// `left op right`, `op right`: 42883 where there is none for the types.
  ///
  /// - Parameter places: where the operands are; none: at `location`.
  func operatorCall(
    _ name: QualifiedName, _ left: TypedExpression?, _ right: TypedExpression, at location: SourceLocation,
    places: [SourceLocation] = []
  ) throws(SQLError) -> TypedExpression {
    let symbol = try operatorSymbol(name, at: location)
    if let left, case .row(let leftItems) = left, case .row(let rightItems) = right {
      return try rowComparison(symbol, leftItems, rightItems, at: location)
    }
    let candidate = try operatorCandidate(symbol, left?.type, right.type, at: location)
    let call = try makeCall(candidate, [left, right].compactMap { $0 }, at: location, places: places)
    if let folded = try foldOperator(symbol, call, at: location) { return folded }
    return .call(call)
  }

  private func operatorSymbol(_ name: QualifiedName, at location: SourceLocation) throws(SQLError) -> String {
    if name.count > 1, name[0] != "pg_catalog" {
      throw failure(
        .undefinedFunction, "operator does not exist: \(name.joined(separator: "."))", at: location)
    }
    let symbol = name.last ?? ""
    return symbol == "!=" ? "<>" : symbol
  }

  /// The operator for operands of these types.
  func operatorCandidate(
    _ symbol: String, _ left: SQLType?, _ right: SQLType, at location: SourceLocation
  ) throws(SQLError) -> Candidate {
    let unknown = SQLType.unknown.oid
    let all: [Candidate]
    var types: [SQLType]
    if let left {
      all = candidates(catalog.infixOperators(named: symbol), count: 2)
      types = [left, right]
      // An exact match may take an unknown operand for one of the other's type.
      let assumed = [left.oid == unknown ? right : left, right.oid == unknown ? left : right]
      if (left.oid == unknown) != (right.oid == unknown),
        let exact = all.first(where: { $0.types[0].oid == assumed[0].oid && $0.types[1].oid == assumed[1].oid })
      {
        return exact
      }
    } else {
      all = candidates(catalog.prefixOperators(named: symbol), count: 1)
      types = [right]
    }
    // varchar has no operators of its own: it stands for text.
    types = types.map { $0.oid == SQLType.varchar.oid ? .text : $0 }
    switch choose(all, types) {
    case .one(let candidate): return candidate
    case .none: throw noOperator(symbol, left, right, at: location)
    case .several:
      throw failure(
        .ambiguousFunction, "operator is not unique: \(operatorText(symbol, left, right))", at: location,
        hint: "Could not choose a best candidate operator. You might need to add explicit type casts.")
    }
  }

  private func operatorText(_ symbol: String, _ left: SQLType?, _ right: SQLType) -> String {
    [left?.base.displayName, symbol, right.base.displayName].compactMap { $0 }.joined(separator: " ")
  }

  private func noOperator(
    _ symbol: String, _ left: SQLType?, _ right: SQLType, at location: SourceLocation
  ) -> SQLError {
    let hint =
      left == nil
      ? "No operator matches the given name and argument type. You might need to add an explicit type cast."
      : "No operator matches the given name and argument types. You might need to add explicit type casts."
    return failure(
      .undefinedFunction, "operator does not exist: \(operatorText(symbol, left, right))", at: location, hint: hint)
  }

  /// Negated number literals are constants.
  private func foldOperator(
    _ symbol: String, _ call: TypedExpression.Call, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression? {
    guard call.arguments.count == 1, symbol == "-", case .constant(let value, let type) = call.arguments[0] else {
      return nil
    }
    switch value {
    case .integer(let integer) where integer > 0:
      return .constant(.integer(-integer), type)
    case .text(let text) where type.oid == SQLType.numeric.oid && !text.hasPrefix("-"):
      let isZero = text.utf8.allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
      return isZero || text == "NaN" ? nil : .constant(.text("-" + text), type)
    case .real(let real) where real > 0: return .constant(.real(-real), type)
    default: return nil
    }
  }

  /// `(a, b) = (c, d)` and its like.
  func rowComparison(
    _ symbol: String, _ left: [TypedExpression], _ right: [TypedExpression], at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard left.count == right.count else {
      throw failure(.syntaxError, "unequal number of entries in row expressions", at: location)
    }
    guard !left.isEmpty else {
      throw failure(.featureNotSupported, "cannot compare rows of zero length", at: location)
    }
    func pairs(_ symbol: String) throws(SQLError) -> [TypedExpression] {
      var all: [TypedExpression] = []
      for (a, b) in zip(left, right) { all.append(try operatorCall([symbol], a, b, at: location)) }
      return all
    }
    switch symbol {
    case "=": return try conjunction(pairs("="))
    case "<>": return try disjunction(pairs("<>"))
    case "<", "<=", ">", ">=":
      // a < c, or a = c and then (b < d or …): as SQL defines it for rows.
      let strict = try pairs(String(symbol.prefix(1)))
      let equal = try pairs("=")
      let last = try pairs(symbol)
      var result = last[last.count - 1]
      for index in stride(from: left.count - 2, through: 0, by: -1) {
        result = .or([strict[index], .and([equal[index], result])])
      }
      return result
    default:
      throw failure(
        .featureNotSupported, "could not determine interpretation of row comparison operator \(symbol)", at: location,
        hint: "Row comparison operators must be associated with btree operator families.")
    }
  }

  func conjunction(_ items: [TypedExpression]) -> TypedExpression { items.count == 1 ? items[0] : .and(items) }

  func disjunction(_ items: [TypedExpression]) -> TypedExpression { items.count == 1 ? items[0] : .or(items) }
}
