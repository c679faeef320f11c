import SQLTypes

/// A column that COPY reads or writes.
package struct CopyColumn: Sendable, Equatable {
  /// Its name.
  package let name: String
  /// Its type with modifier.
  package let type: SQLType

  /// A column.
  package init(name: String, type: SQLType) {
    self.name = name
    self.type = type
  }
}

/// The forms of COPY's data (PostgreSQL 15 manual, COPY, File Formats).
package enum CopyFormat: Sendable, Equatable {
  /// One line per row, backslash escapes.
  case text
  /// Comma-separated values.
  case csv
  /// Counted binary values.
  case binary
}

/// Which columns an option is for.
package enum CopyColumnSet: Sendable, Equatable {
  /// The columns of these names.
  case named([String])
  /// `*`
  case all

  /// Whether a column is one of them.
  package func contains(_ name: String) -> Bool {
    switch self {
    case .named(let names): names.contains(name)
    case .all: true
    }
  }
}

/// How COPY's data looks; checked as PostgreSQL does.
package struct CopyOptions: Sendable, Equatable {
  /// A first line of column names.
  package enum Header: Sendable, Equatable {
    case none
    /// Written; read over.
    case present
    /// Read and compared.
    case match
  }

  /// text, csv or binary.
  package private(set) var format = CopyFormat.text
  /// Between columns.
  package private(set) var delimiter = UInt8(ascii: "\t")
  /// What stands for NULL.
  package private(set) var null = Array("\\N".utf8)
  /// Whether there is a line of names.
  package private(set) var header = Header.none
  /// CSV's quote.
  package private(set) var quote = UInt8(ascii: "\"")
  /// CSV's escape inside quotes.
  package private(set) var escape = UInt8(ascii: "\"")
  /// Columns that are always quoted.
  package private(set) var forceQuote = CopyColumnSet.named([])
  /// Columns whose unquoted null string is text.
  package private(set) var forceNotNull: [String] = []
  /// Columns whose quoted null string is NULL.
  package private(set) var forceNull: [String] = []

  /// COPY's defaults: text.
  package init() {}

  /// The format of all columns in CopyInResponse and CopyOutResponse.
  package var formatCode: FormatCode { format == .binary ? .binary : .text }
}

/// The options as a statement writes them.
extension CopyOptions {
  /// An option's argument.
  package enum Argument: Sendable, Equatable {
    /// `HEADER` alone.
    case absent
    /// A word, string or number.
    case text(String)
    /// `(a, b)`
    case list([String])
    /// `*`
    case star
  }

  /// An option of `COPY … WITH (…)`, its name in lower case.
  package struct Option: Sendable, Equatable {
    /// `format`, `delimiter`, …
    package let name: String
    /// What follows it.
    package let argument: Argument
    /// Characters from the statement's start, from 1; nil where not known.
    package let position: Int?

    /// An option.
    package init(name: String, argument: Argument, position: Int? = nil) {
      self.name = name
      self.argument = argument
      self.position = position
    }
  }

  /// Options as written, with PostgreSQL's errors.
  ///
  /// - Parameter isFrom: COPY FROM rather than COPY TO.
  package init(_ options: [Option], isFrom: Bool) throws(SQLError) {
    var given: [String: Option] = [:]
    for option in options {
      guard Self.knownNames.contains(option.name) else {
        throw SQLError(.syntaxError, "option \"\(option.name)\" not recognized", position: option.position)
      }
      guard given.updateValue(option, forKey: option.name) == nil else {
        throw SQLError(.syntaxError, "conflicting or redundant options", position: option.position)
      }
    }
    if let option = given["format"] { format = try Self.format(option) }
    if let option = given["encoding"] { try Self.checkEncoding(option) }
    try rejectForBinary(given)
    if format == .csv {
      delimiter = UInt8(ascii: ",")
      null = []
    }
    if let option = given["header"] { header = try Self.header(option, isFrom: isFrom) }
    if let option = given["delimiter"] { delimiter = try Self.oneByte(option, what: "delimiter") }
    if let option = given["null"] { null = Array(try Self.text(option).utf8) }
    try readCSVOptions(given, isFrom: isFrom)
    try checkCharacters()
  }

  private static let knownNames: Set<String> = [
    "format", "freeze", "delimiter", "null", "header", "quote", "escape", "force_quote", "force_not_null",
    "force_null", "encoding",
  ]

  private static func format(_ option: Option) throws(SQLError) -> CopyFormat {
    switch try text(option) {
    case "text": return .text
    case "csv": return .csv
    case "binary": return .binary
    case let other:
      throw SQLError(
        .invalidParameterValue, "COPY format \"\(other)\" not recognized", position: option.position)
    }
  }

