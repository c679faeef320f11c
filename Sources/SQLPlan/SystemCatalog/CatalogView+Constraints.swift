import Metadata
import SQLTypes

// pg_index, pg_constraint, and the texts in which psql shows them.
extension CatalogView {
  func indexRows() -> [CatalogRow] {
    indexes.compactMap { index in
      guard let table = image.tables[index.tableID] else { return nil }
      let columns = index.parts.map { table.columns[$0.column - 1] }
      let options = index.parts.map { ($0.isDescending ? 1 : 0) + ($0.nullsFirst ? 2 : 0) }
      return [
        "indexrelid": .oid(index.id.rawValue), "indrelid": .oid(index.tableID.rawValue),
        "indnatts": .number(index.parts.count),
        "indnkeyatts": .number(index.parts.count), "indisunique": .boolean(index.isUnique),
        "indisprimary": .boolean(index.constraint == .primaryKey), "indimmediate": .boolean(true),
        "indisvalid": .boolean(true), "indisready": .boolean(true), "indislive": .boolean(true),
        "indkey": .text(index.parts.map { String($0.column) }.joined(separator: " ")),
        "indcollation": .text(columns.map { String(Self.collation(of: $0.type)) }.joined(separator: " ")),
        "indclass": .text(columns.map { _ in "0" }.joined(separator: " ")),
        "indoption": .text(options.map(String.init).joined(separator: " ")),
      ]
    }
  }

  func constraints() -> [CatalogRow] {
    var rows: [CatalogRow] = indexes.compactMap { index in
      guard let constraint = index.constraint else { return nil }
      var row = constraintRow(
        oid: Self.constraintOID(of: index), name: index.name, schema: index.schemaID.rawValue,
        kind: constraint == .primaryKey ? "p" : "u", table: index.tableID.rawValue, columns: index.parts.map(\.column))
      row["conindid"] = .oid(index.id.rawValue)
      row["connoinherit"] = .boolean(true)
      if let parent = index.parentID {
        row["conparentid"] = .oid(parent.rawValue + Self.constraintOffset)
        row["conislocal"] = .boolean(false)
        row["coninhcount"] = .integer(1)
      }
      return row
    }
    for table in tables {
      for (position, check) in table.checks.enumerated() {
        var row = constraintRow(
          oid: Self.checkOID(table, position), name: check.name, schema: table.schemaID.rawValue, kind: "c",
          table: table.id.rawValue, columns: [])
        row["conbin"] = .text(check.expression)
        rows.append(row)
      }
    }
    return rows
  }

  private func constraintRow(oid: UInt32, name: String, schema: UInt32, kind: String, table: UInt32, columns: [Int])
    -> CatalogRow
  {
    [
      "oid": .oid(oid), "conname": .name(name), "connamespace": .oid(schema), "contype": .text(kind),
      "convalidated": .boolean(true), "conrelid": .oid(table), "confupdtype": .text(" "), "confdeltype": .text(" "),
      "confmatchtype": .text(" "), "conislocal": .boolean(true),
      "conkey": columns.isEmpty ? .null : Self.array(columns.map(String.init)),
    ]
  }

  /// `pg_get_constraintdef`: `PRIMARY KEY (id)`, `CHECK ((n > 0))`, or with fewer parentheses `CHECK (n > 0)`.
  func constraintDefinition(_ oid: UInt32, isPretty: Bool = false) -> String? {
    if let index = keyIndex(ofConstraint: oid), let table = image.tables[index.tableID] {
      let word = index.constraint == .primaryKey ? "PRIMARY KEY " : "UNIQUE "
      return word + columnList(index.parts.map(\.column), of: table)
    }
    guard let check = check(ofConstraint: oid) else { return nil }
    let condition = Self.withoutParentheses(check.expression)
    return isPretty ? "CHECK (\(condition))" : "CHECK ((\(condition)))"
  }

  /// The index behind a key's constraint.
  private func keyIndex(ofConstraint oid: UInt32) -> IndexDefinition? {
    guard oid >= Self.constraintOffset else { return nil }
    return image.indexes[ObjectID(rawValue: oid - Self.constraintOffset)].flatMap { $0.constraint == nil ? nil : $0 }
  }

