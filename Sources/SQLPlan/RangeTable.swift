import Metadata
import SQLTypes

/// What FROM may name, by ids that are unique in a statement.
struct RangeTable {
  struct Column: Hashable {
    var name: String
    var type: SQLType
    var isNotNull = false
  }
  enum Source {
    case table(TableDefinition)
    case virtual(VirtualRelation)
    case subquery(Query)
    /// An entry of WITH, by its id.
    case commonTable(Int)
    case setFunction(SetFunction)
    /// Several in one select list, row by row beside each other, the shorter ones filled up with nulls.
    case lockstep([SetFunction])
    /// A function in FROM that gives one row.
    case single([TypedExpression])
    /// The row that ON CONFLICT speaks of as `excluded`.
    case excluded
  }
  struct Entry {
    var name: String
    var columns: [Column]
    var source: Source
  }
  /// A function that gives rows of one column, and their number where WITH ORDINALITY asks for it.
  struct SetFunction {
    enum Kind {
      /// `generate_series(start, stop, step)`; `next` is `+` of the value's and the step's types.
      case series(start: TypedExpression, stop: TypedExpression, step: TypedExpression, next: FunctionSignature)
      /// `unnest(array)`.
      case elements(TypedExpression)
      /// `generate_subscripts(array, 1)`; an array counts from 1, a vector of the catalog from 0.
      case subscripts(TypedExpression, first: Int)
      /// `jsonb_array_elements(document)`; the signature makes an element from document and index.
      case jsonElements(TypedExpression, FunctionSignature)
    }
    var kind: Kind
    var type: SQLType
    /// Whether its arguments speak of other entries of the same FROM.
    var isLateral: Bool

    /// Whether its rows can be computed from their number.
    var isIndexed: Bool {
      guard case .series(let start, _, _, _) = kind else { return true }
      return [SQLType.int4.oid, SQLType.int8.oid].contains(start.type.oid)
    }
  }

  private(set) var entries: [Entry] = []

  mutating func add(_ entry: Entry) -> Int {
    entries.append(entry)
    return entries.count - 1
  }

  /// Another source for an entry.
  mutating func replace(_ id: Int, _ source: Source) { entries[id].source = source }

  /// Hidden columns behind those that names find.
  mutating func extend(_ id: Int, with columns: [Column]) { entries[id].columns += columns }

  subscript(id: Int) -> Entry { entries[id] }
}
