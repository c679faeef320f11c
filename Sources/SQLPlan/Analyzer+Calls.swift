import Metadata
import SQLTree
import SQLTypes

// Calls of functions, aggregates and window functions.
extension Analyzer {
  static let functionHint =
    "No function matches the given name and argument types. You might need to add explicit type casts."

  /// A call in an expression.
  func function(_ call: FunctionCall, _ scope: Scope) throws(SQLError) -> TypedExpression {
    guard let name = call.name.last, call.name.count == 1 || call.name[call.name.count - 2] == "pg_catalog" else {
      let arguments = try all(call.arguments, scope).map(\.type)
      throw noFunction(call, arguments)
    }
    if call.isWithinGroup { throw unsupported("WITHIN GROUP", at: call.location) }
    if !call.argumentNames.isEmpty { throw unsupported("a named argument", at: call.location) }
    let signatures = catalog.functions(named: name)
    if signatures.contains(where: { $0.kind == .aggregate }) { return try aggregate(name, signatures, call, scope) }
    if signatures.contains(where: { $0.kind == .window }) { return try windowFunction(name, signatures, call, scope) }
    if call.over != nil {
      throw failure(
        .wrongObjectType, "OVER specified, but \(name) is not a window function nor an aggregate function",
        at: call.location)
    }
    if call.isStar || call.isDistinct || !call.orderBy.isEmpty || call.filter != nil {
      let what = call.isStar ? "\(name)(*)" : call.isDistinct ? "DISTINCT" : call.filter != nil ? "FILTER" : "ORDER BY"
      throw failure(
        .wrongObjectType, "\(what) specified, but \(name) is not an aggregate function", at: call.location)
    }
    if clause == .select, let relation = try setReturning(call, scope) { return relation }
    let arguments = try all(call.arguments, scope)
    if name == "nextval", let sequence = try sequenceArgument(arguments) { return sequence }
    return try plainCall(name, signatures, arguments, call)
  }

  private func plainCall(
    _ name: String, _ signatures: [FunctionSignature], _ arguments: [TypedExpression], _ call: FunctionCall
  ) throws(SQLError) -> TypedExpression {
    var arguments = arguments
    if call.isVariadic { throw unsupported("VARIADIC", at: call.location) }
    let types = arguments.map { $0.type.oid == SQLType.varchar.oid ? SQLType.text : $0.type }
    let fitting = candidates(signatures.filter { $0.kind == .function }, count: arguments.count)
    // `float8(x)`: a function that is a type's name casts.
    if fitting.isEmpty || !isExact(fitting, types), arguments.count == 1,
      let target = SQLType.named(name), name != "char", canCastByName(arguments[0].type, target)
    {
      return try coerce(arguments[0], to: target, .explicit, at: call.location)
    }
    switch choose(fitting, types) {
    case .one(let candidate):
      if name == "pg_typeof", arguments[0].type.oid == SQLType.unknown.oid, case .constant = arguments[0] {
        return .constant(.integer(Int64(SQLType.unknown.oid)), .regtype)
      }
      for index in arguments.indices where isAnyType(candidate.types[index]) {
        arguments[index] = try resolveUnknown(arguments[index])
      }
      return .call(
        try makeCall(
          candidate, arguments, at: call.location, places: call.arguments.map { self.location($0) }))
    case .none: throw noFunction(call, arguments.map(\.type))
    case .several:
      throw failure(
        .ambiguousFunction, "function \(signatureText(call, arguments.map(\.type))) is not unique", at: call.location,
        hint: "Could not choose a best candidate function. You might need to add explicit type casts.")
    }
  }

  private func isExact(_ candidates: [Candidate], _ types: [SQLType]) -> Bool {
    candidates.contains { zip($0.types, types).allSatisfy { $0.0.oid == $0.1.oid } }
  }

  private func canCastByName(_ source: SQLType, _ target: SQLType) -> Bool {
    if source.oid == SQLType.unknown.oid || source.oid == target.oid { return true }
    guard let cast = catalog.cast(from: source, to: target) else { return false }
    return cast.isBinaryCoercible
  }

