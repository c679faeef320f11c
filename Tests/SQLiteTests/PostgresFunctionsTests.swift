import SQLTypes
import Testing

@testable import SQLite

@Suite("PostgreSQL's functions on SQLite")
struct PostgresFunctionsTests {
  /// The names that a signature's SQL calls.
  private func calledNames(_ implementation: FunctionImplementation) -> [String] {
    switch implementation {
    case .sqlite(let name), .sqliteTyped(let name): return [name]
    case .inline(let template):
      return template.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init).filter {
        $0.hasPrefix("pg_")
      }
    }
  }

  @Test("every implementation that the catalog names is registered")
  func catalogIsComplete() {
    let native: Set<String> = [
      "count", "min", "max", "length", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag",
      "lead", "first_value", "last_value", "nth_value",
    ]
    let registered = Set(PostgresFunctions.scalars.map(\.name) + PostgresFunctions.aggregates.map(\.name))
    var missing: Set<String> = []
    for function in FunctionCatalog.standard.functions {
      var implementations = [function.implementation]
      if let parts = function.parts { implementations += [parts.partial, parts.combine] }
      missing.formUnion(
        implementations.flatMap(calledNames).filter { !registered.contains($0) && !native.contains($0) })
    }
    for cast in FunctionCatalog.standard.casts {
      missing.formUnion(calledNames(cast.implementation).filter { !registered.contains($0) })
    }
    #expect(missing.sorted() == [])
  }

  @Test(
    "scalars give PostgreSQL's results",
    arguments: [
      ("pg_int4_add(2147483647, 1)", "22003 integer out of range"), ("pg_int4_div(7, -2)", "-3"),
      ("pg_int4_div(1, 0)", "22012 division by zero"), ("pg_numeric_div('7', '3')", "2.3333333333333333"),
      ("pg_numeric_div('1', '3.0')", "0.33333333333333333333"), ("pg_numeric_mul('1.10', '2.20')", "2.4200"),
      ("pg_numeric_power('2', '100')", "1267650600228229401496703205376.0000000000000000"),
      ("pg_numeric_sqrt('2')", "1.414213562373095"), ("pg_numeric_exp('1.0')", "2.7182818284590452"),
      ("pg_numeric_ln('2.0')", "0.6931471805599453"), ("pg_numeric_log('2.0', '64.0')", "6.0000000000000000"),
      ("pg_numeric_round('2.5')", "3"), ("pg_float8_round(2.5)", "2"), ("pg_to_int4(2.5)", "2"),
      ("pg_numeric_to_int4('2.5')", "3"), ("pg_float8_mul(1e308, 10.0)", "22003 value out of range: overflow"),
      ("pg_substring('hello', -1, 3)", "h"), ("pg_lpad('hi', 5, 'xy')", "xyxhi"),
      ("pg_split_part('a,b,c', ',', -1)", "c"),
      ("pg_md5('hello')", "5d41402abc4b2a76b9719d911017c592"),
      (
        "pg_encode(pg_sha256('abc'), 'hex')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      ), ("pg_like('a_c', 'a\\_c')", "1"), ("pg_ilike('ABC', 'a_c')", "1"), ("pg_concat(23, 1, 16, 1, 25, NULL)", "1t"),
      ("pg_concat_operator(16, 1, 25, 'x')", "truex"), ("pg_regex('abc123', '^\\w+\\d{3}$')", "1"),
      ("pg_regexp_match('foobarbequebaz', '(bar)(beque)')", "{bar,beque}"),
      ("pg_regexp_replace('foobarbaz', 'b(..)', 'X\\1Y', 'g')", "fooXarYXazY"),
      ("pg_regex('a', '(')", "2201B invalid regular expression: parentheses () not balanced"),
      ("pg_jsonb_path('{\"a\": {\"b\": 1}}', '{a,b}')", "1"), ("pg_jsonb_contains('[1, 2, [3]]', '[2]')", "1"),
      ("pg_jsonb_set('{\"a\": [1]}', '{a,0}', '\"x\"')", "{\"a\": [\"x\"]}"),
      ("pg_jsonb_build_object(25, 'a', 23, 1, 25, 'b', 16, 0)", "{\"a\": 1, \"b\": false}"),
      ("pg_any('=', 23, 2, 1007, '{1,2}')", "1"), ("pg_any('=', 23, 3, 1007, '{1,NULL}')", "NULL"),
      (
        "pg_out(1114, pg_timestamp_add(pg_in(1114, '2024-01-31 10:00', -1), pg_in(1186, '1 mon', -1)), -1)",
        "2024-02-29 10:00:00"
      ),
      (
        "pg_out(1186, pg_age(pg_in(1114, '2001-04-10', -1), pg_in(1114, '1957-06-13', -1)), -1)",
        "43 years 9 mons 27 days"
      ),
      ("pg_extract_timestamp('epoch', pg_in(1114, '2000-01-01', -1))", "946684800.000000"),
      ("pg_out(1114, pg_date_trunc('week', pg_in(1114, '2024-02-29 13:14', -1)), -1)", "2024-02-26 00:00:00"),
      ("pg_modify_varchar('abcdef', 7, 0)", "22001 value too long for type character varying(3)"),
      ("pg_modify_varchar('abcdef', 7, 1)", "abc"),
      ("pg_in(23, 'x', -1)", "22P02 invalid input syntax for type integer: \"x\""),
    ])
  func scalars(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }

  @Test(
    "aggregates give PostgreSQL's results",
    arguments: [
      ("pg_sum_int(column1) FROM (VALUES (1), (2), (NULL))", "3"), ("pg_sum_int(column1) FROM (VALUES (NULL))", "NULL"),
      ("pg_sum_int8(column1) FROM (VALUES (9223372036854775807), (1))", "9223372036854775808"),
      ("pg_avg_numeric(column1) FROM (VALUES (1), (2))", "1.5000000000000000"),
      ("pg_sum_numeric(column1) FROM (VALUES ('1.10'), ('2'))", "3.10"),
      ("pg_stddev_samp_numeric(column1) FROM (VALUES (1), (2), (4))", "1.5275252316519467"),
      ("pg_var_pop_numeric(column1) FROM (VALUES (1), (2), (4))", "1.5555555555555556"),
      ("pg_var_samp_float8(column1) FROM (VALUES (1.0), (2.0), (4.0))", "2.3333333333333335"),
      ("pg_max_numeric(column1) FROM (VALUES ('9'), ('10'), ('NaN'))", "NaN"),
      ("pg_min_numeric(column1) FROM (VALUES ('9'), ('10'))", "9"),
      ("pg_string_agg(column1, ',') FROM (VALUES ('a'), (NULL), ('b'))", "a,b"),
      ("pg_array_agg(23, column1) FROM (VALUES (1), (NULL))", "{1,NULL}"),
      ("pg_jsonb_agg(16, column1) FROM (VALUES (1), (NULL))", "[true, null]"),
      (
        "pg_combine_avg_numeric(m) FROM (SELECT pg_moments_numeric(column1) AS m FROM (VALUES (1), (2)) UNION ALL SELECT pg_moments_numeric(column1) FROM (VALUES (6)))",
        "3.0000000000000000"
      ),
      (
        "group_concat(s, ' ') FROM (SELECT pg_sum_numeric(column1) OVER (ORDER BY column1 ROWS 1 PRECEDING) AS s FROM (VALUES ('1'), ('2'), ('3')))",
        "1 3 5"
      ),
      (
        "group_concat(s, ' ') FROM (SELECT pg_max_numeric(column1) OVER (ROWS 1 PRECEDING) AS s FROM (VALUES ('3'), ('2'), ('1')))",
        "3 3 2"
      ),
    ])
  func aggregates(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }

  @Test("collations order as the types do")
  func collations() throws {
    #expect(try evaluate("'10' COLLATE PG_NUMERIC > '9'") == "1")
    #expect(try evaluate("'1.0' COLLATE PG_NUMERIC = '1'") == "1")
    #expect(try evaluate("'{\"a\": 1.0}' COLLATE PG_JSONB = '{\"a\": 1}'") == "1")
  }

  @Test("zones are found by name, and no name leads out of the directory")
  func zones() {
    #expect(TimeZoneDatabase.zone(named: "Europe/Berlin")?.localTime(at: 0).offsetSeconds == 3600)
    #expect(TimeZoneDatabase.zone(named: "america/new_york")?.localTime(at: 0).abbreviation == "EST")
    #expect(TimeZoneDatabase.zone(named: "../../../etc/passwd") == nil)
  }
}
