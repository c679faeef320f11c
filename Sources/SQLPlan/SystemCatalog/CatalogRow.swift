import SQLTypes

/// A row of a system relation by column name; what a producer leaves out gets the column's neutral value.
///
/// A list: of many rows few columns are read, and hashing all names of all would take most of the time.
struct CatalogRow: ExpressibleByDictionaryLiteral {
  private var cells: [(name: String, value: StoredValue)]

  init(dictionaryLiteral elements: (String, StoredValue)...) { cells = elements.map { (name: $0.0, value: $0.1) } }

  var names: [String] { cells.map(\.name) }

  subscript(name: String) -> StoredValue? {
    get { cells.first { $0.name == name }?.value }
    set {
      let place = cells.firstIndex { $0.name == name }
      switch (place, newValue) {
      case (let place?, let value?): cells[place].value = value
      case (let place?, nil): cells.remove(at: place)
      case (nil, let value?): cells.append((name: name, value: value))
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
