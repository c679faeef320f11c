import SQLTypes

/// `string_agg`: the first delimiter is not used.
final class StringAggregate: AggregateState {
  private var pieces: [(delimiter: String, value: String)] = []
  private var head = 0

  func step(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    pieces.append((arguments.isNull(1) ? "" : arguments.text(1), arguments.text(0)))
  }

  func inverse(_ arguments: SQLiteArguments) {
    if !arguments.isNull(0) { head += 1 }
  }

  func value() -> StoredValue {
    guard head < pieces.count else { return .null }
    var result = pieces[head].value
    for piece in pieces[(head + 1)...] { result += piece.delimiter + piece.value }
    return .text(result)
  }
}

/// `string_agg` of bytea.
final class BytesAggregate: AggregateState {
  private var pieces: [(delimiter: [UInt8], value: [UInt8])] = []
  private var head = 0

  func step(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    pieces.append((arguments.isNull(1) ? [] : arguments.blob(1), arguments.blob(0)))
  }

  func inverse(_ arguments: SQLiteArguments) {
    if !arguments.isNull(0) { head += 1 }
  }

  func value() -> StoredValue {
    guard head < pieces.count else { return .null }
    var result = pieces[head].value
    for piece in pieces[(head + 1)...] { result += piece.delimiter + piece.value }
    return .blob(result)
  }
}

/// `array_agg`, `jsonb_agg`: the texts of all rows' values, NULL among them.
final class ElementList: AggregateState {
  private let context: SessionContext
  private let render: (SQLiteArguments, SessionContext) throws(SQLError) -> String?
  private let finish: ([String?]) -> StoredValue
  private var elements: [String?] = []
  private var head = 0

  init(
    _ context: SessionContext,
    render: @escaping (SQLiteArguments, SessionContext) throws(SQLError) -> String?,
    finish: @escaping ([String?]) -> StoredValue
  ) {
    self.context = context
    self.render = render
    self.finish = finish
  }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    elements.append(arguments.isNull(1) ? nil : try render(arguments, context))
  }

  func inverse(_ arguments: SQLiteArguments) { head += 1 }

  func value() -> StoredValue { head < elements.count ? finish(Array(elements[head...])) : .null }
}

/// `jsonb_object_agg` and `json_object_agg`.
final class ObjectAggregate: AggregateState {
  private let context: SessionContext
  private let isBinary: Bool
  private var members: [(key: String, value: String)] = []
  private var head = 0

  init(_ context: SessionContext, isBinary: Bool) {
    self.context = context
    self.isBinary = isBinary
  }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(1) { throw SQLError(.invalidParameterValue, "field name must not be null") }
    let key = TypeOutput.castText(arguments[1], as: arguments.type(0), context: context.conversion) ?? ""
    let value =
      isBinary
      ? try JSONConversion.value(arguments[3], arguments.type(2), context.conversion).text
      : try JSONConversion.jsonText(arguments[3], arguments.type(2), context.conversion)
    members.append((key, value))
  }

  func inverse(_ arguments: SQLiteArguments) { head += 1 }

  func value() throws(SQLError) -> StoredValue {
    guard head < members.count else { return .null }
    let rest = members[head...]
    if !isBinary {
      return .text("{ " + rest.map { "\(JSONValue.quoted($0.key)) : \($0.value)" }.joined(separator: ", ") + " }")
    }
    var parsed: [JSONValue.Member] = []
    for member in rest { parsed.append(JSONValue.Member(key: member.key, value: try JSONParser.parse(member.value))) }
    return .text(JSONValue.object(normalizing: parsed).text)
  }
}
