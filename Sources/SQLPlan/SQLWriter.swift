import Metadata
import SQLTree
import SQLTypes

/// Writes typed expressions and queries as SQLite's SQL. Constants and parameters become ?1, ?2 …, so that a storage node
/// keeps one prepared statement for all values. Every expression comes out as one operand.
///
/// Relations are named `r<id>` and their columns as in the catalog; columns of subqueries are `c1`, `c2` …, common tables
/// `q<id>`. Tables of tablets are written as marks, which `template` turns into slots.
struct SQLWriter {
  /// Where a table of the range table is found.
  enum TableName: Hashable {
    /// A tablet: slot of the template.
    case slot(Int)
    /// A table of the compute node's SQLite.
    case local(String)
    /// The tablet that the statement writes: columns are qualified by its name.
    case written(Int)
    /// `excluded` of ON CONFLICT.
    case excluded
    /// Columns stand for themselves, without a table: CHECK.
    case bare
  }
  /// Where the text runs: a storage node cannot evaluate the compute node's functions.
  enum Place { case storage, compute }

  private(set) var rangeTable: RangeTable
  let place: Place
  var tables: [Int: TableName]
  /// Columns of results of inner queries that stand for expressions, as SQL: for plans in two steps.
  var replacements: [TypedExpression: String] = [:]
  private(set) var parameters: [PlanParameter] = []
  private var places: [PlanParameter: Int] = [:]
  /// Constants go into the text: for CHECK, whose text is kept.
  var inlinesConstants = false
  /// Further constants are written into the text.
  private static let maximumParameters = 30_000
  /// Numbers of parameters that are already taken by the caller.
  let firstParameter: Int

  init(rangeTable: RangeTable, place: Place, tables: [Int: TableName], firstParameter: Int = 1) {
    self.rangeTable = rangeTable
    self.place = place
    self.tables = tables
    self.firstParameter = firstParameter
  }

  /// A writer that goes on where another stopped, with relations that have come since.
  init(copying other: SQLWriter, rangeTable: RangeTable) {
    self = other
    self.rangeTable = rangeTable
  }

  // MARK: - Pieces

  /// `?n` for a value.
  mutating func parameter(_ parameter: PlanParameter) -> String {
    if let place = places[parameter] { return "?\(place)" }
    parameters.append(parameter)
    let place = firstParameter + parameters.count - 1
    if case .expression(let expression) = parameter, !expression.isStable { return "?\(place)" }
    places[parameter] = place
    return "?\(place)"
  }

  /// Slots are written between these.
  private static let mark: Character = "\u{1}"

  func mark(_ kind: String, _ slot: Int) -> String { "\(Self.mark)\(kind)\(slot)\(Self.mark)" }

  /// A name of the catalog in quotes; 0A000 for one that holds the mark.
  func identifier(_ name: String) throws(SQLError) -> String {
    guard !name.unicodeScalars.contains("\u{1}") else {
      throw SQLError(.featureNotSupported, "a control character in a name is not supported")
    }
    return quoted(name)
  }

  /// The text with its slots, and the parameters that it has come to use.
  func template(_ text: String, columnCount: Int) -> SQLTemplate {
    var parts: [SQLTemplate.Part] = []
    for (index, piece) in text.split(separator: Self.mark, omittingEmptySubsequences: false).enumerated() {
      if index % 2 == 0 {
        if !piece.isEmpty { parts.append(.text(String(piece))) }
      } else if let slot = Int(piece.dropFirst()) {
        parts.append(piece.hasPrefix("T") ? .table(slot) : piece.hasPrefix("I") ? .tabletID(slot) : .tableOID(slot))
      }
    }
    return SQLTemplate(parts: parts, parameters: parameters(of: text), columnCount: columnCount)
  }

