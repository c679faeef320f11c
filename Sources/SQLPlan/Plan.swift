import Metadata
import SQLTypes

// What the planner hands to the executor. A plan is made once per statement text and parameter types, and cached; `bind`
// turns it, with the values of its parameters, into the exact fragments to send. All of it is values: no I/O happens here.

/// A statement whose names and types are resolved, with the way to run it.
package struct AnalyzedStatement: Sendable {
  /// What the CommandComplete tag says; INSERT's has its oid 0.
  package enum Command: Sendable, Hashable { case select, insert, update, delete }
  package var command: Command
  /// Types of $1, $2 …, given or inferred.
  package var parameterTypes: [SQLType]
  /// Columns of the result; empty for writes without RETURNING.
  package var columns: [OutputColumn]
  package var plan: Plan
  /// The metadata index that it was planned at: what every request made from it carries.
  package var plannedAtIndex: UInt64
  /// The objects that it rests on; see `isCurrent(in:)`.
  package var dependencies: PlanDependencies
  package init(
    command: Command, parameterTypes: [SQLType], columns: [OutputColumn], plan: Plan, plannedAtIndex: UInt64,
    dependencies: PlanDependencies
  ) {
    self.command = command
    self.parameterTypes = parameterTypes
    self.columns = columns
    self.plan = plan
    self.plannedAtIndex = plannedAtIndex
    self.dependencies = dependencies
  }

  /// Whether the plan still holds at that image. Where it does, requests may carry the image's index.
  package func isCurrent(in image: Image) -> Bool {
    image.index == plannedAtIndex || dependencies.hold(in: image)
  }
}

/// A column of a result: what RowDescription says.
package struct OutputColumn: Sendable, Hashable {
  package var name: String
  package var type: SQLType
  /// The table that it is a column of, 0 where it is computed.
  package var tableOID: UInt32
  /// Its number in that table from 1, 0 where it is computed.
  package var columnNumber: Int
  package init(name: String, type: SQLType, tableOID: UInt32 = 0, columnNumber: Int = 0) {
    self.name = name
    self.type = type
    self.tableOID = tableOID
    self.columnNumber = columnNumber
  }
}

/// How a statement is run.
package enum Plan: Sendable {
  case query(QueryPlan)
  case write(WritePlan)
}

/// A value that a text needs in one of its places ?1, ?2 …
package indirect enum PlanParameter: Sendable, Hashable {
  case constant(StoredValue)
  /// $n, numbered from 1. `bind` replaces it by its value.
  case parameter(Int)
  /// Evaluated by the compute node's SQLite, once per execution; in rows to be inserted once per row.
  case expression(LocalExpression)
  /// The next value of a sequence, once per row.
  case nextValue(ObjectID)
}

/// A scalar that only the compute node can evaluate: `SELECT sql` with these parameters answers one row of one column.
package struct LocalExpression: Sendable, Hashable {
  package var sql: String
  package var parameters: [PlanParameter]
  /// False where its function is volatile: it then counts as different at each place and row.
  package var isStable: Bool
  package init(sql: String, parameters: [PlanParameter], isStable: Bool) {
    self.sql = sql
    self.parameters = parameters
    self.isStable = isStable
  }
}

/// A tablet, and the route to it by which the plan was made.
package struct TabletTarget: Sendable, Hashable {
  package var tableID: ObjectID
  package var tabletID: TabletID
  package var shardID: ShardID
  package var epoch: UInt64
  /// Of a mirror table: all shards that have it, in the order in which they are written. Else empty.
  package var copies: [ShardID]
  package init(
    tableID: ObjectID, tabletID: TabletID, shardID: ShardID, epoch: UInt64, copies: [ShardID] = []
  ) {
    self.copies = copies
    self.tableID = tableID
    self.tabletID = tabletID
    self.shardID = shardID
    self.epoch = epoch
  }
}

