import SQLTypes

/// A row of a system relation by column name; what a producer leaves out gets the column's neutral value.
///
/// A list: of many rows few columns are read, and hashing all names of all would take most of the time.
struct CatalogRow: ExpressibleByDictionaryLiteral {
  private var cells: [(String, StoredValue)]

  init(dictionaryLiteral elements: (String, StoredValue)...) { cells = elements }

  var names: [String] { cells.map { $0.0 } }

  subscript(name: String) -> StoredValue? {
    get { cells.first { $0.0 == name }?.1 }
    set {
      let place = cells.firstIndex { $0.0 == name }
      switch (place, newValue) {
      case (let place?, let value?): cells[place].1 = value
      case (let place?, nil): cells.remove(at: place)
      case (nil, let value?): cells.append((name, value))
      case (nil, nil): break
      }
    }
  }
}

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