  /// The parameters that a text has places for: SQLite takes no value for a place behind the last one, and some functions
  /// are written without their arguments.
  func parameters(of text: String) -> [PlanParameter] {
    var highest = firstParameter - 1
    var quote: UInt8?
    var number: Int?
    for byte in text.utf8 {
      if let open = quote {
        if byte == open { quote = nil }
        continue
      }
      if let current = number, byte >= 0x30, byte <= 0x39 {
        number = current * 10 + Int(byte - 0x30)
        highest = max(highest, number ?? 0)
        continue
      }
      number = byte == UInt8(ascii: "?") ? 0 : nil
      if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") { quote = byte }
    }
    return Array(parameters.prefix(highest - firstParameter + 1))
  }

  /// A relation's column.
  func column(_ relation: Int, _ index: Int) throws(SQLError) -> String {
    let entry = rangeTable[relation]
    switch entry.source {
    case .table, .virtual:
      if let slot = slot(of: relation), case .table(let table) = entry.source, index >= table.columns.count {
        if entry.columns[index].name == ModifyPlanner.tabletColumn { return mark("I", slot) }
        if entry.columns[index].name == Analyzer.tableOIDColumn { return mark("O", slot) }
      }
      let name = try identifier(entry.columns[index].name)
      switch tables[relation] {
      case .written(let slot)?: return mark("T", slot) + "." + name
      case .bare?: return name
      default: return "r\(relation).\(name)"
      }
    case .excluded:
      guard tables[relation] == .excluded else { return "c\(index + 1)" }
      return "excluded.\(try identifier(entry.columns[index].name))"
    default: return "r\(relation).c\(index + 1)"
    }
  }

  private func slot(of relation: Int) -> Int? {
    switch tables[relation] {
    case .slot(let slot)?, .written(let slot)?: slot
    default: nil
    }
  }

  // MARK: - Expressions

  mutating func expression(_ expression: TypedExpression) throws(SQLError) -> String {
    if let replacement = replacements[expression] { return replacement }
    switch expression {
    case .constant(let value, let type): return constant(value, type)
    case .parameter(let number, _): return parameter(.parameter(number))
    case .column(let relation, let index, _): return try columnValue(relation, index)
    case .call(let call): return try self.call(call)
    case .aggregate(let call): return try aggregate(call)
    case .window(let call): return try window(call)
    case .and(let items): return try chain(items[...], " AND ")
    case .or(let items): return try chain(items[...], " OR ")
    case .not(let value): return "(NOT \(try self.expression(value)))"
    case .isNull(let value, let isNegated):
      return "(\(try self.expression(value)) IS \(isNegated ? "NOT " : "")NULL)"
    case .booleanTest(let value, let test): return "(\(try self.expression(value)) \(test.sqlite))"
    case .distinct(let left, let right, let isNegated, let equality):
      return try distinct(left, right, isNegated, equality)
    case .nullIf(let left, let right, let equality): return try nullIf(left, right, equality)
    case .caseWhen(let branches, let otherwise, _): return try caseWhen(branches, otherwise)
    case .coalesce(let items, _):
      let values = try list(items)
      return values.count == 1 ? values[0] : "coalesce(\(values.joined(separator: ", ")))"
    case .extreme(let isGreatest, let items, let type): return try extreme(isGreatest, items, type)
    case .inList(let value, let items, let isNegated): return try inList(value, items, isNegated)
    case .quantified(let signature, let isAll, let value, let array):
      return try quantified(signature, isAll, value, array)
    case .subquery(let subquery): return try self.subquery(subquery)
    case .array(let items, let type):
      if items.isEmpty { return "'{}'" }
      let element = type.elementType?.oid ?? 0
      return "pg_array_build(\(element), \(try list(items).joined(separator: ", ")))"
    case .element(let array, let index, let type):
      return "pg_array_element(\(type.oid), \(try self.expression(array)), \(try self.expression(index)))"
    case .row: throw SQLError(.featureNotSupported, "a row value in this place is not supported")
    case .collate(let value): return try self.expression(value)
    case .nextValue(let id): return "pg_nextval(\(id))"
    }
  }

