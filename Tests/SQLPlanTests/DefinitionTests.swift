import Metadata
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes
import Testing

/// What DDL asks of the planner.
@Suite struct DefinitionTests {
  private let planner = SampleCatalog.standard.planner()

  private func expression(_ sql: String) throws -> Expression {
    guard case .select(let select) = try SQLParser.parse("SELECT \(sql)")[0].statement,
      case .select(let core) = select.body
    else { throw SQLError(.internalError, "no expression") }
    return core.targets[0].expression
  }

  private let columns = [
    ColumnDefinition(name: "price", type: .numeric), ColumnDefinition(name: "name", type: .text),
    ColumnDefinition(name: "n", type: .int4), ColumnDefinition(name: "day", type: .date),
  ]

  @Test(arguments: [
    ("price > 0", "(price > 0)", #"("price" COLLATE PG_NUMERIC > '0')"#, "price"),
    ("n BETWEEN 1 AND 5", "(n BETWEEN 1 AND 5)", #"(("n" >= 1) AND ("n" <= 5))"#, "n"),
    ("name <> 'it''s'", "(name <> 'it''s')", #"("name" <> 'it''s')"#, "name"),
    (
      "name IN ('a', 'b') OR n IS NULL", "((name IN ('a', 'b')) OR (n IS NULL))",
      #"(("name" IN ('a', 'b')) OR ("n" IS NULL))"#, nil
    ),
    ("length(name) < 10", "(length(name) < 10)", #"(pg_length("name") < 10)"#, "name"),
    ("day >= '2024-01-01'", "(day >= '2024-01-01')", #"("day" >= 8766)"#, "day"),
    (
      "price * 2 > n", "((price * 2) > n)",
      #"(pg_numeric_mul("price", '2') COLLATE PG_NUMERIC > pg_int_to_numeric("n"))"#, nil
    ),
    ("NOT (n = 3)", "(NOT (n = 3))", #"(NOT ("n" = 3))"#, "n"),
  ])
  func checksAreTranslated(_ sql: String, _ text: String, _ storage: String, _ column: String?) throws {
    let check = try planner.check(expression(sql), table: "t", columns: columns, text: "")
    #expect(check == CheckTranslation(column: column, expression: text, storageExpression: storage))
  }

  @Test func checksThatATabletCannotHoldAreRefused() throws {
    #expect(throws: SQLError(.featureNotSupported, "cannot use subquery in check constraint", position: 8)) {
      try planner.check(expression("(SELECT true)"), table: "t", columns: columns, text: "SELECT (SELECT true)")
    }
    #expect(throws: SQLError(.undefinedColumn, "column \"zzzz\" does not exist", position: 8)) {
      try planner.check(expression("zzzz > 1"), table: "t", columns: columns, text: "SELECT zzzz > 1")
    }
    #expect(
      throws: SQLError(.datatypeMismatch, "argument of CHECK must be type boolean, not type integer", position: 8)
    ) { try planner.check(expression("n + 1"), table: "t", columns: columns, text: "SELECT n + 1") }
    #expect(
      throws: SQLError(.groupingError, "aggregate functions are not allowed in check constraints", position: 8)
    ) { try planner.check(expression("sum(n) > 1"), table: "t", columns: columns, text: "SELECT sum(n) > 1") }
  }

  @Test(arguments: [
    ("'a'", SQLType.text, "'a'::text"), ("0", .int8, "0"), ("now()", .timestamptz, "now()"),
    ("CURRENT_TIMESTAMP", .timestamptz, "CURRENT_TIMESTAMP"),
    ("nextval('items_id_seq')", .int4, "nextval('items_id_seq')"),
    ("nextval('items_id_seq'::regclass)", .int4, "nextval('items_id_seq'::regclass)"), ("-1.5", .numeric, "-1.5"),
    ("'{}'::jsonb", .jsonb, "'{}'::jsonb"), ("true", .bool, "true"), ("(1 + 2)", .int4, "(1 + 2)"),
    ("interval '1 day'", .interval, "'1 day'::interval"), (#"E'a\\b'"#, .text, #"E'a\\b'::text"#),
    ("NULL", .text, "NULL"),
    ("gen_random_uuid()", .uuid, "gen_random_uuid()"),
    ("CASE WHEN true THEN 1 ELSE 2 END", .int4, "CASE WHEN true THEN 1 ELSE 2 END"),
  ])
  func defaultsAreKeptAsTextThatReadsBack(_ sql: String, _ type: SQLType, _ text: String) throws {
    #expect(try planner.normalizedDefault(expression(sql), column: "c", type: type, text: "") == text)
    #expect(try planner.normalizedDefault(expression(text), column: "c", type: type, text: "").hasPrefix(text))
  }

  @Test func defaultsMustFitTheirColumn() throws {
    #expect(
      throws: SQLError(
        .datatypeMismatch, "column \"c\" is of type integer but default expression is of type boolean",
        hint: "You will need to rewrite or cast the expression.")
    ) { try planner.normalizedDefault(expression("true"), column: "c", type: .int4, text: "") }
    #expect(throws: SQLError(.featureNotSupported, "cannot use column reference in DEFAULT expression", position: 8)) {
      try planner.normalizedDefault(expression("x + 1"), column: "c", type: .int4, text: "SELECT x + 1")
    }
  }

  @Test func boundsAndParametersAreConstantsWhereTheyCanBe() throws {
    #expect(try planner.scalar(expression("'2024-01-01'"), as: .date, text: "") == .constant(.integer(8766)))
    #expect(try planner.scalar(expression("-5"), as: .int8, text: "") == .constant(.integer(-5)))
    #expect(try planner.scalar(expression("1"), as: .numeric, text: "") == .constant(.text("1")))
    #expect(try planner.scalar(expression("NULL"), as: .text, text: "") == .constant(.null))
    #expect(
      try planner.scalar(expression("1 + 1"), as: .int4, text: "")
        == .expression(
          LocalExpression(sql: "pg_int4_add(?1, ?1)", parameters: [.constant(.integer(1))], isStable: true)))
  }

