import Metadata
import PostgresWire
import SQLTypes

/// The DETAIL of a violated constraint, as PostgreSQL prints it, for a row that was to be inserted.
struct ViolationDetail {
  let table: TableDefinition
  let image: Image
  let context: ConversionContext

  /// Longest value that is shown whole, in bytes.
  private static let maximumValueBytes = 64

  func text(_ kind: ConstraintViolation.Kind, constraint: String?, _ row: [StoredValue]) -> String? {
    guard row.count >= table.columns.count else { return nil }
    switch kind {
    case .unique:
      guard let index = image.indexes(of: table.id).first(where: { $0.name == constraint }) else { return nil }
      let columns = index.parts.map { $0.column - 1 }
      return "\(key(columns, columns.map { row[$0] })) already exists."
    case .notNull, .check:
      let values = table.columns.indices.map { cut(shown(row[$0], table.columns[$0].type)) }
      return "Failing row contains (\(values.joined(separator: ", ")))."
    }
  }

  /// `Key (a, b)=(1, 2)`, for columns by index from 0 and their values.
  func key(_ columns: [Int], _ values: [StoredValue]) -> String {
    let names = columns.map { table.columns[$0].name }.joined(separator: ", ")
    let texts = zip(columns, values).map { shown($1, table.columns[$0].type) }.joined(separator: ", ")
    return "Key (\(names))=(\(texts))"
  }

  private func shown(_ value: StoredValue, _ type: SQLType) -> String {
    if value.isNull { return "null" }
    var bytes: [UInt8] = []
    do {
      try WireValue.appendText(value, type, context, to: &bytes)
    } catch {
      return "?"
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func cut(_ text: String) -> String {
    guard text.utf8.count > Self.maximumValueBytes else { return text }
    return String(text.prefix(Self.maximumValueBytes)) + "..."
  }
}
