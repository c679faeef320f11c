import SQLTypes

/// A column of a result, as RowDescription announces it.
package struct ResultColumn: Sendable, Equatable {
  /// The column's name.
  package var name: String
  /// Its type with modifier.
  package var type: SQLType
  /// The table that it comes from, 0 for an expression.
  package var tableOID: UInt32
  /// Its number in that table (`attnum`), 0 for an expression.
  package var columnNumber: Int16

  /// A column; without a table it is an expression's.
  package init(name: String, type: SQLType, tableOID: UInt32 = 0, columnNumber: Int16 = 0) {
    self.name = name
    self.type = type
    self.tableOID = tableOID
    self.columnNumber = columnNumber
  }
}

/// How a value travels.
package enum FormatCode: Int16, Sendable, Equatable {
  /// The type's text form.
  case text = 0
  /// The type's binary form (`typsend`).
  case binary = 1
}

/// Rows that travel together, their values one after the other: one array per batch instead of one per row.
package struct RowBatch: Sendable, Equatable {
  /// Values in a row; at least 0 (a result may have no columns).
  package let columnCount: Int
  /// Number of rows.
  package private(set) var rowCount: Int
  /// `rowCount * columnCount` values, row by row.
  package private(set) var values: [StoredValue]

  /// An empty batch of rows of so many columns.
  package init(columnCount: Int) {
    self.columnCount = columnCount
    self.rowCount = 0
    self.values = []
  }

  /// A batch of rows that all have `columnCount` values.
  package init(columnCount: Int, rows: [[StoredValue]]) {
    self.init(columnCount: columnCount)
    values.reserveCapacity(columnCount * rows.count)
    for row in rows { append(row) }
  }

  /// A batch from values laid out row by row; `rowCount` is told because a row may have no columns.
  package init(columnCount: Int, rowCount: Int, values: [StoredValue]) {
    precondition(values.count == columnCount * rowCount, "a batch has a value per row and column")
    self.columnCount = columnCount
    self.rowCount = rowCount
    self.values = values
  }

  /// Adds a row.
  package mutating func append(_ row: some Collection<StoredValue>) {
    precondition(row.count == columnCount, "a row has a value per column")
    values.append(contentsOf: row)
    rowCount += 1
  }

  /// The values of one row.
  package subscript(row: Int) -> ArraySlice<StoredValue> {
    values[row * columnCount..<(row + 1) * columnCount]
  }

  /// Forgets the rows and keeps the room.
  package mutating func removeAll() {
    values.removeAll(keepingCapacity: true)
    rowCount = 0
  }
}
