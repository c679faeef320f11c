import Metadata
import SQLTree
import SQLTypes

/// Resolves the names and types of one statement, as PostgreSQL's parse analysis does. Used once, by one thread.
final class Analyzer {
  let planner: Planner
  let catalog = FunctionCatalog.planning
  /// The text that locations count in; nil within a view or a default, whose text the user does not see.
  var text: String?
  var rangeTable = RangeTable()
  /// Types of $1, $2 …: `unknown` until a context gives one.
  var parameterTypes: [SQLType]
  var dependencies = PlanDependencies()
  /// Columns and names of common tables, by id.
  var commonTables: [(name: String, columns: [RangeTable.Column])] = []
  /// What the clause under analysis is called in messages, and what it may hold.
  var clause = ClauseKind.select
  /// Aggregates and window calls that have been met in the query under analysis.
  var hasAggregates = false
  var hasWindows = false
  /// Where each column is first named in the clause under analysis, for messages; aggregates' arguments apart.
  var columnLocations: [TypedExpression: SourceLocation] = [:]
  /// Where a quoted literal was last met: it is read as a value only when its type is known.
  var literalLocations: [String: SourceLocation] = [:]
  /// Names that FROM gives to relations other than their own.
  var aliases: [Int: String] = [:]
  /// Views that are being read, to stop at a loop.
  var viewDepth = 0
  /// What LIMIT and OFFSET of the query under analysis could name, to refuse it.
  var selectScope: Scope?
  /// Set-returning calls met in a select list: relations to add to FROM.
  var setReturningRelations: [Int] = []

  init(planner: Planner, text: String?, parameterTypes: [SQLType] = []) {
    self.planner = planner
    self.text = text
    self.parameterTypes = parameterTypes
  }

  /// An error with its place.
  func failure(
    _ state: SQLState, _ message: String, at location: SourceLocation = -1, detail: String? = nil, hint: String? = nil
  ) -> SQLError {
    SQLError(state, message, detail: detail, hint: hint, position: position(location))
  }

  /// SQLSTATE 0A000 for what Kunlog lacks.
  func unsupported(_ construct: String, at location: SourceLocation = -1, hint: String? = nil) -> SQLError {
    failure(.featureNotSupported, "\(construct) is not supported", at: location, hint: hint)
  }

  /// Character position from 1, of a byte offset; nil where there is none.
  func position(_ location: SourceLocation) -> Int? {
    guard location >= 0, let text else { return nil }
    let bytes = text.utf8
    guard location <= bytes.count else { return nil }
    return bytes.prefix(location).reduce(into: 1) { count, byte in if byte & 0xC0 != 0x80 { count += 1 } }
  }
}

/// The clause in which an expression stands.
enum ClauseKind {
  case select, from, joinOn, whereClause, groupBy, having, filter, windowDefinition, orderBy, limit, offset, values
  case insertTarget, updateSource, returning, check, defaultValue, aggregateArgument, windowArgument, distinctOn

  /// As PostgreSQL's messages name it.
  var name: String {
    switch self {
    case .select: "SELECT"
    case .from: "functions in FROM"
    case .joinOn: "JOIN conditions"
    case .whereClause: "WHERE"
    case .groupBy: "GROUP BY"
    case .having: "HAVING"
    case .filter: "FILTER"
    case .windowDefinition: "window definitions"
    case .orderBy: "ORDER BY"
    case .limit: "LIMIT"
    case .offset: "OFFSET"
    case .values: "VALUES"
    case .insertTarget: "INSERT"
    case .updateSource: "UPDATE"
    case .returning: "RETURNING"
    case .check: "check constraints"
    case .defaultValue: "DEFAULT expressions"
    case .aggregateArgument: "aggregate function calls"
    case .windowArgument: "window function calls"
    case .distinctOn: "DISTINCT ON"
    }
  }

  var allowsAggregates: Bool {
    switch self {
    case .select, .having, .orderBy, .windowDefinition, .distinctOn, .windowArgument: true
    default: false
    }
  }

  var allowsWindows: Bool { self == .select || self == .orderBy || self == .distinctOn }
}