/// SQL text for a storage engine, with places for tablets: `t<tablet id>` goes where a table stands.
package struct SQLTemplate: Sendable, Hashable {
  package enum Part: Sendable, Hashable {
    case text(String)
    /// The quoted name of the table of the tablet in this slot.
    case table(Int)
    /// The id of the tablet in this slot, as a number.
    case tabletID(Int)
    /// The oid of that tablet's table.
    case tableOID(Int)
  }
  package var parts: [Part]
  package var parameters: [PlanParameter]
  /// Columns of each row that it answers; 0: none.
  package var columnCount: Int
  package init(parts: [Part], parameters: [PlanParameter], columnCount: Int) {
    self.parts = parts
    self.parameters = parameters
    self.columnCount = columnCount
  }

  /// The text for these tablets.
  package func sql(_ tablets: [TabletTarget]) -> String {
    var text = ""
    for part in parts {
      switch part {
      case .text(let piece): text += piece
      case .table(let slot): text += "\"t\(tablets[slot].tabletID)\""
      case .tabletID(let slot): text += "\(tablets[slot].tabletID)"
      case .tableOID(let slot): text += "\(tablets[slot].tableID)"
      }
    }
    return text
  }
}

/// One text for one shard: what `kunlog.storage.v1.Fragment` carries.
package struct Fragment: Sendable, Hashable {
  package var shardID: ShardID
  /// Tablets that it reads or writes; a writing fragment names the written one first and writes only that.
  package var tablets: [TabletTarget]
  package var sql: String
  /// Parameters of every run; after `bind` none is `.parameter`.
  package var parameters: [PlanParameter]
  /// Columns of each row that it answers; 0: none.
  package var columnCount: Int
  package var isWrite: Bool
  /// It writes at most one row per run: the one of a key that it gives.
  package var isKeyed: Bool
  /// It does to a further copy of a mirror table what another one does to the first: it must change as many rows, which do not count.
  package var isCopy = false
  package init(
    shardID: ShardID, tablets: [TabletTarget], sql: String, parameters: [PlanParameter], columnCount: Int,
    isWrite: Bool,
    isKeyed: Bool = false
  ) {
    self.shardID = shardID
    self.tablets = tablets
    self.sql = sql
    self.parameters = parameters
    self.columnCount = columnCount
    self.isWrite = isWrite
    self.isKeyed = isKeyed
  }
}

/// A query, in its three tiers; which one serves is decided when it is bound, since pruning needs the parameters' values.
package struct QueryPlan: Sendable {
  /// Tables that it reads, one entry per mention: the slots of `pushdown`.
  package var relations: [RelationAccess]
  /// Tier 1: the whole statement, for where each relation is one tablet and all are on one shard; nil where it must not
  /// leave the compute node.
  package var pushdown: SQLTemplate?
  /// For all other cases.
  package var distributed: DistributedPlan
  /// Columns of the result.
  package var columnCount: Int
  /// Values that the executor must check before it runs anything: LIMIT and OFFSET.
  package var rowCounts: [RowCountCheck]
  /// What must be locked before it runs.
  package var locks: RowLocks?
  package init(
    relations: [RelationAccess], pushdown: SQLTemplate?, distributed: DistributedPlan, columnCount: Int,
    rowCounts: [RowCountCheck] = []
  ) {
    self.relations = relations
    self.pushdown = pushdown
    self.distributed = distributed
    self.columnCount = columnCount
    self.rowCounts = rowCounts
  }
}

/// LIMIT or OFFSET given by a parameter: must not be negative.
package struct RowCountCheck: Sendable, Hashable {
  package enum Clause: Sendable, Hashable { case limit, offset }
  package var clause: Clause
  package var value: PlanParameter
  package init(clause: Clause, value: PlanParameter) {
    self.clause = clause
    self.value = value
  }
}

/// A table that a plan reads: its tablets, and what its conditions say about them.
package struct RelationAccess: Sendable {
  package var tableID: ObjectID
  /// Name for EXPLAIN.
  package var name: String
  /// All tablets, in the order of the partitions.
  package var tablets: [TabletTarget]
  /// Names of the partitions, for EXPLAIN, parallel to `tablets`.
  package var tabletNames: [String]
  /// nil where nothing can be pruned.
  package var pruning: PartitionPruning?
  package init(
    tableID: ObjectID, name: String, tablets: [TabletTarget], tabletNames: [String], pruning: PartitionPruning? = nil
  ) {
    self.tableID = tableID
    self.name = name
    self.tablets = tablets
    self.tabletNames = tabletNames
    self.pruning = pruning
  }
}

