import CPgQuery
import SQLTree
import SQLTypes

/// Text to syntax tree, through PostgreSQL's own grammar (libpg_query 15). Stateless; any thread may call it.
package enum SQLParser {
  /// Longest text that is looked at, in bytes; a longer one is SQLSTATE 54000.
  package static let maximumTextBytes = 64 << 20
  /// Deepest nesting of expressions, queries and joins; more is SQLSTATE 54001. All who walk a tree recurse as deep.
  package static let maximumDepth = 500

  /// The statements of a text in order, without the empty ones between semicolons.
  ///
  /// - Throws: 42601 with PostgreSQL's message and the position in characters; 0A000 for a construct that no statement
  ///   supports; 22021 for a NUL; 54000 and 54001 for a text that is too long or too complex.
  package static func parse(_ text: String) throws(SQLError) -> [ParsedStatementText] {
    try checkSize(of: text)
    let result = text.withCString { pg_query_parse($0) }
    defer { pg_query_free_parse_result(result) }
    if let failure = result.error { throw syntaxError(failure.pointee) }
    guard let json = result.parse_tree else { throw SQLError(.internalError, "the parser returned no tree") }
    do {
      return try build(json, text: text)
    } catch {
      throw error.inCharacters(of: text)
    }
  }

  /// The text with its literals replaced by `$1`, `$2` …: what statements that differ in literals only have in common.
  ///
  /// - Throws: as `parse`.
  package static func normalize(_ text: String) throws(SQLError) -> String {
    try checkSize(of: text)
    let result = text.withCString { pg_query_normalize($0) }
    defer { pg_query_free_normalize_result(result) }
    if let failure = result.error { throw syntaxError(failure.pointee) }
    return String(cString: result.normalized_query)
  }

  /// A hash of the statement's structure, equal for statements that differ in literals and spacing only.
  ///
  /// - Throws: as `parse`.
  package static func fingerprint(_ text: String) throws(SQLError) -> UInt64 {
    try checkSize(of: text)
    let result = text.withCString { pg_query_fingerprint($0) }
    defer { pg_query_free_fingerprint_result(result) }
    if let failure = result.error { throw syntaxError(failure.pointee) }
    return result.fingerprint
  }

  /// The character, from 1, at a byte of a text, as PostgreSQL counts positions; nil for an unknown place (-1).
  package static func characterPosition(ofByte offset: SourceLocation, in text: String) -> Int? {
    guard offset >= 0 else { return nil }
    let bytes = text.utf8
    guard offset <= bytes.count else { return nil }
    // A character of PostgreSQL is a code point: every byte that does not continue one starts one.
    return bytes.prefix(offset).reduce(into: 1) { count, byte in if byte & 0xC0 != 0x80 { count += 1 } }
  }

  /// The first `$n` of a text that is no string, name or comment: its number, and the byte where it stands.
  package static func firstParameter(in text: String) -> (number: Int, location: SourceLocation)? {
    var text = text
    return text.withUTF8 { bytes in
      var scanner = SQLScanner(bytes)
      while let token = scanner.next() {
        guard scanner.isSign(token, UInt8(ascii: "$")) else { continue }
        let digits = bytes[token.end...].prefix { (0x30...0x39).contains($0) }
        if let number = Int(String(decoding: digits, as: UTF8.self)) { return (number, token.start) }
      }
      return nil
    }
  }

  /// The parser recurses in C over the whole tree: what could be too deep for a stack is refused before it starts.
  private static func checkSize(of text: String) throws(SQLError) {
    var text = text
    let complexity: TextComplexity? = text.withUTF8 { bytes in
      guard bytes.count <= maximumTextBytes else { return nil }
      guard !bytes.contains(0) else { return TextComplexity(hasNUL: true) }
      return bytes.count < TextComplexity.harmlessBytes ? TextComplexity() : TextComplexity(of: bytes)
    }
    guard let complexity else {
      throw SQLError(
        .programLimitExceeded, "statement is longer than \(maximumTextBytes) bytes",
        hint: "Send large values as parameters, and many rows with COPY.")
    }
    if complexity.hasNUL {
      throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00")
    }
    if complexity.isExcessive { throw .tooComplex }
  }

  private static func build(
    _ json: UnsafePointer<CChar>, text: String
  ) throws(SQLError) -> [ParsedStatementText] {
    let tape = JSONTape(json)
    guard !tape.isTooDeep else { throw .tooComplex }
    guard let root = tape.root else { throw SQLError(.internalError, "the parser's tree cannot be read") }
    let builder = TreeBuilder(text: text)
    var statements: [ParsedStatementText] = []
    for element in root.list("stmts") {
      statements.append(try builder.rawStatement(element))
    }
    // The values point into the tape's memory.
    withExtendedLifetime(tape) {}
    return statements
  }

  private static func syntaxError(_ failure: PgQueryError) -> SQLError {
    let message = failure.message.map { String(cString: $0) } ?? "syntax error"
    let position = failure.cursorpos > 0 ? Int(failure.cursorpos) : nil
    // Bison's stack, which bounds the nesting of parentheses.
    if message.hasPrefix("memory exhausted") { return .tooComplex.at(position) }
    if message.hasSuffix("not yet implemented") || message.hasSuffix("not supported") {
      return SQLError(.featureNotSupported, message, position: position)
    }
    return SQLError(.syntaxError, message, position: position)
  }
}

extension SQLError {
  /// Nesting beyond what is walked.
  static let tooComplex = SQLError(
    .statementTooComplex, "stack depth limit exceeded",
    hint: "Write the statement with less nesting: at most \(SQLParser.maximumDepth) levels.")

  /// An error of the tree builder (whose positions are byte offsets + 1) with its position in characters.
  fileprivate func inCharacters(of text: String) -> SQLError {
    var copy = self
    copy.position = position.flatMap { SQLParser.characterPosition(ofByte: $0 - 1, in: text) }
    return copy
  }
}