  private static func checkEncoding(_ option: Option) throws(SQLError) {
    let name = try text(option)
    guard ClientEncoding.canonicalName(name) != nil else {
      throw SQLError(
        .featureNotSupported, "COPY encoding \"\(name)\" is not supported", hint: "Only UTF8 is.",
        position: option.position)
    }
  }

  private func rejectForBinary(_ given: [String: Option]) throws(SQLError) {
    guard format == .binary else { return }
    if given["delimiter"] != nil { throw SQLError(.syntaxError, "cannot specify DELIMITER in BINARY mode") }
    if given["null"] != nil { throw SQLError(.syntaxError, "cannot specify NULL in BINARY mode") }
    if given["header"] != nil { throw SQLError(.featureNotSupported, "cannot specify HEADER in BINARY mode") }
  }

  private static func header(_ option: Option, isFrom: Bool) throws(SQLError) -> Header {
    guard option.argument != .absent else { return .present }
    switch try text(option).lowercased() {
    case "true", "on", "1", "yes", "t", "y": return .present
    case "false", "off", "0", "no", "f", "n": return .none
    case "match":
      guard isFrom else {
        throw SQLError(.featureNotSupported, "cannot use \"match\" with HEADER in COPY TO")
      }
      return .match
    default: throw SQLError(.syntaxError, "header requires a Boolean value or \"match\"")
    }
  }

  private mutating func readCSVOptions(_ given: [String: Option], isFrom: Bool) throws(SQLError) {
    let csvOnly = [
      ("quote", "quote"), ("escape", "escape"), ("force_quote", "force quote"),
      ("force_not_null", "force not null"), ("force_null", "force null"),
    ]
    for (name, words) in csvOnly where format != .csv && given[name] != nil {
      throw SQLError(.featureNotSupported, "COPY \(words) available only in CSV mode")
    }
    if let option = given["quote"] { quote = try Self.oneByte(option, what: "quote") }
    escape = quote
    if let option = given["escape"] { escape = try Self.oneByte(option, what: "escape") }
    if let option = given["force_quote"] {
      guard !isFrom else {
        throw SQLError(.featureNotSupported, "COPY force quote only available using COPY TO")
      }
      forceQuote = option.argument == .star ? .all : .named(try Self.list(option))
    }
    if let option = given["force_not_null"] {
      guard isFrom else {
        throw SQLError(.featureNotSupported, "COPY force not null only available using COPY FROM")
      }
      forceNotNull = try Self.list(option)
    }
    if let option = given["force_null"] {
      guard isFrom else {
        throw SQLError(.featureNotSupported, "COPY force null only available using COPY FROM")
      }
      forceNull = try Self.list(option)
    }
  }

  private func checkCharacters() throws(SQLError) {
    let lineEnds = [UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    guard !lineEnds.contains(delimiter) else {
      throw SQLError(.invalidParameterValue, "COPY delimiter cannot be newline or carriage return")
    }
    guard !null.contains(where: lineEnds.contains) else {
      throw SQLError(.invalidParameterValue, "COPY null representation cannot use newline or carriage return")
    }
    if format == .text, "\\.abcdefghijklmnopqrstuvwxyz0123456789".utf8.contains(delimiter) {
      throw SQLError(
        .invalidParameterValue, "COPY delimiter cannot be \"\(Character(Unicode.Scalar(delimiter)))\"")
    }
    guard format != .binary else { return }
    if format == .csv, delimiter == quote {
      throw SQLError(.invalidParameterValue, "COPY delimiter and quote must be different")
    }
    guard !null.contains(delimiter) else {
      throw SQLError(.featureNotSupported, "COPY delimiter must not appear in the NULL specification")
    }
    if format == .csv, null.contains(quote) {
      throw SQLError(.featureNotSupported, "CSV quote character must not appear in the NULL specification")
    }
  }

  private static func text(_ option: Option) throws(SQLError) -> String {
    guard case .text(let text) = option.argument else {
      throw SQLError(.syntaxError, "\(option.name) requires a parameter", position: option.position)
    }
    return text
  }

  private static func list(_ option: Option) throws(SQLError) -> [String] {
    guard case .list(let names) = option.argument else {
      throw SQLError(
        .invalidParameterValue, "argument to option \"\(option.name)\" must be a list of column names",
        position: option.position)
    }
    return names
  }

  private static func oneByte(_ option: Option, what: String) throws(SQLError) -> UInt8 {
    let bytes = Array(try text(option).utf8)
    guard bytes.count == 1, bytes[0] < 0x80 else {
      throw SQLError(.featureNotSupported, "COPY \(what) must be a single one-byte character")
    }
    return bytes[0]
  }
}