/// Tiers 2 and 3.
package enum DistributedPlan: Sendable {
  /// Rows of all tablets of one relation, merged in order on the compute node.
  case merge(MergePlan)
  case local(LocalPlan)
}

/// Tier 2: the same text on each tablet, merged as the rows arrive.
package struct MergePlan: Sendable {
  /// Index into `QueryPlan.relations`.
  package var relation: Int
  package var template: SQLTemplate
  /// Empty: rows in any order, as they arrive.
  package var order: [MergeKey]
  /// Rows to give at most, nil or a null value: all. The tablets were asked for limit + offset.
  package var limit: PlanParameter?
  package var offset: PlanParameter?
  /// Leading columns that are the result; what follows are keys to merge by.
  package var visibleColumns: Int
  package init(
    relation: Int, template: SQLTemplate, order: [MergeKey] = [], limit: PlanParameter? = nil,
    offset: PlanParameter? = nil, visibleColumns: Int
  ) {
    self.relation = relation
    self.template = template
    self.order = order
    self.limit = limit
    self.offset = offset
    self.visibleColumns = visibleColumns
  }
}

/// One column to merge sorted rows by.
package struct MergeKey: Sendable, Hashable {
  package enum Comparison: Sendable, Hashable {
    /// As SQLite orders integers, reals, text and blobs.
    case stored
    case numeric
  }
  /// Index of the column from 0.
  package var column: Int
  package var isDescending: Bool
  package var nullsFirst: Bool
  package var comparison: Comparison
  package init(column: Int, isDescending: Bool, nullsFirst: Bool, comparison: Comparison) {
    self.column = column
    self.isDescending = isDescending
    self.nullsFirst = nullsFirst
    self.comparison = comparison
  }
}

/// Tier 3: inputs are loaded into tables of the compute node's in-memory SQLite, where the statement then runs.
package struct LocalPlan: Sendable {
  package var inputs: [LocalInput]
  package var sql: String
  package var parameters: [PlanParameter]
  package init(inputs: [LocalInput], sql: String, parameters: [PlanParameter]) {
    self.inputs = inputs
    self.sql = sql
    self.parameters = parameters
  }
}

/// A table of the compute node's SQLite, to be made and filled before the statement runs.
package struct LocalInput: Sendable {
  package enum Source: Sendable {
    /// The same text on each tablet of `QueryPlan.relations[relation]` that is left after pruning.
    case tablets(relation: Int, SQLTemplate)
    /// A relation of the system catalog; `columns` are the indexes of those that are wanted, in the table's order.
    case virtual(VirtualRelation, columns: [Int])
  }
  /// Name of the table, unquoted: `i0`.
  package var table: String
  /// `CREATE TEMP TABLE …`.
  package var createSQL: String
  package var columnCount: Int
  package var source: Source
  package init(table: String, createSQL: String, columnCount: Int, source: Source) {
    self.table = table
    self.createSQL = createSQL
    self.columnCount = columnCount
    self.source = source
  }
}

/// A query with its parameters' values: exactly what to send and what to do with the answers.
package enum BoundQuery: Sendable {
  /// The rows of the fragment are the result.
  case pushdown(Fragment)
  case merge([Fragment], MergePlan)
  case local([BoundInput], sql: String, parameters: [PlanParameter])
}

/// An input of tier 3 with its fragments.
package struct BoundInput: Sendable {
  package enum Source: Sendable {
    case fragments([Fragment])
    case virtual(VirtualRelation, columns: [Int])
  }
  package var table: String
  package var createSQL: String
  package var columnCount: Int
  package var source: Source
  package init(table: String, createSQL: String, columnCount: Int, source: Source) {
    self.table = table
    self.createSQL = createSQL
    self.columnCount = columnCount
    self.source = source
  }
}

/// A statement that changes rows.
package enum WritePlan: Sendable {
  case insert(InsertPlan)
  /// UPDATE or DELETE that runs at each tablet by itself.
  case modify(ModifyPlan)
  /// UPDATE or DELETE whose rows are found by a query first, then changed by key.
  case modifyByKey(KeyedModifyPlan)
}

