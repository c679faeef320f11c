import SQLTree
import SQLTypes

// Type conversion, as in chapter 10 of PostgreSQL's manual.
extension Analyzer {
  /// Whether a value of a type may become one of another in that context.
  func canCoerce(_ source: SQLType, _ target: SQLType, _ context: CastContext) -> Bool {
    if source.oid == target.oid || isAnyType(target) { return true }
    if source.oid == SQLType.unknown.oid { return true }
    if isArrayPolymorphic(target) { return source.isArray }
    if isElementPolymorphic(target) { return target.oid != SQLType.anynonarray.oid || !source.isArray }
    if source.oid == SQLType.record.oid || target.oid == SQLType.record.oid { return false }
    guard let cast = catalog.cast(from: source, to: target) else { return false }
    return cast.context <= context
  }

  func isAnyType(_ type: SQLType) -> Bool { type.oid == SQLType.any.oid }

  func isArrayPolymorphic(_ type: SQLType) -> Bool {
    type.oid == SQLType.anyarray.oid || type.oid == SQLType.anycompatiblearray.oid
  }

  func isElementPolymorphic(_ type: SQLType) -> Bool {
    [SQLType.anyelement.oid, SQLType.anynonarray.oid, SQLType.anycompatible.oid].contains(type.oid)
  }

  /// The expression as a value of the type, modifier included; the caller has made sure that there is a cast.
  func coerce(
    _ expression: TypedExpression, to target: SQLType, _ context: CastContext, at location: SourceLocation = -1
  ) throws(SQLError) -> TypedExpression {
    let value = try coerceBase(expression, to: target, context, at: location)
    return try coerceModifier(value, to: target, context, at: location)
  }

  /// The expression as a value of the type, or 42804 naming the clause: `argument of WHERE must be type boolean, not type …`.
  func coerceToBoolean(
    _ expression: TypedExpression, clause: String, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard canCoerce(expression.type, .bool, .assignment), expression.type.category != .string else {
      throw failure(
        .datatypeMismatch, "argument of \(clause) must be type boolean, not type \(expression.type.displayName)",
        at: location)
    }
    return try coerce(expression, to: .bool, .assignment, at: location)
  }

  private func coerceBase(
    _ expression: TypedExpression, to target: SQLType, _ context: CastContext, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let source = expression.type
    if source.oid == target.oid || isAnyType(target) || isElementPolymorphic(target) { return expression }
    if isArrayPolymorphic(target), source.isArray { return expression }
    switch expression {
    case .constant(.null, _): return .constant(.null, target.base)
    case .constant(.text(let literal), .unknown):
      return try foldLiteral(literal, to: target, at: location)
    case .parameter(let number, let type) where type.oid == SQLType.unknown.oid:
      return .parameter(number, try resolveParameter(number, to: target.base, at: location))
    case .collate(let inner): return try coerceBase(inner, to: target, context, at: location)
    case .array(let elements, _) where target.elementType != nil && elements.isEmpty: return .array([], target.base)
    case .array(let elements, _) where target.elementType != nil && context == .explicit:
      let element = target.elementType ?? .text
      return .array(
        try elements.map { item throws(SQLError) in try cast(item, to: element.base, at: location) }, target.base)
    default: break
    }
    guard let cast = catalog.cast(from: source, to: target), cast.context <= context else {
      throw failure(
        .cannotCoerce, "cannot cast type \(source.displayName) to \(target.base.displayName)", at: location)
    }
    if case .constant(let value, _) = expression,
      let folded = try ConstantFolder.cast(value, from: source, to: target, session: planner.session)
    {
      return .constant(folded, target.base)
    }
    if cast.implementation == .inline("$1") { return retyped(expression, target.base) }
    let signature = FunctionSignature(
      kind: .function, name: target.entry?.name ?? "cast", argumentTypes: [source.base], resultType: target.base,
      volatility: castVolatility(source, target), implementation: cast.implementation)
    return .call(TypedExpression.Call(signature: signature, arguments: [expression], type: target.base))
  }

  /// Casts that look at the session's zone or at the catalog are stable, all others immutable.
  private func castVolatility(_ source: SQLType, _ target: SQLType) -> Volatility {
    let zoned = [SQLType.timestamptz.oid]
    if zoned.contains(source.oid) || zoned.contains(target.oid) { return .stable }
    return source.isRegistered || target.isRegistered ? .stable : .immutable
  }

  /// The same stored value under another type.
  func retyped(_ expression: TypedExpression, _ type: SQLType) -> TypedExpression {
    if case .constant(let value, _) = expression { return .constant(value, type) }
    let signature = FunctionSignature(
      kind: .function, name: type.entry?.name ?? "cast", argumentTypes: [expression.type.base], resultType: type,
      implementation: .inline("$1"))
    return .call(TypedExpression.Call(signature: signature, arguments: [expression], type: type))
  }