  mutating func list(_ items: [TypedExpression]) throws(SQLError) -> [String] {
    var texts: [String] = []
    for item in items { texts.append(try expression(item)) }
    return texts
  }

  private mutating func constant(_ value: StoredValue, _ type: SQLType) -> String {
    if value.isNull { return "NULL" }
    // SQLite takes no more than some ten thousand parameters.
    let isInline = inlinesConstants || parameters.count >= Self.maximumParameters
    return isInline ? SQLLiteral.text(value) : parameter(.constant(value))
  }

  /// Long chains are written as balanced trees: SQLite's expressions are at most 1000 deep.
  private mutating func chain(_ items: ArraySlice<TypedExpression>, _ separator: String) throws(SQLError) -> String {
    guard items.count > 100 else {
      return "(\(try list(Array(items)).joined(separator: separator)))"
    }
    let middle = items.startIndex + items.count / 2
    let left = try chain(items[..<middle], separator)
    return "(\(left)\(separator)\(try chain(items[middle...], separator)))"
  }

  private mutating func columnValue(_ relation: Int, _ index: Int) throws(SQLError) -> String {
    switch rangeTable[relation].source {
    case .setFunction(let function): return try setFunctionColumn(function, relation, index)
    case .lockstep(let functions): return try lockstepColumn(functions[index], relation)
    default: return try column(relation, index)
    }
  }

  private mutating func call(_ call: TypedExpression.Call) throws(SQLError) -> String {
    if place == .storage, PlannerFunctions.isComputeNodeOnly(call) {
      return parameter(.expression(try localExpression(.call(call), isStable: call.signature.volatility != .volatile)))
    }
    return call.signature.implementation.sql(arguments: try list(call.arguments), types: call.argumentTypes)
  }

  /// The expression for the compute node to evaluate; it must not depend on rows.
  func localExpression(_ expression: TypedExpression, isStable: Bool) throws(SQLError) -> LocalExpression {
    guard expression.relations.isEmpty else {
      throw SQLError(.featureNotSupported, "a function of the catalog over columns of a tablet is not supported here")
    }
    var writer = SQLWriter(rangeTable: rangeTable, place: .compute, tables: [:])
    let text = try writer.expression(expression)
    return LocalExpression(sql: text, parameters: writer.parameters(of: text), isStable: isStable)
  }

  private mutating func caseWhen(
    _ branches: [TypedExpression.TypedBranch], _ otherwise: TypedExpression?
  ) throws(SQLError) -> String {
    var text = "(CASE"
    for branch in branches {
      let condition = try expression(branch.condition)
      text += " WHEN \(condition) THEN \(try expression(branch.result))"
    }
    if let otherwise { text += " ELSE \(try expression(otherwise))" }
    return text + " END)"
  }

  // MARK: - Comparisons

  /// How values of a type compare: the SQL with the collation, or under the key function, that makes SQLite's order PostgreSQL's.
  func key(_ text: String, _ type: SQLType) -> String {
    if let function = type.sqliteKeyFunction { return "\(function)(\(text))" }
    if let collation = type.sqliteCollation { return "\(text) COLLATE \(collation)" }
    return text
  }

  /// Whether `=` of these operands is SQLite's own on their keys.
  private func isNative(_ signature: FunctionSignature) -> Bool {
    guard case .inline(let text) = signature.implementation else { return false }
    return text.hasPrefix("($1") && !text.contains("(pg_") && text.hasSuffix("$2)")
  }