/// INSERT: rows are made on the compute node, routed, and sent as parameter rows of one fragment per tablet.
package struct InsertPlan: Sendable {
  package enum Source: Sendable {
    /// Each row complete: one value per column of the table, to be evaluated from left to right.
    case values([[PlanParameter]])
    /// Rows of the query, each completed by `InsertSlot`s.
    case query(QueryPlan, slots: [InsertSlot])
    /// Rows that the executor brings (COPY), each completed by `InsertSlot`s.
    case rows(slots: [InsertSlot])
  }
  package var tableID: ObjectID
  package var source: Source
  package var router: PartitionRouter
  /// `INSERT INTO … VALUES (?1 … ?n)` for the tablet in slot 0. The row's values come first, then `template.parameters`.
  package var template: SQLTemplate
  /// Types of a row's values: those of the table's columns.
  package var columnTypes: [SQLType]
  /// Indexes of a row's values that ON CONFLICT DO UPDATE finds rows by: no two rows of a statement may agree in them.
  package var arbiter: [Int]
  package init(
    tableID: ObjectID, source: Source, router: PartitionRouter, template: SQLTemplate, columnTypes: [SQLType],
    arbiter: [Int] = []
  ) {
    self.tableID = tableID
    self.source = source
    self.router = router
    self.template = template
    self.columnTypes = columnTypes
    self.arbiter = arbiter
  }
}

/// Where a value of a row to be inserted comes from.
package enum InsertSlot: Sendable, Hashable {
  /// Column of the source from 0.
  case source(Int)
  /// Evaluated for each row.
  case value(PlanParameter)
}

/// Rows for one tablet. The fragment's `parameters` follow the values of each row.
package struct RoutedRows: Sendable {
  package var fragment: Fragment
  /// Indexes into the rows that were routed.
  package var rows: [Int]
  package init(fragment: Fragment, rows: [Int]) {
    self.fragment = fragment
    self.rows = rows
  }
}

/// UPDATE or DELETE pushed down: the same text on each tablet that is left after pruning.
package struct ModifyPlan: Sendable {
  package var relation: RelationAccess
  package var template: SQLTemplate
  /// Further tables that the text reads: slots 1… of the template. Each is one tablet, on the shard of the written one.
  package var others: [RelationAccess]
  /// The condition gives the whole primary key: it finds one row at most.
  package var isKeyed: Bool
  package init(
    relation: RelationAccess, template: SQLTemplate, others: [RelationAccess] = [], isKeyed: Bool = false
  ) {
    self.relation = relation
    self.template = template
    self.others = others
    self.isKeyed = isKeyed
  }
}

/// UPDATE or DELETE in two steps: `query` answers, per row to change, the tablet's id and then the parameters of `template`.
package struct KeyedModifyPlan: Sendable {
  package var query: QueryPlan
  package var relation: RelationAccess
  /// Runs once per row of the query, with the row's columns from the second on as ?1 …; its own parameters follow.
  package var template: SQLTemplate
  /// For UPDATE of the partition key: `template` serves rows that stay in their tablet.
  package var move: RowMove?
  package init(query: QueryPlan, relation: RelationAccess, template: SQLTemplate, move: RowMove? = nil) {
    self.query = query
    self.relation = relation
    self.template = template
    self.move = move
  }
}

/// How an UPDATE takes a row to another tablet. Both texts have the same parameters as `KeyedModifyPlan.template`.
package struct RowMove: Sendable {
  package var router: PartitionRouter
  /// For each column of the table, which of a row's parameters is its new value, from 0.
  package var newRow: [Int]
  package var delete: SQLTemplate
  package var insert: SQLTemplate
  package init(router: PartitionRouter, newRow: [Int], delete: SQLTemplate, insert: SQLTemplate) {
    self.router = router
    self.newRow = newRow
    self.delete = delete
    self.insert = insert
  }
}

/// `SELECT … FOR UPDATE` and its like. Writers lock whole tablets, and so does this: those of the named tables that are left
/// after pruning.
package struct RowLocks: Sendable {
  /// `FOR UPDATE`.
  package var clause: String
  package var relations: [RelationAccess]
  /// NOWAIT.
  package var isNoWait: Bool
  package init(clause: String, relations: [RelationAccess], isNoWait: Bool) {
    self.clause = clause
    self.relations = relations
    self.isNoWait = isNoWait
  }
}
