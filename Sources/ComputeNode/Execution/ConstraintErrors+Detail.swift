import Metadata
import SQLTypes

/// The second sentence of a violated constraint: the row or the key, as PostgreSQL prints it.
extension ConstraintErrors {
  /// PostgreSQL shows no more than so many bytes of a value (`ExecBuildSlotValueDescription`).
  private static let maximumValueBytes = 64

  /// `Failing row contains (1, null).`; nil where the row is not known.
  func failingRow(_ violation: ConstraintViolation, of table: TableDefinition) -> String? {
    let row = violation.failingRow
    guard row.count == table.columns.count, !row.isEmpty else { return nil }
    let values = zip(row, table.columns).map { Self.limited(text($0, $1.type)) }
    return "Failing row contains (\(values.joined(separator: ", ")))."
  }

  /// `Key (id)=(1) already exists.`; nil where the row is not known.
  func existingKey(_ violation: ConstraintViolation, of table: TableDefinition, _ index: IndexDefinition) -> String? {
    let row = violation.failingRow
    guard row.count == table.columns.count else { return nil }
    let columns = index.parts.map { table.columns[$0.column - 1] }
    let values = index.parts.map { text(row[$0.column - 1], table.columns[$0.column - 1].type) }
    let names = columns.map { Self.identifier($0.name) }.joined(separator: ", ")
    return "Key (\(names))=(\(values.joined(separator: ", "))) already exists."
  }

  private func text(_ value: StoredValue, _ type: SQLType) -> String {
    TypeOutput.text(value, as: type, context: conversion) ?? "null"
  }

  private static func limited(_ text: String) -> String {
    guard text.utf8.count > maximumValueBytes else { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: maximumValueBytes)
    while end > text.startIndex, String.Index(end, within: text) == nil { text.utf8.formIndex(before: &end) }
    return text[..<end] + "..."
  }

  /// A name as SQL text, quoted where it has to be.
  private static func identifier(_ name: String) -> String {
    let isPlain =
      name.utf8.first.map { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_") } ?? false
      && name.utf8.allSatisfy {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
          || $0 == UInt8(ascii: "_")
      }
    if isPlain { return name }
    return "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}