  func noFunction(_ call: FunctionCall, _ types: [SQLType]) -> SQLError {
    failure(
      .undefinedFunction, "function \(signatureText(call, types)) does not exist", at: call.location,
      hint: Self.functionHint)
  }

  private func signatureText(_ call: FunctionCall, _ types: [SQLType]) -> String {
    let name = call.name.joined(separator: ".")
    if call.isStar { return "\(name)(*)" }
    return "\(name)(\(types.map(\.base.displayName).joined(separator: ", ")))"
  }

  /// `nextval('s')`: the sequence is known now.
  private func sequenceArgument(_ arguments: [TypedExpression]) throws(SQLError) -> TypedExpression? {
    guard arguments.count == 1 else { return nil }
    let argument = try coerce(arguments[0], to: .regclass, .implicit)
    guard case .constant(.integer(let oid), _) = argument, let id = UInt32(exactly: oid) else { return nil }
    let sequence = ObjectID(rawValue: id)
    guard let definition = planner.image.sequences[sequence] else {
      let name = planner.image.tables[sequence]?.name ?? String(id)
      throw failure(.wrongObjectType, "\"\(name)\" is not a sequence")
    }
    dependencies.sequences.insert(definition.id)
    return .nextValue(sequenceID: id)
  }

  /// A set-returning call in a select list becomes an entry of FROM.
  private func setReturning(_ call: FunctionCall, _ scope: Scope) throws(SQLError) -> TypedExpression? {
    if call.name.last == "pg_partition_ancestors" {
      let id = try partitionAncestors(call, scope)
      setReturningRelations.append(id)
      return .column(relation: id, index: 0, .regclass)
    }
    guard let function = try setFunction(call, scope) else { return nil }
    if let relation = setReturningRelations.first { return try beside(relation, function, call) }
    let id = rangeTable.add(
      RangeTable.Entry(
        name: call.name.last ?? "", columns: [RangeTable.Column(name: call.name.last ?? "", type: function.type)],
        source: .setFunction(function)))
    setReturningRelations.append(id)
    return .column(relation: id, index: 0, function.type)
  }

  /// A further set-returning call goes on beside the first.
  private func beside(
    _ relation: Int, _ function: RangeTable.SetFunction, _ call: FunctionCall
  ) throws(SQLError) -> TypedExpression {
    let functions: [RangeTable.SetFunction]
    switch rangeTable[relation].source {
    case .setFunction(let first): functions = [first, function]
    case .lockstep(let others): functions = others + [function]
    default: throw unsupported("this set-returning function beside another", at: call.location)
    }
    guard functions.allSatisfy(\.isIndexed) else {
      throw unsupported("a series of this type beside another set-returning function", at: call.location)
    }
    rangeTable.extend(relation, with: [RangeTable.Column(name: call.name.last ?? "", type: function.type)])
    rangeTable.replace(relation, .lockstep(functions))
    return .column(relation: relation, index: functions.count - 1, function.type)
  }

  // MARK: - Aggregates