  @Test func viewsKnowTheirColumnsAndWhatTheyRestOn() throws {
    guard
      case .select(let select) = try SQLParser.parse(
        "SELECT o.id, c.name AS who, total * 2 FROM orders o JOIN customers c ON c.id = o.customer")[0].statement
    else { return }
    let view = try planner.view(select, columnNames: ["a", "b"], text: "")
    #expect(
      view.columns == [
        ViewDefinition.Column(name: "a", type: .int8), ViewDefinition.Column(name: "b", type: .text),
        ViewDefinition.Column(name: "?column?", type: .numeric),
      ])
    let image = SampleCatalog.standard.image
    #expect(view.dependencies.compactMap { image.tables[$0]?.name } == ["customers", "orders"])
  }

  @Test func viewsAreReadThroughToTheirTables() throws {
    var catalog = SampleCatalog.standard
    catalog.addView(
      "northern", "SELECT id, name FROM customers WHERE region = 'north'",
      [ViewDefinition.Column(name: "id", type: .int4), ViewDefinition.Column(name: "label", type: .text)])
    let cluster = try SampleCluster(catalog)
    try cluster.run("INSERT INTO customers VALUES (1,'ann','north'),(2,'bob','south'),(4,'dee','north')")
    #expect(try cluster.run("SELECT label FROM northern WHERE id > 1") == [["dee"]])
    guard case .query(let plan) = try catalog.analyze("SELECT label FROM northern WHERE id = 4").plan,
      case .pushdown(let fragment) = plan.bind([])
    else {
      Issue.record("not pushed down")
      return
    }
    #expect(fragment.shardID.rawValue == 2)
  }

  @Test func typesAreResolvedWithTheirModifiers() throws {
    func type(_ sql: String) throws -> String {
      guard case .cast(_, let name, _) = try expression("NULL::\(sql)") else { return "" }
      return try planner.resolve(name, text: "").displayName
    }
    #expect(try type("varchar(10)") == "character varying(10)")
    #expect(try type("char") == "character(1)")
    #expect(try type("numeric(10,2)") == "numeric(10,2)")
    #expect(try type("timestamp(3) with time zone") == "timestamp(3) with time zone")
    #expect(try type("int[]") == "integer[]")
    #expect(try type("\"char\"") == "\"char\"")
    #expect(throws: SQLError(.undefinedObject, "type \"nope\" does not exist")) { try type("nope") }
    #expect(throws: SQLError(.invalidParameterValue, "NUMERIC precision 2000 must be between 1 and 1000")) {
      try type("numeric(2000)")
    }
  }
}
