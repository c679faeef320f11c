import SQLPlan
import SQLTypes
import Testing

/// Which tier serves a query, and the text that each tablet gets.
@Suite struct TierTests {
  private func bind(
    _ sql: String, _ parameters: [StoredValue] = [], types: [SQLType] = []
  ) throws -> BoundQuery {
    guard case .query(let plan) = try SampleCatalog.standard.analyze(sql, types: types).plan else {
      throw SQLError(.internalError, "no query")
    }
    return plan.bind(parameters)
  }

  @Test func aPlainTableGetsTheWholeStatement() throws {
    guard
      case .pushdown(let fragment) = try bind("SELECT name, price FROM items WHERE id = 5 ORDER BY price DESC LIMIT 3")
    else {
      Issue.record("not pushed down")
      return
    }
    #expect(fragment.shardID.rawValue == 1)
    #expect(
      fragment.sql == #"SELECT r0."name" AS c1, r0."price" AS c2 FROM "t1" AS r0 WHERE (r0."id" = ?1) "#
        + #"ORDER BY 2 COLLATE PG_NUMERIC DESC NULLS FIRST LIMIT ?2"#)
    #expect(fragment.parameters == [.constant(.integer(5)), .constant(.integer(3))])
    #expect(fragment.columnCount == 2)
  }

  @Test func aPartitionedTableWithItsKeyGetsTheWholeStatementAtOneTablet() throws {
    guard case .pushdown(let fragment) = try bind("SELECT sum(total) FROM orders WHERE id = $1", [.integer(42)]) else {
      Issue.record("not pushed down")
      return
    }
    #expect(fragment.tablets.count == 1)
    #expect(fragment.parameters == [.constant(.integer(42))])
  }

