import EventLoop
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

/// Where statements are read and planned: on the loop where that takes less than handing it over, else on a thread of its own,
/// so that the other sessions of the node notice nothing. Parser and planner are pure: they may run anywhere.
extension ComputeSession {
  /// Texts of so many bytes are read and planned away from the loop.
  private static let largeTextBytes = 16 << 10
  /// The longest text of a definition, which is understood on the loop.
  static let maximumDefinitionBytes = 1 << 20

  func isLarge(_ text: String) -> Bool { text.utf8.count > Self.largeTextBytes }

  /// Pure work on a text, on the loop or apart from it.
  func apart<Result: Sendable>(
    _ text: String, _ work: @escaping @Sendable () throws(SQLError) -> Result
  ) async throws(SQLError) -> Result {
    guard isLarge(text) else { return try work() }
    do {
      return try await services.planningThread.run(work)
    } catch {
      throw error as? SQLError ?? SQLError(.adminShutdown, "the compute node is shutting down")
    }
  }

  /// Plans SELECT, INSERT, UPDATE or DELETE against the present image.
  func plan(_ tree: Statement, text: String, declaredTypes: [UInt32]) async throws(SQLError) -> AnalyzedStatement {
    let planner = planner()
    let types = declaredTypes.map { $0 == 0 ? SQLType.unknown : SQLType(oid: $0) }
    return try await apart(text) { () throws(SQLError) in
      try planner.analyze(tree, text: text, parameterTypes: types)
    }
  }
}

/// The statements of a simple query.
struct Script: Sendable {
  let texts: [StatementText]
  /// Where the query is one statement and nothing else.
  let single: Statement?

  init(_ sql: String) throws(SQLError) {
    let statements = try SQLParser.parse(sql)
    if statements.count == 1, statements[0].startByte == 0, statements[0].lengthBytes == sql.utf8.count {
      single = statements[0].statement
      texts = [StatementText(text: sql, characterOffset: 0)]
      return
    }
    single = nil
    let bytes = sql.utf8
    var texts: [StatementText] = []
    // Characters are counted on from one statement to the next.
    var place = bytes.startIndex
    var offset = 0
    var characters = 0
    for statement in statements {
      let start = bytes.index(place, offsetBy: statement.startByte - offset)
      characters += bytes[place..<start].reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }
      (place, offset) = (start, statement.startByte)
      let end = bytes.index(start, offsetBy: statement.lengthBytes)
      texts.append(StatementText(text: String(sql[start..<end]), characterOffset: characters))
    }
    self.texts = texts
  }
}