  private func aggregate(
    _ name: String, _ signatures: [FunctionSignature], _ call: FunctionCall, _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    if call.over == nil {
      if clause == .aggregateArgument {
        throw failure(.groupingError, "aggregate function calls cannot be nested", at: call.location)
      }
      guard clause.allowsAggregates else {
        throw failure(
          .groupingError, "aggregate functions are not allowed in \(clause.name)", at: call.location)
      }
    }
    let outerClause = clause
    clause = call.over == nil ? .aggregateArgument : .windowArgument
    defer { clause = outerClause }
    let arguments = try all(call.arguments, scope)
    guard !arguments.isEmpty || call.isStar else {
      throw failure(
        .wrongObjectType, "\(name)(*) must be used to call a parameterless aggregate function", at: call.location)
    }
    guard
      case .one(let candidate) = choose(
        candidates(signatures, count: arguments.count), arguments.map { $0.type.oid == 1043 ? .text : $0.type })
    else { throw noFunction(call, arguments.map(\.type)) }
    let typed = try makeCall(candidate, arguments, at: call.location)
    var filter: TypedExpression?
    if let written = call.filter {
      if outerClause != .windowArgument { clause = .filter }
      filter = try coerceToBoolean(analyze(written, scope), clause: "FILTER", at: location(written))
    }
    let orderBy = try sortKeys(call.orderBy, scope)
    if let over = call.over {
      if call.isDistinct { throw unsupported("DISTINCT for a window function", at: call.location) }
      if !orderBy.isEmpty { throw unsupported("an aggregate's ORDER BY with OVER", at: call.location) }
      clause = outerClause
      return try window(typed, isStar: call.isStar, filter: filter, over, call, scope)
    }
    hasAggregates = true
    let isOuter = (arguments + [filter].compactMap { $0 }).flatMap(\.relations)
    let own = Set(scope.items.flatMap { $0.columns.flatMap { $0.expression.relations } })
    if !isOuter.isEmpty, isOuter.allSatisfy({ !own.contains($0) }), scope.parent != nil {
      throw unsupported("an aggregate over columns of an outer query", at: call.location)
    }
    if call.isDistinct, orderBy.contains(where: { !typed.arguments.contains($0.expression) }) {
      throw failure(
        .invalidColumnReference,
        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
        at: call.orderBy.first.map { location($0.expression, $0.location) } ?? -1)
    }
    return .aggregate(
      TypedExpression.AggregateCall(
        signature: candidate.signature, arguments: typed.arguments, isStar: call.isStar, isDistinct: call.isDistinct,
        orderBy: orderBy, filter: filter, type: typed.type))
  }

  // MARK: - Windows

  private func windowFunction(
    _ name: String, _ signatures: [FunctionSignature], _ call: FunctionCall, _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    guard let over = call.over else {
      throw failure(
        .wrongObjectType, "window function \(name) requires an OVER clause", at: call.location)
    }
    if call.filter != nil {
      throw failure(
        .featureNotSupported, "FILTER is not implemented for non-aggregate window functions", at: call.location)
    }
    let outerClause = clause
    clause = .windowArgument
    let arguments: [TypedExpression]
    do throws(SQLError) { arguments = try all(call.arguments, scope) } catch {
      clause = outerClause
      throw error
    }
    clause = outerClause
    guard case .one(let candidate) = choose(candidates(signatures, count: arguments.count), arguments.map(\.type))
    else { throw noFunction(call, arguments.map(\.type)) }
    let typed = try makeCall(candidate, arguments, at: call.location)
    return try window(typed, isStar: false, filter: nil, over, call, scope)
  }

  private func window(
    _ typed: TypedExpression.Call, isStar: Bool, filter: TypedExpression?, _ over: WindowDefinition,
    _ call: FunctionCall, _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    if clause == .windowArgument || clause == .windowDefinition {
      throw failure(.windowingError, "window function calls cannot be nested", at: call.location)
    }
    guard clause.allowsWindows else {
      throw failure(
        .windowingError, "window functions are not allowed in \(clause.name)", at: call.location)
    }
    hasWindows = true
    let definition = try resolveWindow(over, scope)
    let outerClause = clause
    clause = .windowDefinition
    defer { clause = outerClause }
    let partitionBy = try all(definition.partitionBy, scope).map { item throws(SQLError) in try resolveUnknown(item) }
    let orderBy = try sortKeys(definition.orderBy, scope)
    return .window(
      TypedExpression.WindowCall(
        signature: typed.signature, arguments: typed.arguments, isStar: isStar, filter: filter,
        partitionBy: partitionBy, orderBy: orderBy,
        frame: try definition.frame.map { frame throws(SQLError) in
          try typedFrame(frame, orderBy, scope, at: definition.location)
        },
        type: typed.type))
  }

