import SQLTypes

/// A row of a system relation by column name; what a producer leaves out gets the column's neutral value.
typealias CatalogRow = [String: StoredValue]

extension StoredValue {
  static func name(_ value: String) -> StoredValue { .text(value) }
  static func oid(_ value: UInt32) -> StoredValue { .integer(Int64(value)) }
  static func number(_ value: Int) -> StoredValue { .integer(Int64(value)) }
}

extension VirtualRelation.Column {
  /// What a column holds where nothing is known: false, 0, or NULL for what is text.
  var neutralValue: StoredValue {
    switch type {
    case .bool, .int2, .int4, .int8, .oid, .regproc, .xid: .integer(0)
    case .float4, .float8: .real(0)
    default: .null
    }
  }
}
