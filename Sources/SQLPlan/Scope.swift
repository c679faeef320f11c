import SQLTree
import SQLTypes

/// What a name in a query may mean: the entries of its FROM, its common tables, and those of the queries around it.
final class Scope {
  /// A column as a name finds it.
  struct Column {
    var name: String
    var expression: TypedExpression
    var isNotNull = false
    /// Where it comes from, for RowDescription.
    var tableOID: UInt32 = 0
    var columnNumber: Int = 0
  }
  /// One name in FROM.
  struct Item {
    var name: String
    var schema: String?
    var columns: [Column]
    /// Whether `name.column` finds it: false below a join with an alias.
    var isRelationVisible = true
    /// Columns that an unqualified name finds: all, but those that JOIN USING has merged.
    var visibleColumns: [Column]
    /// False where the item was given no name, such as a join without alias.
    var hasName = true
  }

  let parent: Scope?
  var items: [Item] = []
  /// Common tables by name, the innermost last.
  var commonTables: [(name: String, id: Int)] = []
  /// Named windows.
  var windows: [WindowDefinition] = []
  /// Column names that a later FROM entry must not see from an earlier one.
  var isLateralVisible = true

  init(parent: Scope?) { self.parent = parent }

  func commonTable(_ name: String) -> Int? {
    commonTables.last { $0.name == name }?.id ?? parent?.commonTable(name)
  }
}

/// How near a name comes to another: for hints.
enum NameDistance {
  /// The Levenshtein distance of two names, in characters.
  static func levenshtein(_ left: String, _ right: String) -> Int {
    let left = Array(left.unicodeScalars)
    let right = Array(right.unicodeScalars)
    var previous = Array(0...right.count)
    for (row, a) in left.enumerated() {
      var current = [row + 1]
      for (column, b) in right.enumerated() {
        current.append(min(previous[column] + (a == b ? 0 : 1), previous[column + 1] + 1, current[column] + 1))
      }
      previous = current
    }
    return previous[right.count]
  }
}
