import SQLTree
import SQLTypes

/// Turns the parser's JSON into syntax trees; its methods are spread over extensions by what they read.
///
/// Positions of the errors that it throws are byte offsets + 1; `SQLParser` turns them into characters.
final class TreeBuilder {
  /// The whole text, in which locations count.
  let bytes: [UInt8]
  private var depth = 0
  /// Where the statement being read starts, for errors about all of it.
  var statementStart = 0
  var statementEnd = 0

  init(text: String) { bytes = Array(text.utf8) }

  /// One level of nesting; more than `SQLParser.maximumDepth` of them are refused.
  func nested<Result>(_ body: () throws(SQLError) -> Result) throws(SQLError) -> Result {
    guard depth < SQLParser.maximumDepth else { throw .tooComplex }
    depth += 1
    defer { depth -= 1 }
    return try body()
  }

  /// The error for what the grammar knows and no statement of ours supports.
  func unsupported(_ construct: String, at location: SourceLocation = -1) -> SQLError {
    SQLError(
      .featureNotSupported, "\(construct) is not supported", position: location >= 0 ? location + 1 : statementStart + 1
    )
  }

  /// An entry of `stmts`.
  func rawStatement(_ raw: JSONValue) throws(SQLError) -> ParsedStatementText {
    let start = Int(raw.integer("stmt_location"))
    let length = Int(raw.integer("stmt_len"))
    let end = length == 0 ? bytes.count : min(start + length, bytes.count)
    // Blanks and comments before the first word are no part of the statement.
    statementStart = bytes.withUnsafeBufferPointer { all in
      var scanner = SQLScanner(all, from: start)
      return min(scanner.next()?.start ?? start, end)
    }
    statementEnd = end
    guard let node = raw["stmt"] else { throw SQLError(.internalError, "a statement without a tree") }
    return ParsedStatementText(
      statement: try statement(node), startByte: statementStart, lengthBytes: end - statementStart)
  }

  /// The results for a list of nodes, in order.
  func all<Result>(
    _ values: [JSONValue], _ body: (JSONValue) throws(SQLError) -> Result
  ) throws(SQLError) -> [Result] {
    var results: [Result] = []
    results.reserveCapacity(values.count)
    for value in values { results.append(try body(value)) }
    return results
  }

  /// The value of a negative integer constant, which the parser's JSON leaves out (it writes positive ones only): read
  /// from the text at its place, where the grammar has folded signs and parentheses into the number.
  ///
  /// - Parameter skippingWords: the place is that of the keyword or name before the number.
  func integerInText(at location: SourceLocation, skippingWords: Bool = false) -> Int64 {
    guard location >= 0, location < bytes.count else { return 0 }
    return bytes.withUnsafeBufferPointer { all in
      var scanner = SQLScanner(all, from: location)
      while let token = scanner.next() {
        switch token.kind {
        case .number:
          return -(Int64(String(decoding: all[token.start..<token.end], as: UTF8.self)) ?? 0)
        case .sign where !scanner.isSign(token, UInt8(ascii: ",")) && !scanner.isSign(token, UInt8(ascii: ";")):
          continue
        case .word where skippingWords, .quotedName where skippingWords: continue
        default: return 0
        }
      }
      return 0
    }
  }
}
