import SQLPlan
import SQLTypes
import Testing

/// Errors of parse analysis, compared with what PostgreSQL 15 says.
@Suite struct AnalysisErrorTests {
  private func error(_ sql: String) -> SQLError? {
    do throws(SQLError) {
      _ = try SampleCatalog.standard.analyze(sql)
      return nil
    } catch { return error }
  }

  @Test func aMissingRelationIsNamedWithItsPlace() {
    #expect(
      error("SELECT * FROM nothere")
        == SQLError(.undefinedTable, "relation \"nothere\" does not exist", position: 15))
    #expect(
      error("SELECT * FROM s.nothere")
        == SQLError(.undefinedTable, "relation \"s.nothere\" does not exist", position: 15))
  }

  @Test func aMissingColumnIsNamedWithItsPlaceAndTheNearestName() {
    #expect(
      error("SELECT prise FROM items")
        == SQLError(
          .undefinedColumn, "column \"prise\" does not exist",
          hint: "Perhaps you meant to reference the column \"items.price\".", position: 8))
    #expect(
      error("SELECT i.xyzzy FROM items i")
        == SQLError(.undefinedColumn, "column i.xyzzy does not exist", position: 8))
  }

  @Test func aPositionCountsCharactersNotBytes() {
    #expect(
      error("SELECT 'äöü', nothere FROM items")
        == SQLError(.undefinedColumn, "column \"nothere\" does not exist", position: 15))
  }

  @Test func anAmbiguousColumnIsRefused() {
    #expect(
      error("SELECT id FROM items, customers")
        == SQLError(.ambiguousColumn, "column reference \"id\" is ambiguous", position: 8))
  }

  @Test func aTableThatFromLacksIsNamed() {
    #expect(
      error("SELECT x.id FROM items")
        == SQLError(.undefinedTable, "missing FROM-clause entry for table \"x\"", position: 8))
    #expect(
      error("SELECT items.id FROM items i")
        == SQLError(
          .undefinedTable, "invalid reference to FROM-clause entry for table \"items\"",
          hint: "Perhaps you meant to reference the table alias \"i\".", position: 8))
  }

  @Test func anOperatorThatTypesDoNotHaveIsRefusedWithPostgreSQLsHint() {
    #expect(
      error("SELECT name + 1 FROM items")
        == SQLError(
          .undefinedFunction, "operator does not exist: text + integer",
          hint: "No operator matches the given name and argument types. You might need to add explicit type casts.",
          position: 13))
  }

  @Test func aFunctionThatTypesDoNotHaveIsRefused() {
    #expect(
      error("SELECT foo(1)")
        == SQLError(
          .undefinedFunction, "function foo(integer) does not exist",
          hint: "No function matches the given name and argument types. You might need to add explicit type casts.",
          position: 8))
  }

  @Test func aColumnOutsideTheGroupsIsRefused() {
    #expect(
      error("SELECT name, count(*) FROM items GROUP BY flag")
        == SQLError(
          .groupingError,
          "column \"items.name\" must appear in the GROUP BY clause or be used in an aggregate function", position: 8))
    #expect(
      error("SELECT id, name, count(*) FROM items GROUP BY id") == nil, "the primary key determines the other columns")
  }

  @Test func anAggregateInWhereIsRefused() {
    #expect(
      error("SELECT 1 FROM items WHERE count(*) > 1")
        == SQLError(.groupingError, "aggregate functions are not allowed in WHERE", position: 27))
  }

  @Test func invalidLiteralsAreRefusedWhereTheyStand() {
    #expect(
      error("SELECT 1 FROM items WHERE id = 'abc'")
        == SQLError(
          .invalidTextRepresentation, "invalid input syntax for type integer: \"abc\"", position: 32))
  }

  @Test func insertsCountTheirColumns() {
    #expect(
      error("INSERT INTO customers (id, name) VALUES (1, 'a', 'b')")
        == SQLError(.syntaxError, "INSERT has more expressions than target columns", position: 50))
    #expect(
      error("INSERT INTO customers (id, name) VALUES (1)")
        == SQLError(.syntaxError, "INSERT has more target columns than expressions", position: 28))
    #expect(
      error("INSERT INTO customers (id, nome) VALUES (1, 'a')")
        == SQLError(
          .undefinedColumn, "column \"nome\" of relation \"customers\" does not exist", position: 28))
  }

  @Test func assignmentsCheckTypes() {
    #expect(
      error("UPDATE customers SET id = name")
        == SQLError(
          .datatypeMismatch, "column \"id\" is of type integer but expression is of type text",
          hint: "You will need to rewrite or cast the expression.", position: 27))
    #expect(
      error("INSERT INTO items (code) VALUES ('abcdef')")
        == SQLError(.stringDataRightTruncation, "value too long for type character varying(5)"))
  }

  @Test func identityColumnsThatAreAlwaysGeneratedTakeNoValue() {
    #expect(
      error("INSERT INTO tagged (id, tag) VALUES (1, 'a')")
        == SQLError(
          .generatedAlways, "cannot insert a non-DEFAULT value into column \"id\"",
          detail: "Column \"id\" is an identity column defined as GENERATED ALWAYS.",
          hint: "Use OVERRIDING SYSTEM VALUE to override."))
    #expect(error("INSERT INTO tagged (id, tag) OVERRIDING SYSTEM VALUE VALUES (1, 'a')") == nil)
    #expect(error("INSERT INTO tagged (id, tag) VALUES (DEFAULT, 'a')") == nil)
  }

  @Test func onConflictNeedsAUniqueIndex() {
    #expect(
      error("INSERT INTO customers VALUES (1, 'a') ON CONFLICT (name) DO NOTHING")
        == SQLError(
          .invalidColumnReference,
          "there is no unique or exclusion constraint matching the ON CONFLICT specification"))
  }

  @Test func branchesThatCannotBeMatchedAreRefused() {
    #expect(
      error("SELECT CASE WHEN true THEN 1 ELSE name END FROM items")
        == SQLError(.datatypeMismatch, "CASE types text and integer cannot be matched", position: 28))
    #expect(
      error("SELECT 1 UNION SELECT name FROM items")
        == SQLError(.datatypeMismatch, "UNION types integer and text cannot be matched", position: 23))
    #expect(
      error("SELECT 1 UNION SELECT 1, 2")
        == SQLError(.syntaxError, "each UNION query must have the same number of columns", position: 23))
  }

  @Test func whatIsNotSupportedSaysSo() {
    #expect(error("SELECT * FROM (SELECT * FROM items FOR UPDATE) i")?.sqlState == .featureNotSupported)
    #expect(error("SELECT count(*) FROM items GROUP BY ROLLUP (name)")?.sqlState == .featureNotSupported)
  }

  @Test func aParameterWithoutAContextHasNoType() {
    #expect(
      error("SELECT $1 IS NULL")
        == nil, "a test for null takes text")
    #expect(error("SELECT 1 FROM items WHERE id = $1") == nil)
  }

  @Test func negativeLimitsAreRefused() {
    #expect(
      error("SELECT 1 LIMIT -1") == SQLError(.invalidRowCountInLimitClause, "LIMIT must not be negative"))
  }
}