  private func check(ofConstraint oid: UInt32) -> CheckDefinition? {
    guard let place = Self.placeOfCheck(oid) else { return nil }
    // More than one only where oids go beyond what is kept of them.
    for id in stride(from: place.table, to: image.nextObjectID.rawValue, by: Int(Self.checkedTables)) {
      guard let table = image.tables[ObjectID(rawValue: id)], place.position < table.checks.count else { continue }
      return table.checks[place.position]
    }
    return nil
  }

  /// An expression without the parentheses around all of it.
  private static func withoutParentheses(_ expression: String) -> String {
    var bytes = Array(expression.utf8)[...]
    while bytes.first == UInt8(ascii: "("), bytes.last == UInt8(ascii: ")") {
      var depth = 0
      var quote: UInt8?
      var closing = bytes.startIndex
      for (place, byte) in zip(bytes.indices, bytes) {
        if let open = quote {
          if byte == open { quote = nil }
          continue
        }
        switch byte {
        case UInt8(ascii: "'"), UInt8(ascii: "\""): quote = byte
        case UInt8(ascii: "("): depth += 1
        case UInt8(ascii: ")"): depth -= 1
        default: break
        }
        if depth == 0 {
          closing = place
          break
        }
      }
      guard closing == bytes.index(before: bytes.endIndex) else { break }
      bytes = bytes.dropFirst().dropLast()
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `pg_get_indexdef`: the whole CREATE INDEX, or one column's name.
  func indexDefinition(_ oid: UInt32, column: Int = 0) -> String? {
    guard let index = image.indexes[ObjectID(rawValue: oid)], let table = image.tables[index.tableID] else {
      return nil
    }
    if column > 0 {
      return column <= index.parts.count ? Self.quote(table.columns[index.parts[column - 1].column - 1].name) : nil
    }
    let parts = index.parts.map { part in
      var text = Self.quote(table.columns[part.column - 1].name)
      if part.isDescending { text += " DESC" }
      if part.nullsFirst != part.isDescending { text += part.nullsFirst ? " NULLS FIRST" : " NULLS LAST" }
      return text
    }
    let name = Self.quote(schemaName(table.schemaID)) + "." + Self.quote(table.name)
    let only = table.partitioning != nil ? "ONLY " : ""
    return "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \(Self.quote(index.name)) ON \(only)\(name) USING btree "
      + "(\(parts.joined(separator: ", ")))"
  }

  /// `pg_get_partkeydef`: `HASH (id)`.
  func partitionKeyDefinition(_ oid: UInt32) -> String? {
    guard let table = image.tables[ObjectID(rawValue: oid)], let partitioning = table.partitioning else { return nil }
    let word =
      switch partitioning.strategy {
      case .hash: "HASH"
      case .range: "RANGE"
      case .list: "LIST"
      }
    return word + " " + columnList(partitioning.columns, of: table)
  }

  /// `pg_get_expr(relpartbound, oid)`: `FOR VALUES WITH (modulus 4, remainder 0)`.
  func partitionBoundText(_ table: TableDefinition) -> String? {
    guard let membership = table.partition, let parent = image.tables[membership.parentID] else { return nil }
    let types = (parent.partitioning?.columns ?? []).map { parent.columns[$0 - 1].type }
    switch membership.bound {
    case .standard: return "DEFAULT"
    case .hash(let modulus, let remainder): return "FOR VALUES WITH (modulus \(modulus), remainder \(remainder))"
    case .list(let values):
      return "FOR VALUES IN (" + values.map { boundLiteral($0, types.first) }.joined(separator: ", ") + ")"
    case .range(let from, let to):
      return "FOR VALUES FROM (\(boundList(from, types))) TO (\(boundList(to, types)))"
    }
  }

  private func boundList(_ data: [PartitionBound.Datum], _ types: [SQLType]) -> String {
    data.enumerated().map { position, datum in
      switch datum {
      case .minimum: "MINVALUE"
      case .maximum: "MAXVALUE"
      case .value(let value): boundLiteral(value, position < types.count ? types[position] : nil)
      }
    }.joined(separator: ", ")
  }

  func boundLiteral(_ value: StoredValue, _ type: SQLType?) -> String {
    guard !value.isNull else { return "NULL" }
    let type = type ?? .text
    let text = ValueText.text(value, type)
    return TypeTable.entry(oid: type.oid)?.category == .numeric || type.oid == SQLType.bool.oid
      ? text : Self.literal(text)
  }
}
