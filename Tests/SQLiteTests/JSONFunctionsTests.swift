import Testing

@testable import SQLite

/// Calls of PostgreSQL's functions, with what PostgreSQL 15 gave for them.
@Suite("JSON functions agree with PostgreSQL")
struct JSONFunctionsTests {
  @Test("jsonb and arrays", arguments: jsonCases)
  func json(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }
}

private let jsonCases: [(String, String)] = [
  ("pg_jsonb_concat(pg_in(3802,'12.50',-1),pg_in(3802,'[]',-1))", "[12.50]"),
  (
    "pg_jsonb_to_int4(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1))",
    "22023 cannot cast jsonb object to type integer"
  ),
  ("pg_jsonb_path_text(pg_in(3802,'\"str\"',-1),'{b,-1}')", "NULL"),
  ("pg_jsonb_set(pg_in(3802,'null',-1),'{b,-9}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_path_text(pg_in(3802,'\"str\"',-1),'{new}')", "NULL"),
  (
    "pg_jsonb_set(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{b,-9}','\"N\"',0)",
    "22P02 path element at position 1 is not an integer: \"b\""
  ),
  ("pg_jsonb_insert(pg_in(3802,'\"str\"',-1),'{a}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_set(pg_in(3802,'12.50',-1),'{b,-9}','\"N\"')", "22023 cannot set path in scalar"),
  (
    "pg_out(16,pg_jsonb_contains(pg_in(3802,'\"str\"',-1),pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1)),-1)",
    "false"
  ),
  ("pg_jsonb_insert(pg_in(3802,'{}',-1),'{b,1}','\"N\"')", "{}"),
  ("pg_jsonb_insert(pg_in(3802,'true',-1),'{b,-1}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_delete_element(pg_in(3802,'true',-1),7)", "22023 cannot delete from scalar"),
  ("pg_in(3802,'{\"a\":1,}',-1)", "22P02 invalid input syntax for type json"),
  ("pg_jsonb_path(pg_in(3802,'12.50',-1),'{b,-1}')", "NULL"),
  (
    "pg_out(16,pg_jsonb_contains(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),pg_in(3802,'null',-1)),-1)",
    "false"
  ),
  ("pg_jsonb_path(pg_in(3802,'{}',-1),'{new}')", "NULL"),
  ("pg_jsonb_delete_path(pg_in(3802,'\"str\"',-1),'{new}')", "22023 cannot delete path in scalar"),
  ("pg_jsonb_path_text(pg_in(3802,'\"str\"',-1),'{b,2,c}')", "NULL"),
  ("pg_out(16,pg_jsonb_to_bool(pg_in(3802,'null',-1)),-1)", "22023 cannot cast jsonb null to type boolean"),
  ("pg_jsonb_path(pg_in(3802,'[]',-1),'{}')", "[]"),
  ("pg_jsonb_set(pg_in(3802,'\"str\"',-1),'{new}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_insert(pg_in(3802,'{}',-1),'{}','\"N\"',1)", "{}"),
  ("pg_out(16,pg_jsonb_contains(pg_in(3802,'{}',-1),pg_in(3802,'\"str\"',-1)),-1)", "false"),
  ("pg_jsonb_insert(pg_in(3802,'12.50',-1),'{}','\"N\"')", "22023 cannot set path in scalar"),
  (
    "pg_jsonb_concat(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),pg_in(3802,'null',-1))",
    "[1, \"a\", null, true, {\"k\": 2}, null]"
  ),
  ("pg_jsonb_strip_nulls(pg_in(3802,'true',-1))", "true"),
  ("pg_out(16,pg_jsonb_contains(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),pg_in(3802,'[]',-1)),-1)", "true"),
  ("pg_in(1009,'{a}x',-1)", "22P02 malformed array literal: \"{a}x\""),
  ("pg_jsonb_delete_path(pg_in(3802,'true',-1),'{b,-9}')", "22023 cannot delete path in scalar"),
  ("pg_jsonb_path_text(pg_in(3802,'null',-1),'{b,2,c}')", "NULL"),
  ("pg_jsonb_element_text(pg_in(3802,'12.50',-1),-1)", "12.50"),
  (
    "pg_jsonb_insert(pg_in(3802,'[]',-1),'{b,2,c}','\"N\"')",
    "22P02 path element at position 1 is not an integer: \"b\""
  ),
  (
    "pg_out(16,pg_jsonb_contains(pg_in(3802,'{}',-1),pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1)),-1)",
    "false"
  ),
  ("pg_in(1009,'{a\"b\"}',-1)", "22P02 malformed array literal: \"{a\"b\"}\""),
  ("pg_array_cat(1007,'{1}',1007,'{2}')", "{1,2}"),
  ("pg_jsonb_delete(pg_in(3802,'12.50',-1),'zz')", "22023 cannot delete from scalar"),
  ("pg_jsonb_delete_path(pg_in(3802,'12.50',-1),'{b,-9}')", "22023 cannot delete path in scalar"),
  (
    "pg_jsonb_insert(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{}','\"N\"',1)",
    "[1, \"a\", null, true, {\"k\": 2}]"
  ),
  ("pg_jsonb_path(pg_in(3802,'true',-1),'{}')", "true"),
  ("pg_jsonb_delete_element(pg_in(3802,'[]',-1),-1)", "[]"),
  ("pg_jsonb_delete(pg_in(3802,'true',-1),'a')", "22023 cannot delete from scalar"),
  ("pg_jsonb_element(pg_in(3802,'[]',-1),0)", "NULL"),
  ("pg_jsonb_delete_path(pg_in(3802,'[]',-1),'{b,-9}')", "[]"),
  ("pg_jsonb_element_text(pg_in(3802,'{}',-1),7)", "NULL"),
  ("pg_jsonb_set(pg_in(3802,'null',-1),'{b,-9}','\"N\"',0)", "22023 cannot set path in scalar"),
  ("pg_in(3802,'NaN',-1)", "22P02 invalid input syntax for type json"),
  ("pg_jsonb_element_text(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),0)", "NULL"),
  (
    "pg_jsonb_insert(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),'{}','\"N\"',1)",
    "{\"a\": 1, \"b\": [1, 2, {\"c\": null}], \"d\": \"x\"}"
  ),
  ("pg_out(16,(pg_in(3802,'{}',-1) COLLATE PG_JSONB < pg_in(3802,'{}',-1)),-1)", "false"),
  ("pg_jsonb_strip_nulls(pg_in(3802,'\"str\"',-1))", "\"str\""),
  ("pg_out(16,(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1) COLLATE PG_JSONB < pg_in(3802,'{}',-1)),-1)", "true"),
  ("pg_jsonb_object('{a,b}','{1,NULL}')", "{\"a\": \"1\", \"b\": null}"),
  ("pg_jsonb_delete_path(pg_in(3802,'true',-1),'{b,x}')", "22023 cannot delete path in scalar"),
  ("pg_jsonb_field_text(pg_in(3802,'{}',-1),'a')", "NULL"),
  ("pg_out(16,pg_jsonb_contains(pg_in(3802,'[]',-1),pg_in(3802,'12.50',-1)),-1)", "false"),
  ("pg_jsonb_path_text(pg_in(3802,'[]',-1),'{new}')", "NULL"),
  ("pg_cast_array(1700,23,'{1.5,2}')", "{2,2}"),
  (
    "pg_jsonb_delete_path(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{b,2,c}')",
    "22P02 path element at position 1 is not an integer: \"b\""
  ),
  ("pg_to_jsonb(1700,'1.50')", "1.50"),
  ("pg_jsonb_field(pg_in(3802,'\"str\"',-1),'a')", "NULL"),
  ("pg_jsonb_path_text(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),'{b,-1}')", "{\"c\": null}"),
  ("pg_out(16,(pg_in(3802,'[]',-1) COLLATE PG_JSONB < pg_in(3802,'null',-1)),-1)", "true"),
  ("pg_jsonb_path(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),'{b,9}')", "NULL"),
  ("pg_jsonb_concat(pg_in(3802,'[]',-1),pg_in(3802,'12.50',-1))", "[12.50]"),
  (
    "pg_jsonb_delete_path(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{a}')",
    "22P02 path element at position 1 is not an integer: \"a\""
  ),
  ("pg_jsonb_typeof(pg_in(3802,'12.50',-1))", "number"),
  ("pg_jsonb_set(pg_in(3802,'null',-1),'{b,1}','\"N\"',0)", "22023 cannot set path in scalar"),
  ("pg_jsonb_element(pg_in(3802,'{}',-1),-1)", "NULL"),
  ("pg_jsonb_set(pg_in(3802,'[]',-1),'{b,-1}','\"N\"',0)", "[]"),
  ("pg_jsonb_insert(pg_in(3802,'12.50',-1),'{b,x}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_typeof(pg_in(3802,'[]',-1))", "array"),
  ("pg_jsonb_delete_path(pg_in(3802,'{}',-1),'{new}')", "{}"),
  ("pg_out(16,pg_jsonb_contains(pg_in(3802,'\"str\"',-1),pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1)),-1)", "false"),
  ("pg_jsonb_set(pg_in(3802,'{}',-1),'{b,-1}','\"N\"',0)", "{}"),
  ("pg_jsonb_field_text(pg_in(3802,'\"str\"',-1),'a')", "NULL"),
  ("pg_to_jsonb(1114,pg_in(1114,'2024-01-05 10:20:30.5',-1))", "\"2024-01-05T10:20:30.5\""),
  ("pg_jsonb_strip_nulls(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1))", "[1, \"a\", null, true, {\"k\": 2}]"),
  (
    "pg_jsonb_insert(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{b,x}','\"N\"')",
    "22P02 path element at position 1 is not an integer: \"b\""
  ),
  ("pg_jsonb_set(pg_in(3802,'null',-1),'{b,9}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_path(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{b,-1}')", "NULL"),
  ("pg_jsonb_path_text(pg_in(3802,'{}',-1),'{b,1}')", "NULL"),
  ("pg_out(16,(pg_in(3802,'true',-1) COLLATE PG_JSONB < pg_in(3802,'\"str\"',-1)),-1)", "false"),
  ("pg_jsonb_path(pg_in(3802,'[]',-1),'{b,1}')", "NULL"),
  ("pg_jsonb_insert(pg_in(3802,'[]',-1),'{b,x}','\"N\"')", "22P02 path element at position 1 is not an integer: \"b\""),
  (
    "pg_jsonb_set(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),'{b,1}','\"N\"')",
    "{\"a\": 1, \"b\": [1, \"N\", {\"c\": null}], \"d\": \"x\"}"
  ),
  ("pg_out(16,pg_jsonb_exists(pg_in(3802,'null',-1),'b'),-1)", "false"),
  (
    "pg_jsonb_set(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1),'{b,x}','\"N\"',0)",
    "22P02 path element at position 2 is not an integer: \"x\""
  ),
  ("pg_jsonb_concat(pg_in(3802,'\"str\"',-1),pg_in(3802,'12.50',-1))", "[\"str\", 12.50]"),
  (
    "pg_out(16,(pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1) COLLATE PG_JSONB < pg_in(3802,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}',-1)),-1)",
    "false"
  ),
  ("pg_jsonb_path(pg_in(3802,'12.50',-1),'{b,2,c}')", "NULL"),
  ("pg_jsonb_element_text(pg_in(3802,'12.50',-1),0)", "12.50"),
  ("pg_jsonb_insert(pg_in(3802,'\"str\"',-1),'{b,2,c}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_jsonb_path_text(pg_in(3802,'[]',-1),'{b,-9}')", "NULL"),
  ("pg_jsonb_insert(pg_in(3802,'{}',-1),'{}','\"N\"')", "{}"),
  ("pg_array_to_string(1007,'{1,NULL,3}',25,',',25,'*')", "1,*,3"),
  ("pg_out(16,pg_jsonb_exists(pg_in(3802,'\"str\"',-1),'b'),-1)", "false"),
  ("pg_jsonb_insert(pg_in(3802,'{}',-1),'{new}','\"N\"',1)", "{\"new\": \"N\"}"),
  ("pg_jsonb_set(pg_in(3802,'[]',-1),'{new}','\"N\"')", "22P02 path element at position 1 is not an integer: \"new\""),
  ("pg_jsonb_set(pg_in(3802,'true',-1),'{a}','\"N\"')", "22023 cannot set path in scalar"),
  ("pg_in(3802,'1.',-1)", "22P02 invalid input syntax for type json"),
  ("pg_jsonb_element_text(pg_in(3802,'\"str\"',-1),0)", "str"),
  ("pg_jsonb_delete(pg_in(3802,'[]',-1),'a')", "[]"),
  ("pg_jsonb_to_int4(pg_in(3802,'\"str\"',-1))", "22023 cannot cast jsonb string to type integer"),
  ("pg_out(16,pg_jsonb_contains(pg_in(3802,'12.50',-1),pg_in(3802,'true',-1)),-1)", "false"),
  ("pg_jsonb_concat(pg_in(3802,'true',-1),pg_in(3802,'[]',-1))", "[true]"),
  ("pg_jsonb_field_text(pg_in(3802,'12.50',-1),'zz')", "NULL"),
  ("pg_jsonb_field_text(pg_in(3802,'true',-1),'b')", "NULL"),
  ("pg_jsonb_path(pg_in(3802,'\"str\"',-1),'{b,1}')", "NULL"),
  ("pg_jsonb_delete_element(pg_in(3802,'{}',-1),-1)", "22023 cannot delete from object using integer index"),
  (
    "pg_jsonb_insert(pg_in(3802,'[1,\"a\",null,true,{\"k\":2}]',-1),'{b,-1}','\"N\"',1)",
    "22P02 path element at position 1 is not an integer: \"b\""
  ),
]
