import Metadata
import SQLTree
import SQLTypes

// Type names, and names that stand for oids.
extension Analyzer {
  /// The type that a name means, with its modifier: 42704 where there is none.
  func type(_ name: TypeName) throws(SQLError) -> SQLType {
    let words = name.name
    guard let last = words.last, words.count == 1 || words[0] == "pg_catalog" else {
      throw failure(
        .undefinedObject, "type \"\(words.joined(separator: "."))\" does not exist", at: name.location)
    }
    // An unqualified "char" can only have been written in quotes: CHAR arrives as pg_catalog.bpchar.
    guard var type = last == "char" ? .char : SQLType.named(last) else {
      throw failure(.undefinedObject, "type \"\(last)\" does not exist", at: name.location)
    }
    if last == "bit" || last == "varbit" { throw unsupported("type \(last)", at: name.location) }
    type.modifier = try modifier(type, name)
    if type.category == .pseudo, ![SQLType.record.oid, SQLType.void.oid].contains(type.oid) || name.arrayDimensions > 0
    {
      throw failure(.undefinedObject, "type \"\(last)\" cannot be used here", at: name.location)
    }
    guard name.arrayDimensions > 0 else { return type }
    guard let array = type.arrayType else {
      throw failure(.undefinedObject, "type \"\(last)[]\" does not exist", at: name.location)
    }
    return array
  }

  private func modifier(_ type: SQLType, _ name: TypeName) throws(SQLError) -> Int32 {
    var numbers: [Int] = []
    for expression in name.modifiers {
      var inner = expression
      if case .cast(let value, _, _) = inner { inner = value }
      var sign = 1
      if case .binary(["-"], nil, let operand, _) = inner { (sign, inner) = (-1, operand) }
      guard case .constant(.integer(let number), _) = inner else {
        throw failure(
          .syntaxError, "type modifiers must be simple constants or identifiers",
          at: location(expression, name.location))
      }
      numbers.append(sign * Int(number))
    }
    guard !numbers.isEmpty else { return -1 }
    switch type.oid {
    case SQLType.varchar.oid, SQLType.bpchar.oid:
      return try lengthModifier(type, numbers, at: name.location)
    case SQLType.numeric.oid:
      return try numericModifier(numbers, at: name.location)
    case SQLType.time.oid, SQLType.timestamp.oid, SQLType.timestamptz.oid, SQLType.timetz.oid:
      guard numbers[0] >= 0 else {
        throw failure(
          .invalidParameterValue,
          "\(type.entry?.name.uppercased() ?? "")(\(numbers[0])) precision must not be negative",
          at: name.location)
      }
      return Int32(min(numbers[0], 6))
    case SQLType.interval.oid:
      // The grammar gives the mask of fields first, then the digits of the second.
      let digits = numbers.count > 1 ? min(max(numbers[1], 0), 6) : 0xffff
      return Int32(truncatingIfNeeded: (numbers[0] & 0x7fff) << 16 | digits)
    default:
      throw failure(
        .syntaxError, "type modifier is not allowed for type \"\(type.entry?.name ?? "")\"", at: name.location)
    }
  }

  private func lengthModifier(
    _ type: SQLType, _ numbers: [Int], at location: SourceLocation
  ) throws(SQLError) -> Int32 {
    let name = type.oid == SQLType.varchar.oid ? "varchar" : "char"
    guard numbers.count == 1 else {
      throw failure(.invalidParameterValue, "invalid type modifier", at: location)
    }
    guard numbers[0] >= 1 else {
      throw failure(.invalidParameterValue, "length for type \(name) must be at least 1", at: location)
    }
    guard numbers[0] <= 10_485_760 else {
      throw failure(.invalidParameterValue, "length for type \(name) cannot exceed 10485760", at: location)
    }
    return SQLType.lengthModifier(numbers[0])
  }

  private func numericModifier(_ numbers: [Int], at location: SourceLocation) throws(SQLError) -> Int32 {
    guard numbers.count <= 2 else {
      throw failure(.invalidParameterValue, "invalid NUMERIC type modifier", at: location)
    }
    guard (1...1000).contains(numbers[0]) else {
      throw failure(
        .invalidParameterValue, "NUMERIC precision \(numbers[0]) must be between 1 and 1000", at: location)
    }
    let scale = numbers.count > 1 ? numbers[1] : 0
    guard (-1000...1000).contains(scale) else {
      throw failure(
        .invalidParameterValue, "NUMERIC scale \(scale) must be between -1000 and 1000", at: location)
    }
    return SQLType.numericModifier(precision: numbers[0], scale: scale)
  }

  // MARK: - regclass and its like

  /// The oid that a literal of type regclass, regtype, … names; nil for a type that only the compute node knows.
  func registeredConstant(
    _ literal: String, _ target: SQLType, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression? {
    func oid(_ value: UInt32) -> TypedExpression { .constant(.integer(Int64(value)), target.base) }
    if literal == "-" { return oid(0) }
    if let number = UInt32(literal) { return oid(number) }
    switch target.oid {
    case SQLType.regclass.oid:
      let name = try qualifiedName(literal, at: location)
      let relation = RelationName(
        schema: name.count > 1 ? name[name.count - 2] : nil, name: name[name.count - 1], location: location)
      guard let found = try findRelation(relation) else { throw noRelation(relation) }
      return oid(found.oid)
    case SQLType.regtype.oid:
      guard let type = SQLType.named(literal) ?? SQLType.named(String(literal.split(separator: ".").last ?? "")) else {
        throw failure(.undefinedObject, "type \"\(literal)\" does not exist", at: location)
      }
      return oid(type.oid)
    case SQLType.regnamespace.oid:
      let name = try qualifiedName(literal, at: location)[0]
      guard let schema = schemaOID(name) else {
        throw failure(.invalidSchemaName, "schema \"\(name)\" does not exist", at: location)
      }
      return oid(schema)
    case SQLType.regrole.oid:
      let name = try qualifiedName(literal, at: location)[0]
      guard let role = planner.image.role(named: name) else {
        throw failure(.undefinedObject, "role \"\(name)\" does not exist", at: location)
      }
      return oid(role.id.rawValue)
    default: return nil
    }
  }

  /// A schema's oid, those of the system included.
  func schemaOID(_ name: String) -> UInt32? {
    if let schema = planner.image.schema(named: name) { return schema.id.rawValue }
    return name == "pg_catalog" ? 11 : name == "information_schema" ? 13_000 : name == "kunlog" ? 13_700 : nil
  }

  /// `"A b".c` as its parts, unquoted ones in lower case.
  func qualifiedName(_ text: String, at location: SourceLocation) throws(SQLError) -> [String] {
    var parts: [String] = []
    var current = ""
    var isQuoted = false
    var wasQuoted = false
    var characters = text.unicodeScalars.makeIterator()
    var pending = characters.next()
    while let character = pending {
      pending = characters.next()
      if character == "\"" {
        if isQuoted, pending == "\"" {
          current.unicodeScalars.append(character)
          pending = characters.next()
        } else {
          isQuoted.toggle()
          wasQuoted = true
        }
      } else if character == ".", !isQuoted {
        parts.append(current)
        current = ""
      } else {
        current += isQuoted ? String(character) : String(character).lowercased()
      }
    }
    parts.append(current)
    guard !isQuoted, parts.allSatisfy({ !$0.isEmpty }) || wasQuoted else {
      throw failure(.invalidName, "invalid name syntax", at: location)
    }
    return parts
  }
}