  /// `OVER w` and `OVER (w …)` with what the named window says filled in.
  private func resolveWindow(_ over: WindowDefinition, _ scope: Scope) throws(SQLError) -> WindowDefinition {
    guard let name = over.baseName ?? over.name else { return over }
    guard let base = scope.windows.first(where: { $0.name == name }) else {
      throw failure(.undefinedObject, "window \"\(name)\" does not exist", at: over.location)
    }
    var definition = try resolveWindow(
      {
        var copy = base
        copy.name = nil
        return copy
      }(), scope)
    if !over.partitionBy.isEmpty {
      throw failure(
        .windowingError, "cannot override PARTITION BY clause of window \"\(name)\"", at: over.location)
    }
    if !over.orderBy.isEmpty {
      guard definition.orderBy.isEmpty else {
        throw failure(
          .windowingError, "cannot override ORDER BY clause of window \"\(name)\"", at: over.location)
      }
      definition.orderBy = over.orderBy
    }
    if let frame = over.frame { definition.frame = frame }
    return definition
  }

  private func typedFrame(
    _ frame: WindowFrame, _ orderBy: [SortKey], _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedFrame {
    func bound(_ bound: WindowFrame.Bound) throws(SQLError) -> TypedFrame.Bound {
      switch bound {
      case .unboundedPreceding: return .unboundedPreceding
      case .currentRow: return .currentRow
      case .unboundedFollowing: return .unboundedFollowing
      case .preceding(let offset): return .preceding(try frameOffset(offset, frame.unit, orderBy, scope))
      case .following(let offset): return .following(try frameOffset(offset, frame.unit, orderBy, scope))
      }
    }
    let typed = TypedFrame(
      unit: frame.unit, start: try bound(frame.start), end: try bound(frame.end), exclusion: frame.exclusion)
    if frame.unit == .range, !typed.offsets.isEmpty, orderBy.count != 1 {
      throw failure(
        .windowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column", at: location)
    }
    if frame.unit == .groups, orderBy.isEmpty {
      throw failure(.windowingError, "GROUPS mode requires an ORDER BY clause", at: location)
    }
    return typed
  }

  private func frameOffset(
    _ offset: Expression, _ unit: WindowFrame.Unit, _ orderBy: [SortKey], _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    let typed = try analyze(offset, scope)
    let place = location(offset)
    guard typed.relations.isEmpty else {
      throw failure(
        .invalidColumnReference, "argument of \(unit == .rows ? "ROWS" : "RANGE") must not contain variables",
        at: place)
    }
    guard unit == .range else { return try coerce(typed, to: .int8, .assignment, at: place) }
    let integers = [SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid]
    guard let type = orderBy.first?.expression.type, integers.contains(type.oid) else {
      throw unsupported("RANGE with an offset over a column that is no integer", at: place)
    }
    return try coerce(typed, to: .int8, .assignment, at: place)
  }

  /// ORDER BY of an aggregate or a window.
  func sortKeys(_ items: [SortItem], _ scope: Scope) throws(SQLError) -> [SortKey] {
    var keys: [SortKey] = []
    for item in items { keys.append(try sortKey(item, try resolveUnknown(analyze(item.expression, scope)))) }
    return keys
  }

  func sortKey(_ item: SortItem, _ expression: TypedExpression) throws(SQLError) -> SortKey {
    var isDescending = item.isDescending
    if let name = item.usingOperator?.last {
      guard name == "<" || name == ">" else {
        throw failure(
          .wrongObjectType, "operator \(name) is not a valid ordering operator", at: item.location,
          hint: "Ordering operators must be \"<\" or \">\" members of btree operator families.")
      }
      isDescending = name == ">"
    }
    try checkOrdering(expression.type, at: location(item.expression, item.location))
    let nullsFirst: Bool
    switch item.nulls {
    case .first: nullsFirst = true
    case .last: nullsFirst = false
    case .byDirection: nullsFirst = isDescending
    }
    return SortKey(expression: expression, isDescending: isDescending, nullsFirst: nullsFirst)
  }

  /// 42883 for types without an order; 0A000 for those whose order is not kept.
  func checkOrdering(_ type: SQLType, at location: SourceLocation) throws(SQLError) {
    if type.oid == SQLType.json.oid || type.oid == SQLType.xid.oid {
      throw failure(
        .undefinedFunction, "could not identify an ordering operator for type \(type.displayName)", at: location,
        hint: "Use an explicit ordering operator or modify the query.")
    }
  }
}
