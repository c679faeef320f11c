import SQLPlan
import SQLTypes
import Testing

/// Statements planned and run against SQLite; what they answer was compared with PostgreSQL 15.
@Suite struct ExecutionTests {
  private func cluster() throws -> SampleCluster {
    let cluster = try SampleCluster()
    try cluster.run("INSERT INTO customers VALUES (1,'ann','north'),(2,'bob','south'),(3,'cid',NULL),(4,'dee','north')")
    try cluster.run(
      "INSERT INTO items (name, price, made, flag) VALUES ('nut', 1.5, '2024-02-03', true), "
        + "('bolt', 20, '2024-05-01', false), ('cog', NULL, NULL, NULL)")
    try cluster.run(
      "INSERT INTO orders VALUES (1,1,5.00,'2024-01-01'),(2,2,5.0,'2024-01-02'),(3,1,12.5,'2024-01-03 10:00:00.5'),"
        + "(4,NULL,NULL,NULL),(5,4,1,'2023-01-01')")
    return cluster
  }

  @Test func insertedRowsAreFittedToTheirColumns() throws {
    #expect(
      try cluster().run("SELECT * FROM items ORDER BY id") == [
        ["1", "nut", "1.50", "0", "2024-02-03", "t", "null"], ["2", "bolt", "20.00", "0", "2024-05-01", "f", "null"],
        ["3", "cog", "null", "0", "null", "null", "null"],
      ])
  }

  @Test func nullsSortLastAscendingAndFirstDescending() throws {
    let cluster = try cluster()
    #expect(try cluster.run("SELECT id FROM orders ORDER BY total, id") == [["5"], ["1"], ["2"], ["3"], ["4"]])
    #expect(try cluster.run("SELECT id FROM orders ORDER BY total DESC, id LIMIT 2") == [["4"], ["3"]])
    #expect(try cluster.run("SELECT id FROM orders ORDER BY total DESC NULLS LAST, id DESC LIMIT 2") == [["3"], ["2"]])
    #expect(try cluster.run("SELECT name FROM items ORDER BY price") == [["nut"], ["bolt"], ["cog"]])
  }

  @Test func numericsOfDifferentScaleAreEqual() throws {
    let cluster = try cluster()
    #expect(try cluster.run("SELECT id FROM orders WHERE total = 5 ORDER BY id") == [["1"], ["2"]])
    #expect(try cluster.run("SELECT count(*) FROM (SELECT DISTINCT total FROM orders) d") == [["4"]])
    #expect(try cluster.run("SELECT count(DISTINCT total) FROM orders") == [["3"]])
    #expect(
      try cluster.run("SELECT count(*) FROM (SELECT 1.0 AS x UNION SELECT 1.00 UNION SELECT 2) u") == [["2"]])
    #expect(try cluster.run("SELECT 9.5 < 10.25, 10 IN (10.0, 3)") == [["t", "t"]])
  }

  @Test func groupsOfSeveralTabletsAreCombined() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("SELECT customer, count(*), sum(total), max(placed) FROM orders GROUP BY customer ORDER BY 1")
        == [
          ["1", "2", "17.50", "2024-01-03 10:00:00.5"], ["2", "1", "5.0", "2024-01-02 00:00:00"],
          ["4", "1", "1", "2023-01-01 00:00:00"], ["null", "1", "null", "null"],
        ])
    #expect(
      try cluster.run("SELECT count(*), min(id), avg(total) FROM orders WHERE id > 100") == [["0", "null", "null"]])
    #expect(
      try cluster.run("SELECT customer FROM orders GROUP BY customer HAVING count(*) > 1") == [["1"]])
  }

  @Test func joinsOfAllKindsCrossShards() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run(
        "SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.total > 4 ORDER BY 1, 2")
        == [
          ["ann", "1"], ["ann", "3"], ["bob", "2"], ["cid", "null"], ["dee", "null"],
        ])
    #expect(
      try cluster.run("SELECT c.name, i.name FROM items i RIGHT JOIN customers c USING (id) ORDER BY id") == [
        ["ann", "nut"], ["bob", "bolt"], ["cid", "cog"], ["dee", "null"],
      ])
    #expect(
      try cluster.run("SELECT id, o.total FROM items FULL JOIN orders o USING (id) ORDER BY id") == [
        ["1", "5.00"], ["2", "5.0"], ["3", "12.5"], ["4", "null"], ["5", "1"],
      ])
  }

  @Test func subqueriesMayBeCorrelatedAndMustBeSingle() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("SELECT name, (SELECT max(id) FROM orders o WHERE o.customer = c.id) FROM customers c ORDER BY 1")
        == [
          ["ann", "3"], ["bob", "2"], ["cid", "null"], ["dee", "5"],
        ])
    #expect(
      try cluster.run("SELECT name FROM customers WHERE id NOT IN (SELECT customer FROM orders)").isEmpty,
      "a null among the values leaves NOT IN unknown")
    #expect(throws: (any Error).self) { try cluster.run("SELECT (SELECT id FROM customers)") }
  }

  @Test func setOperationsCountDuplicatesWithAll() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("SELECT region FROM customers EXCEPT ALL SELECT 'north' ORDER BY 1") == [
        ["north"], ["south"], ["null"],
      ])
    #expect(try cluster.run("SELECT region FROM customers INTERSECT SELECT 'north'") == [["north"]])
    #expect(
      try cluster.run("SELECT 1 UNION (SELECT 2 EXCEPT SELECT 2) UNION ALL VALUES (7), (7) ORDER BY 1") == [
        ["1"], ["7"], ["7"],
      ])
  }

  @Test func windowsDistinctOnAndCommonTables() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("SELECT id, row_number() OVER (PARTITION BY region ORDER BY id DESC) FROM customers ORDER BY id")
        == [
          ["1", "2"], ["2", "1"], ["3", "1"], ["4", "1"],
        ])
    #expect(
      try cluster.run("SELECT DISTINCT ON (customer) customer, id FROM orders ORDER BY customer, id DESC") == [
        ["1", "3"], ["2", "2"], ["4", "5"], ["null", "4"],
      ])
    #expect(
      try cluster.run(
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n), count(*) FROM r")
        == [["10", "4"]])
  }

  @Test func aggregatesKeepTheirOrder() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("SELECT string_agg(name, ',' ORDER BY id DESC) FROM customers") == [["dee,cid,bob,ann"]])
    #expect(
      try cluster.run(
        "SELECT region, string_agg(name, ',' ORDER BY name DESC) FROM customers GROUP BY region ORDER BY region") == [
          ["north", "dee,ann"], ["south", "bob"], ["null", "cid"],
        ])
  }

  @Test func aggregatesOverDifferentValuesAreSorted() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run(
        "SELECT array_agg(DISTINCT customer), string_agg(DISTINCT customer::text, '-' ORDER BY customer::text DESC) FROM orders"
      )
        == [["{1,2,4,NULL}", "4-2-1"]])
    #expect(try cluster.run("SELECT array_agg(DISTINCT total) FROM orders WHERE total > 2") == [["{5.00,12.5}"]])
  }

  @Test func functionsInFromGiveRows() throws {
    let cluster = try cluster()
    #expect(try cluster.run("SELECT g FROM generate_series(3, 1, -1) g") == [["3"], ["2"], ["1"]])
    #expect(try cluster.run("SELECT generate_series(1, 2)") == [["1"], ["2"]])
    #expect(
      try cluster.run("SELECT id, unnest(ARRAY['p','q']), generate_series(1, id + 1) FROM customers WHERE id < 3") == [
        ["1", "p", "1"], ["1", "q", "2"], ["2", "p", "1"], ["2", "q", "2"], ["2", "null", "3"],
      ])
    #expect(
      try cluster.run("SELECT c.id, g FROM customers c, generate_series(1, c.id) g WHERE c.id = 2") == [
        ["2", "1"], ["2", "2"],
      ])
    #expect(
      try cluster.run("SELECT d FROM generate_series('2024-02-28'::timestamp, '2024-03-01', '1 day') d") == [
        ["2024-02-28 00:00:00"], ["2024-02-29 00:00:00"], ["2024-03-01 00:00:00"],
      ])
    #expect(throws: (any Error).self) { try cluster.run("SELECT 1 FROM generate_series(1, 5, 0)") }
  }

  @Test func writesReturnWhatTheyChanged() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run("UPDATE items SET price = 3.456, flag = NOT flag WHERE id = 1 RETURNING price, flag") == [
        ["3.46", "f"]
      ])
    #expect(
      try cluster.run(
        "UPDATE orders o SET total = 77 FROM customers c WHERE c.id = o.customer AND c.name = 'ann' "
          + "RETURNING o.id, c.name, total"
      ).sorted { $0[0] < $1[0] } == [["1", "ann", "77"], ["3", "ann", "77"]])
    #expect(
      try cluster.run("DELETE FROM orders WHERE id IN (SELECT id FROM customers WHERE region = 'south') RETURNING id")
        == [
          ["2"]
        ])
    #expect(
      try cluster.run(
        "INSERT INTO customers VALUES (1, 'zed') ON CONFLICT (id) DO UPDATE SET name = excluded.name || customers.name "
          + "RETURNING *") == [["1", "zedann", "north"]])
    #expect(
      try cluster.run("INSERT INTO orders (id) VALUES (1), (9) ON CONFLICT DO NOTHING RETURNING id") == [["9"]])
    #expect(throws: (any Error).self) {
      try cluster.run("INSERT INTO orders (id) VALUES (1), (1) ON CONFLICT (id) DO UPDATE SET total = 1")
    }
  }

  @Test func literalsKeepTheirSignAndType() throws {
    #expect(
      try cluster().run("SELECT round(-2.567, 2), -5, -0.0, 1e3, .5, pg_typeof('a'), pg_typeof(-9223372036854775808)")
        == [
          ["-2.57", "-5", "0.0", "1000", "0.5", "unknown", "bigint"]
        ])
    #expect(
      try cluster().run("SELECT lag(x, 1, 0.5) OVER (ORDER BY x) FROM (VALUES (1), (2)) v(x)") == [["0.5"], ["1"]])
  }

  @Test func argumentsThatAFunctionDoesNotUseTakeNoPlace() throws {
    #expect(
      try cluster().run("SELECT pg_database_size('postgres'), has_schema_privilege('public', 'USAGE')") == [
        ["null", "t"]
      ])
  }

  @Test func sizesAreMadePretty() throws {
    #expect(
      try cluster().run(
        "SELECT pg_size_pretty(10239::int8), pg_size_pretty(10240::int8), pg_size_pretty(20971520::int8), "
          + "pg_size_pretty(-123456789012::int8)") == [["10239 bytes", "10 kB", "20 MB", "-115 GB"]])
  }

  @Test func parametersAreBound() throws {
    let cluster = try cluster()
    #expect(
      try cluster.run(
        "INSERT INTO items (name, price, code) VALUES ($1, $2, $3) RETURNING id, price, code",
        [.text("pin"), .text("0.125"), .text("p")]) == [["4", "0.13", "p"]])
    #expect(throws: (any Error).self) {
      try cluster.run("INSERT INTO items (code) VALUES ($1)", [.text("abcdef")])
    }
    #expect(try cluster.run("SELECT id FROM orders WHERE id = $1", [.integer(3)]) == [["3"]])
    #expect(try cluster.run("SELECT id FROM orders ORDER BY id LIMIT $1", [.null]).count == 5)
    #expect(throws: (any Error).self) { try cluster.run("SELECT id FROM orders LIMIT $1", [.integer(-1)]) }
  }

  @Test func aVolatileColumnIsComputedOncePerRow() throws {
    #expect(
      try cluster().run("SELECT count(*) FROM (SELECT random() AS r FROM customers) s WHERE r IS NULL OR r <> r") == [
        ["0"]
      ])
    #expect(try cluster().run("SELECT a = b FROM (SELECT x AS a, x AS b FROM (SELECT random() AS x) t) u") == [["t"]])
  }

  @Test func tableoidTellsThePartition() throws {
    #expect(
      try cluster().run("SELECT count(*) FROM orders WHERE tableoid = 'orders'::regclass") == [["0"]])
    #expect(
      try cluster().run("SELECT count(*) FROM items WHERE tableoid = 'items'::regclass") == [["3"]])
  }
}