  @Test func rowsOfSeveralTabletsAreMergedInOrder() throws {
    guard
      case .merge(let fragments, let merge) = try bind("SELECT total FROM orders ORDER BY placed, id LIMIT 2 OFFSET 1")
    else {
      Issue.record("not merged")
      return
    }
    #expect(fragments.count == 4)
    #expect(
      fragments[0].sql == #"SELECT r0."total" AS c1, r0."placed" AS c2, r0."id" AS c3 FROM "t4" AS r0 "#
        + #"ORDER BY 2 NULLS LAST, 3 LIMIT ?1"#)
    #expect(fragments[0].parameters == [.constant(.integer(3))])
    #expect(
      merge.order == [
        MergeKey(column: 1, isDescending: false, nullsFirst: false, comparison: .stored),
        MergeKey(column: 2, isDescending: false, nullsFirst: false, comparison: .stored),
      ])
    #expect(merge.visibleColumns == 1)
    #expect(merge.limit == .constant(.integer(2)))
  }

  @Test func aggregatesAreComputedAtEachTabletAndCombined() throws {
    guard
      case .local(let inputs, let sql, _) = try bind(
        "SELECT customer, count(*), sum(total) FROM orders WHERE total > 1 GROUP BY customer ORDER BY 2 DESC")
    else {
      Issue.record("not local")
      return
    }
    #expect(
      sql == "SELECT i.c1 AS c1, pg_combine_count(i.c2) AS c2, pg_sum_numeric(i.c3) AS c3 FROM i0 AS i "
        + "GROUP BY i.c1 ORDER BY pg_combine_count(i.c2) DESC NULLS FIRST")
    guard case .fragments(let fragments) = inputs[0].source else {
      Issue.record("no fragments")
      return
    }
    #expect(fragments.count == 4)
    #expect(
      fragments[3].sql
        == #"SELECT r0."customer" AS c1, count(*) AS c2, pg_sum_numeric(r0."total") AS c3 FROM "t7" AS r0 "#
        + #"WHERE (r0."total" COLLATE PG_NUMERIC > ?1) GROUP BY r0."customer""#)
  }

  @Test func joinsAcrossShardsReadFilteredColumnsOfEachTable() throws {
    guard
      case .local(let inputs, let sql, _) = try bind(
        "SELECT c.name, i.price FROM customers c JOIN items i ON i.id = c.id WHERE c.region = 'north' AND i.flag")
    else {
      Issue.record("not local")
      return
    }
    #expect(
      inputs.map(\.createSQL) == [
        #"CREATE TEMP TABLE i0 ("id" INTEGER, "name" TEXT, "region" TEXT)"#,
        #"CREATE TEMP TABLE i1 ("id" INTEGER, "price" TEXT COLLATE PG_NUMERIC, "flag" INTEGER)"#,
      ])
    #expect(
      sql == #"SELECT r0."name" AS c1, r1."price" AS c2 FROM i0 AS r0 JOIN i1 AS r1 ON (r1."id" = r0."id") "#
        + #"WHERE ((r0."region" = ?1) AND r1."flag")"#)
    guard case .fragments(let fragments) = inputs[0].source else {
      Issue.record("no fragments")
      return
    }
    #expect(
      fragments.map(\.sql) == [#"SELECT r0."id", r0."name", r0."region" FROM "t2" AS r0 WHERE (r0."region" = ?1)"#])
  }

  @Test func aConstantOnOneSideOfAnEqualityPrunesTheOther() throws {
    guard
      case .local(let inputs, _, _) = try bind(
        "SELECT 1 FROM customers c JOIN orders o ON o.id = c.id::int8 AND o.id = 7"),
      case .fragments(let fragments) = inputs[1].source
    else {
      Issue.record("not local")
      return
    }
    #expect(fragments.count == 1)
  }

  @Test func aQueryWithoutTablesRunsOnTheComputeNode() throws {
    guard case .local(let inputs, let sql, let parameters) = try bind("SELECT 1") else {
      Issue.record("not local")
      return
    }
    #expect(inputs.isEmpty)
    #expect(sql == "SELECT ?1 AS c1")
    #expect(parameters == [.constant(.integer(1))])
  }

  @Test func sequencesAreAdvancedOnTheComputeNode() throws {
    guard case .local(_, let sql, _) = try bind("SELECT nextval('items_id_seq')") else {
      Issue.record("not local")
      return
    }
    #expect(sql == "SELECT pg_nextval(16385) AS c1")
  }

  @Test func outputColumnsAreNamedAndTypedAsInPostgreSQL() throws {
    let analyzed = try SampleCatalog.standard.analyze(
      "SELECT id, i.price, 1, 'a', count(*), id::int8, CASE WHEN flag THEN 1 END, coalesce(qty, 0), "
        + "current_user, EXISTS (SELECT 1), 2 + 2 AS four, now(), -1, true FROM items i GROUP BY id")
    #expect(
      analyzed.columns.map(\.name) == [
        "id", "price", "?column?", "?column?", "count", "id", "case", "coalesce", "current_user", "exists", "four",
        "now", "?column?", "?column?",
      ])
    #expect(
      analyzed.columns.map(\.type.displayName) == [
        "integer", "numeric(10,2)", "integer", "text", "bigint", "bigint", "integer", "bigint", "name", "boolean",
        "integer", "timestamp with time zone", "integer", "boolean",
      ])
    #expect(analyzed.columns[1].columnNumber == 3)
    #expect(analyzed.columns[2].tableOID == 0)
  }

  @Test func parametersTakeTheTypesThatTheirContextGives() throws {
    let analyzed = try SampleCatalog.standard.analyze(
      "SELECT $1::date, $2 FROM items WHERE id = $3 AND price > $4 AND name LIKE $5 LIMIT $6")
    #expect(
      analyzed.parameterTypes.map(\.displayName) == ["date", "text", "integer", "numeric", "text", "bigint"])
  }

  @Test func explainShowsShardsPartitionsAndWhatIsPushedDown() throws {
    let catalog = SampleCatalog.standard
    let planner = catalog.planner()
    #expect(
      planner.explain(try catalog.analyze("SELECT name FROM customers WHERE id = 1")).lines == [
        "Remote Query on shard 2  (tier 1: whole statement)",
        #"  Remote SQL: SELECT r0."name" AS c1 FROM "t2" AS r0 WHERE (r0."id" = ?1)"#,
      ])
    #expect(
      planner.explain(try catalog.analyze("SELECT note FROM events WHERE day >= '2025-02-01'")).lines == [
        "Remote Query on shard 2  (tier 1: whole statement)", "  Partitions: 1 of 2 of events",
        #"  Remote SQL: SELECT r0."note" AS c1 FROM "t9" AS r0 WHERE (r0."day" >= ?1)"#,
      ])
    #expect(
      planner.explain(try catalog.analyze("DELETE FROM kinds WHERE kind IN ('a', 'q')")).lines == [
        "Delete on kinds", "  Partitions: 2 of 3 of kinds", "  ->  Remote Delete on kinds_ab  (shard 1)",
        #"        Remote SQL: DELETE FROM "t10" WHERE ("t10"."kind" IN (?1, ?2))"#,
        "  ->  Remote Delete on kinds_rest  (shard 2)",
        #"        Remote SQL: DELETE FROM "t12" WHERE ("t12"."kind" IN (?1, ?2))"#,
      ])
  }

  @Test func explainHasAFormInJSON() throws {
    let catalog = SampleCatalog.standard
    let planner = catalog.planner()
    #expect(
      planner.explain(try catalog.analyze("DELETE FROM kinds WHERE kind IN ('a', 'q')")).json([("Actual Rows", "3")])
        == #"""
        [
          {
            "Plan": {
              "Node Type": "ModifyTable",
              "Operation": "Delete",
              "Relation Name": "kinds",
              "Partitions": "2 of 3 of kinds",
              "Plans": [
                {
                  "Node Type": "Remote Delete",
                  "Relation Name": "kinds_ab",
                  "Shard": 1,
                  "Remote SQL": "DELETE FROM \"t10\" WHERE (\"t10\".\"kind\" IN (?1, ?2))"
                },
                {
                  "Node Type": "Remote Delete",
                  "Relation Name": "kinds_rest",
                  "Shard": 2,
                  "Remote SQL": "DELETE FROM \"t12\" WHERE (\"t12\".\"kind\" IN (?1, ?2))"
                }
              ]
            },
            "Actual Rows": 3
          }
        ]
        """#)
  }

  @Test(
    "A write that gives the whole key is known to touch one row at most; one that does not is not",
    arguments: [
      ("UPDATE items SET qty = qty + 1 WHERE id = 7", true), ("DELETE FROM items WHERE 7 = id AND qty > 2", true),
      ("UPDATE orders SET total = 1 WHERE id = 7", true), ("UPDATE items SET qty = 1 WHERE id = qty", false),
      ("UPDATE items SET qty = 1 WHERE id > 7", false), ("UPDATE items SET qty = 1 WHERE id = 7 OR qty = 1", false),
      ("DELETE FROM events WHERE day = '2025-02-01'", false), ("DELETE FROM items", false),
    ])
  func keyedWrites(sql: String, isKeyed: Bool) throws {
    guard case .write(.modify(let plan)) = try SampleCatalog.standard.analyze(sql).plan else {
      Issue.record("not at the tablets")
      return
    }
    let fragments = plan.bind([])
    #expect(!fragments.isEmpty && fragments.allSatisfy { $0.isKeyed == isKeyed })
  }

  @Test func aPlanHoldsUntilSomethingThatItUsesChanges() throws {
    var catalog = SampleCatalog.standard
    let analyzed = try catalog.analyze("SELECT * FROM orders WHERE id = 1")
    catalog.image.index = 8
    #expect(analyzed.isCurrent(in: catalog.image))
    let items = try #require(catalog.image.tables.values.first { $0.name == "items" })
    catalog.image.tables[items.id]?.version = 2
    #expect(analyzed.isCurrent(in: catalog.image))
    let moved = try #require(catalog.image.tablets.values.first { $0.shardID.rawValue == 2 && $0.id.rawValue == 5 })
    catalog.image.tablets[moved.id]?.epoch = 2
    #expect(!analyzed.isCurrent(in: catalog.image))
  }
}