  private mutating func distinct(
    _ left: TypedExpression, _ right: TypedExpression, _ isNegated: Bool, _ equality: FunctionSignature
  ) throws(SQLError) -> String {
    let (a, b) = (try expression(left), try expression(right))
    if isNative(equality) { return "(\(key(a, left.type)) IS \(isNegated ? "" : "NOT ")\(b))" }
    let equal = equality.implementation.sql(arguments: [a, b], types: [left.type, right.type])
    let same = "(CASE WHEN \(a) IS NULL THEN \(b) IS NULL WHEN \(b) IS NULL THEN 0 ELSE \(equal) END)"
    return isNegated ? same : "(NOT \(same))"
  }

  private mutating func nullIf(
    _ left: TypedExpression, _ right: TypedExpression, _ equality: FunctionSignature
  ) throws(SQLError) -> String {
    let (a, b) = (try expression(left), try expression(right))
    let equal = equality.implementation.sql(arguments: [a, b], types: [left.type, right.type])
    return "(CASE WHEN \(equal) THEN NULL ELSE \(a) END)"
  }

  private mutating func inList(
    _ value: TypedExpression, _ items: [TypedExpression], _ isNegated: Bool
  ) throws(SQLError) -> String {
    let left = key(try expression(value), value.type)
    let keyed = value.type.sqliteKeyFunction != nil
    let list = try self.list(items).map { keyed ? key($0, value.type) : $0 }
    return "(\(left) \(isNegated ? "NOT " : "")IN (\(list.joined(separator: ", "))))"
  }

  private mutating func extreme(
    _ isGreatest: Bool, _ items: [TypedExpression], _ type: SQLType
  ) throws(SQLError) -> String {
    let rows = try list(items).map { "SELECT \($0) AS v" }.joined(separator: " UNION ALL ")
    let name = isGreatest ? "max" : "min"
    if type.oid == SQLType.interval.oid { return "(SELECT pg_\(name)_interval(v) FROM (\(rows)))" }
    return "(SELECT \(name)(\(key("v", type))) FROM (\(rows)))"
  }

  /// Three-valued ANY or ALL over the rows of `source`, whose column `t` is the comparison.
  private func threeValued(_ source: String, isAll: Bool) -> String {
    isAll
      ? "(SELECT CASE WHEN count(*) = 0 THEN 1 WHEN min(t) = 0 THEN 0 WHEN count(t) < count(*) THEN NULL ELSE 1 END FROM (\(source)))"
      : "(SELECT CASE WHEN count(*) = 0 THEN 0 WHEN max(t) = 1 THEN 1 WHEN count(t) < count(*) THEN NULL ELSE 0 END FROM (\(source)))"
  }

  private mutating func quantified(
    _ signature: FunctionSignature, _ isAll: Bool, _ value: TypedExpression, _ array: TypedExpression
  ) throws(SQLError) -> String {
    let (left, list) = (try expression(value), try expression(array))
    let type = array.type.elementType ?? .text
    let element = "pg_array_element(\(type.oid), \(list), e.key + 1)"
    let rows = elements(count: "pg_cardinality(\(list))")
    if signature.name == "=", !isAll, isNative(signature) {
      return
        "(\(key(left, value.type)) IN (SELECT \(element) FROM \(rows) AS e UNION ALL SELECT NULL WHERE \(list) IS NULL))"
    }
    let test = signature.implementation.sql(arguments: [left, element], types: [value.type, type])
    let answer = threeValued("SELECT \(test) AS t FROM \(rows) AS e", isAll: isAll)
    return "(CASE WHEN \(list) IS NULL THEN NULL ELSE \(answer) END)"
  }

  /// A table-valued call with so many rows, whose `key` counts from 0. It may speak of its neighbours in FROM.
  func elements(count: String) -> String {
    "json_each(CASE WHEN \(count) > 0 THEN '[' || substr(replace(hex(zeroblob(\(count))), '00', ',0'), 2) || ']' ELSE '[]' END)"
  }