  private func coerceModifier(
    _ expression: TypedExpression, to target: SQLType, _ context: CastContext, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard target.modifier >= 0, expression.type.modifier != target.modifier || expression.type.oid != target.oid else {
      return expression
    }
    guard let function = catalog.modifierCoercion(of: target) else { return retyped(expression, target) }
    if case .constant(let value, _) = expression {
      do throws(SQLError) {
        if let folded = try ConstantFolder.modify(value, to: target, isExplicit: context == .explicit) {
          return .constant(folded, target)
        }
      } catch { throw error.at(nil) }
    }
    let signature = FunctionSignature(
      kind: .function, name: target.entry?.name ?? "", argumentTypes: [target.base, .int4, .int4], resultType: target,
      implementation: .sqlite(function))
    let arguments: [TypedExpression] = [
      expression, .constant(.integer(Int64(target.modifier)), .int4),
      .constant(.integer(context == .explicit ? 1 : 0), .int4),
    ]
    return .call(TypedExpression.Call(signature: signature, arguments: arguments, type: target))
  }

  /// An explicit cast, `x::type`.
  func cast(
    _ expression: TypedExpression, to target: SQLType, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard canCoerce(expression.type, target, .explicit) else {
      throw failure(
        .cannotCoerce, "cannot cast type \(expression.type.displayName) to \(target.base.displayName)", at: location)
    }
    return try coerce(expression, to: target, .explicit, at: location)
  }

  /// A quoted literal read as a value of the type.
  func foldLiteral(
    _ literal: String, to target: SQLType, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    let location = literalLocations[literal] ?? location
    if target.isRegistered, let name = try registeredConstant(literal, target, at: location) { return name }
    do throws(SQLError) {
      if let value = try ConstantFolder.input(literal, target.base, session: planner.session) {
        return .constant(value, target.base)
      }
    } catch { throw error.at(position(location)) }
    let signature = FunctionSignature(
      kind: .function, name: target.entry?.name ?? "cast", argumentTypes: [.text], resultType: target.base,
      volatility: .stable, implementation: .inline("pg_in(\(target.oid), $1, -1)"))
    return .call(
      TypedExpression.Call(signature: signature, arguments: [.constant(.text(literal), .text)], type: target.base))
  }

  /// Gives a parameter the type that its context asks for; 42P08 where another context gave it another.
  func resolveParameter(
    _ number: Int, to type: SQLType, at location: SourceLocation
  ) throws(SQLError) -> SQLType {
    let known = parameterTypes[number - 1]
    if known.oid == SQLType.unknown.oid {
      parameterTypes[number - 1] = type
    } else if known.oid != type.oid {
      throw failure(
        .ambiguousParameter, "inconsistent types deduced for parameter $\(number)", at: location,
        detail: "\(known.displayName) versus \(type.displayName)")
    }
    return type
  }

  // MARK: - Common types

  /// The one type for the branches of CASE, UNION and the like (manual, 10.5); `context` starts the message.
  func commonType(
    _ expressions: [TypedExpression], context: String, at location: SourceLocation
  ) throws(SQLError) -> SQLType {
    let types = expressions.map(\.type)
    guard let first = types.first else { return .text }
    if types.allSatisfy({ $0.oid == first.oid }), first.oid != SQLType.unknown.oid {
      return types.allSatisfy { $0 == first } ? first : first.base
    }
    var chosen = SQLType.unknown
    for type in types where type.oid != SQLType.unknown.oid && type.oid != chosen.oid {
      if chosen.oid == SQLType.unknown.oid {
        chosen = type.base
      } else if type.category != chosen.category {
        throw failure(
          .datatypeMismatch,
          "\(context) types \(chosen.displayName) and \(type.base.displayName) cannot be matched", at: location)
      } else if !chosen.isPreferred, canCoerce(chosen, type, .implicit), !canCoerce(type, chosen, .implicit) {
        chosen = type.base
      }
    }
    return chosen.oid == SQLType.unknown.oid ? .text : chosen
  }

  /// A branch as the common type; 42846 where there is no implicit cast.
  func coerceToCommon(
    _ expression: TypedExpression, _ type: SQLType, context: String, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard canCoerce(expression.type, type, .implicit) else {
      throw failure(
        .cannotCoerce,
        "\(context) could not convert type \(expression.type.displayName) to \(type.displayName)", at: location)
    }
    return try coerce(expression, to: type, .implicit, at: location)
  }

  /// A select-list item whose type nothing has decided is text.
  func resolveUnknown(_ expression: TypedExpression) throws(SQLError) -> TypedExpression {
    expression.type.oid == SQLType.unknown.oid ? try coerce(expression, to: .text, .implicit) : expression
  }

  // MARK: - Assignment

  /// A value for a column: 42804 where no assignment cast leads there.
  func coerceForAssignment(
    _ expression: TypedExpression, to type: SQLType, column: String, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    guard canCoerce(expression.type, type, .assignment) else {
      throw failure(
        .datatypeMismatch,
        "column \"\(column)\" is of type \(type.displayName) but expression is of type \(expression.type.displayName)",
        at: location, hint: "You will need to rewrite or cast the expression.")
    }
    return try coerce(expression, to: type, .assignment, at: location)
  }
}
