import Metadata
import SQLParser
import SQLPlan
import SQLTypes
import SQLite

/// Runs plans against a SQLite database per shard, as a compute node would: what the planner promises, in a few lines.
final class SampleCluster {
  let catalog: SampleCatalog
  private let shards: [ShardID: SQLiteDatabase]
  private var sequenceValue: Int64 = 0

  init(_ catalog: SampleCatalog = .standard) throws {
    self.catalog = catalog
    var shards: [ShardID: SQLiteDatabase] = [:]
    for tablet in catalog.image.tablets.values.sorted(by: { $0.id < $1.id }) {
      if shards[tablet.shardID] == nil { shards[tablet.shardID] = try Self.open() }
      guard let table = catalog.image.tables[tablet.tableID] else { continue }
      try shards[tablet.shardID]?.execute(Self.createSQL(table, tablet.id, catalog.image))
    }
    self.shards = shards
  }

  private static func open() throws -> SQLiteDatabase {
    let database = try SQLiteDatabase(.memory)
    let context = SessionContext()
    context.user = "abc"
    context.sessionUser = "abc"
    context.database = "postgres"
    try PostgresFunctions.register(on: database, context: context)
    return database
  }

  private static func createSQL(_ table: TableDefinition, _ id: TabletID, _ image: Image) -> String {
    let key = image.primaryKey(of: table.id)?.parts.map { table.columns[$0.column - 1].name } ?? []
    var parts = table.columns.map { column in
      let collation = column.type.sqliteCollation.map { " COLLATE \($0)" } ?? ""
      return "\"\(column.name)\" \(column.type.sqliteColumnType)\(collation)\(column.isNotNull ? " NOT NULL" : "")"
    }
    if key.isEmpty {
      parts.insert("_kunlog_row_id INTEGER PRIMARY KEY", at: 0)
    } else {
      parts.append("PRIMARY KEY (\(key.map { "\"\($0)\"" }.joined(separator: ", ")))")
    }
    return "CREATE TABLE \"t\(id)\" (\(parts.joined(separator: ", ")))"
  }

  /// Runs a statement; answers the rows as PostgreSQL prints them, null as "null".
  @discardableResult
  func run(_ sql: String, _ parameters: [StoredValue] = [], types: [SQLType] = []) throws -> [[String]] {
    let analyzed = try catalog.analyze(sql, types: types)
    let rows: [[StoredValue]]
    switch analyzed.plan {
    case .query(let plan): rows = try query(plan, parameters)
    case .write(.insert(let plan)): rows = try insert(plan, parameters)
    case .write(.modify(let plan)): rows = try plan.bind(parameters).flatMap { try fragment($0) }
    case .write(.modifyByKey(let plan)): rows = try modify(plan, parameters)
    }
    return rows.map { row in
      zip(row, analyzed.columns).map { TypeOutput.text($0, as: $1.type) ?? "null" }
    }
  }

  func query(_ plan: QueryPlan, _ parameters: [StoredValue]) throws -> [[StoredValue]] {
    switch plan.bind(parameters) {
    case .pushdown(let fragment): return try self.fragment(fragment)
    case .merge(let fragments, let merge):
      var rows = try fragments.flatMap { try fragment($0) }
      // A stable sort stands for the merge.
      rows = rows.enumerated().sorted { left, right in
        merge.isOrderedBefore(left.element, right.element)
          || (!merge.isOrderedBefore(right.element, left.element) && left.offset < right.offset)
      }.map(\.element)
      let offset = try merge.offset.map { try value($0).integerValue ?? 0 } ?? 0
      rows = Array(rows.dropFirst(Int(offset)))
      if let limit = try merge.limit.map({ try value($0) }), let count = limit.integerValue {
        rows = Array(rows.prefix(Int(count)))
      }
      return rows.map { Array($0.prefix(merge.visibleColumns)) }
    case .local(let inputs, let sql, let parameters): return try local(inputs, sql, parameters)
    }
  }

  private func local(_ inputs: [BoundInput], _ sql: String, _ parameters: [PlanParameter]) throws -> [[StoredValue]] {
    let database = try Self.open()
    let image = catalog.image
    let session = SessionInfo(user: "abc", database: "postgres")
    for name in CatalogFunctions.sqliteNames {
      let function = ScalarFunction(name, -1, isStrict: false, isDeterministic: false) {
        (arguments, _) throws(SQLError) in
        try CatalogFunctions.evaluate(name, arguments.all, image: image, session: session)
      }
      try database.register(function, context: SessionContext())
    }
    for input in inputs {
      try database.execute(input.createSQL)
      let rows: [[StoredValue]]
      switch input.source {
      case .fragments(let fragments): rows = try fragments.flatMap { try fragment($0) }
      case .virtual(let relation, let columns):
        rows = relation.rows(image, session, columns)
      }
      let places = Array(repeating: "?", count: input.columnCount).joined(separator: ", ")
      for row in rows { try database.run("INSERT INTO \(input.table) VALUES (\(places))", row) }
    }
    return try database.query(sql, parameters.map { try value($0) })
  }

  func fragment(_ fragment: Fragment, _ row: [StoredValue] = []) throws -> [[StoredValue]] {
    guard let database = shards[fragment.shardID] else { return [] }
    return try database.query(fragment.sql, row + fragment.parameters.map { try value($0) })
  }

  private func insert(_ plan: InsertPlan, _ parameters: [StoredValue]) throws -> [[StoredValue]] {
    var rows: [[StoredValue]] = []
    switch plan.source {
    case .values(let values):
      for row in values { rows.append(try row.map { try value($0.bound(parameters)) }) }
    case .query(let query, let slots):
      for source in try self.query(query, parameters) {
        rows.append(
          try slots.map { slot in
            switch slot {
            case .source(let index): source[index]
            case .value(let parameter): try value(parameter.bound(parameters))
            }
          })
      }
    case .rows: break
    }
    var arbiter = InsertArbiter(plan)
    try arbiter.check(rows)
    return try plan.route(rows, parameters: parameters).flatMap { routed in
      try routed.rows.flatMap { try fragment(routed.fragment, rows[$0]) }
    }
  }

  private func modify(_ plan: KeyedModifyPlan, _ parameters: [StoredValue]) throws -> [[StoredValue]] {
    var rows: [[StoredValue]] = []
    for row in try query(plan.query, parameters) {
      let tablet = TabletID(rawValue: UInt64(row[0].integerValue ?? 0))
      guard let change = plan.fragment(tabletID: tablet, parameters: parameters) else { continue }
      rows += try fragment(change, Array(row.dropFirst()))
    }
    return rows
  }

  private func value(_ parameter: PlanParameter) throws -> StoredValue {
    switch parameter {
    case .constant(let value): return value
    case .parameter: throw SQLError(.internalError, "a parameter was not bound")
    case .nextValue:
      sequenceValue += 1
      return .integer(sequenceValue)
    case .expression(let expression):
      return try local([], "SELECT " + expression.sql, expression.parameters)[0][0]
    }
  }
}