  private mutating func subquery(_ subquery: TypedSubquery) throws(SQLError) -> String {
    switch subquery.kind {
    case .exists: return "EXISTS (\(try query(subquery.query)))"
    case .scalar:
      if subquery.query.hasOneRowAtMost { return "(\(try query(subquery.query)))" }
      return "(SELECT CASE WHEN count(*) > 1 THEN pg_raise('21000', "
        + "'more than one row returned by a subquery used as an expression') ELSE max(c1) END "
        + "FROM (SELECT c1 FROM (\(try query(subquery.query))) LIMIT 2))"
    case .array(let type):
      let element = type.elementType?.oid ?? 25
      return "(SELECT coalesce(pg_array_agg(\(element), c1), '{}') FROM (\(try query(subquery.query))))"
    case .compare(let tests, let operators, let isAll):
      return try compare(tests, operators, isAll, subquery.query)
    }
  }

  private mutating func compare(
    _ tests: [TypedExpression], _ operators: [FunctionSignature], _ isAll: Bool, _ query: Query
  ) throws(SQLError) -> String {
    let isEquality = operators.allSatisfy { isNative($0) && $0.name == (isAll ? "<>" : "=") }
    if isEquality, tests.allSatisfy({ $0.type.sqliteKeyFunction == nil }) {
      var values: [String] = []
      for test in tests { values.append(key(try expression(test), test.type)) }
      let left = values.count == 1 ? values[0] : "(\(values.joined(separator: ", ")))"
      return "(\(left) \(isAll ? "NOT " : "")IN (\(try self.query(query))))"
    }
    var pairs: [String] = []
    for (index, (test, signature)) in zip(tests, operators).enumerated() {
      let arguments = [try expression(test), "s.c\(index + 1)"]
      pairs.append(
        signature.implementation.sql(arguments: arguments, types: [test.type, query.columns[index].type]))
    }
    let joined = "(\(pairs.joined(separator: isAll ? " OR " : " AND ")))"
    return threeValued("SELECT \(joined) AS t FROM (\(try self.query(query))) AS s", isAll: isAll)
  }

  // MARK: - Aggregates and windows

  private mutating func aggregate(_ call: TypedExpression.AggregateCall) throws(SQLError) -> String {
    try aggregate(call, call.signature.implementation)
  }

  /// The aggregate by one of its implementations: the whole, or what a shard computes.
  mutating func aggregate(
    _ call: TypedExpression.AggregateCall, _ implementation: FunctionImplementation
  ) throws(SQLError) -> String {
    if call.dependsOnOrder, call.orderBy != aggregateOrder {
      throw SQLError(
        .featureNotSupported, "aggregates with different ORDER BY in one query are not supported",
        hint: "Aggregate over a subquery with that ORDER BY.")
    }
    var arguments = try list(call.arguments)
    var text: String
    if call.isDistinct, let first = call.arguments.first {
      guard first.type.sqliteKeyFunction == nil || call.signature.name == "count" else {
        throw SQLError(.featureNotSupported, "DISTINCT over type \(first.type.displayName) is not supported")
      }
      if let sorted = try distinctAggregate(call, arguments) {
        text = sorted
      } else {
        arguments[0] = "DISTINCT " + key(arguments[0], first.type)
        text = implementation.sql(arguments: arguments, types: call.arguments.map(\.type))
      }
    } else {
      text = implementation.sql(arguments: arguments, types: call.arguments.map(\.type))
    }
    if let filter = call.filter { text += " FILTER (WHERE \(try expression(filter)))" }
    return text
  }

  private mutating func window(_ call: TypedExpression.WindowCall) throws(SQLError) -> String {
    var text = call.signature.implementation.sql(
      arguments: try list(call.arguments), types: call.arguments.map(\.type))
    if !text.hasSuffix(")") { text += "()" }
    if let filter = call.filter { text += " FILTER (WHERE \(try expression(filter)))" }
    var pieces: [String] = []
    if !call.partitionBy.isEmpty {
      var keys: [String] = []
      for item in call.partitionBy { keys.append(key(try expression(item), item.type)) }
      pieces.append("PARTITION BY " + keys.joined(separator: ", "))
    }
    if !call.orderBy.isEmpty { pieces.append("ORDER BY " + (try sortList(call.orderBy))) }
    if let frame = call.frame { pieces.append(try frameText(frame)) }
    return "\(text) OVER (\(pieces.joined(separator: " ")))"
  }

  private mutating func frameText(_ frame: TypedFrame) throws(SQLError) -> String {
    let unit: String
    switch frame.unit {
    case .rows: unit = "ROWS"
    case .range: unit = "RANGE"
    case .groups: unit = "GROUPS"
    }
    var text = "\(unit) BETWEEN \(try bound(frame.start)) AND \(try bound(frame.end))"
    switch frame.exclusion {
    case .none: break
    case .currentRow: text += " EXCLUDE CURRENT ROW"
    case .group: text += " EXCLUDE GROUP"
    case .ties: text += " EXCLUDE TIES"
    }
    return text
  }

  private mutating func bound(_ bound: TypedFrame.Bound) throws(SQLError) -> String {
    switch bound {
    case .unboundedPreceding: return "UNBOUNDED PRECEDING"
    case .currentRow: return "CURRENT ROW"
    case .unboundedFollowing: return "UNBOUNDED FOLLOWING"
    case .preceding(let value): return "\(try expression(value)) PRECEDING"
    case .following(let value): return "\(try expression(value)) FOLLOWING"
    }
  }

  // MARK: - ORDER BY

  /// Keys by their expressions.
  mutating func sortList(_ keys: [SortKey]) throws(SQLError) -> String {
    var items: [String] = []
    for key in keys { items.append(sortItem(key, try expression(key.expression))) }
    return items.joined(separator: ", ")
  }

  /// One key of ORDER BY whose value has been written. SQLite takes null for the smallest value, PostgreSQL for the largest.
  func sortItem(_ sortKey: SortKey, _ text: String) -> String {
    var item = key(text, sortKey.expression.type) + (sortKey.isDescending ? " DESC" : "")
    let isNotNull: Bool
    if case .column(let relation, let index, _) = sortKey.expression {
      isNotNull = rangeTable[relation].columns[index].isNotNull && isTable(relation)
    } else {
      isNotNull = false
    }
    if !isNotNull, sortKey.nullsFirst == sortKey.isDescending {
      item += sortKey.nullsFirst ? " NULLS FIRST" : " NULLS LAST"
    }
    return item
  }

  private func isTable(_ relation: Int) -> Bool {
    if case .table = rangeTable[relation].source { return !nullable.contains(relation) }
    return false
  }

  /// The order in which the query that is being written feeds its aggregates.
  var aggregateOrder: [SortKey] = []
  /// How many ordered sources of aggregates have been written.
  var orderedSources = 0
  /// Relations on the side of an outer join that may be missing: their columns may be null after all.
  var nullable: Set<Int> = []
}

extension BooleanTest {
  /// The test in SQLite's SQL, where booleans are 0 and 1.
  var sqlite: String {
    switch self {
    case .isTrue: "IS 1"
    case .isNotTrue: "IS NOT 1"
    case .isFalse: "IS 0"
    case .isNotFalse: "IS NOT 0"
    case .isUnknown: "IS NULL"
    case .isNotUnknown: "IS NOT NULL"
    }
  }
}

/// Values as literals of SQLite's SQL.
enum SQLLiteral {
  static func text(_ value: StoredValue) -> String {
    switch value {
    case .null: return "NULL"
    case .integer(let integer):
      // The smallest integer has no literal.
      return integer == .min ? "(-9223372036854775807 - 1)" : String(integer)
    case .real(let real):
      if real.isInfinite { return real < 0 ? "(-9e999)" : "9e999" }
      return "\(real)"
    case .text(let text):
      return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    case .blob(let bytes):
      let digits = Array("0123456789abcdef")
      return "x'" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "'"
    }
  }
}
