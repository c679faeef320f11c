/// Functions of jsonb and json. See ``FunctionTableReader`` for the format.
enum JSONFunctionTable {
  static let functions = """
    to_jsonb anyelement => jsonb stable nonstrict typed pg_to_jsonb
    to_json anyelement => json stable nonstrict typed pg_to_json
    jsonb_build_object => jsonb '{}'
    jsonb_build_object any... => jsonb stable nonstrict typed pg_jsonb_build_object
    jsonb_build_array => jsonb '[]'
    jsonb_build_array any... => jsonb stable nonstrict typed pg_jsonb_build_array
    json_build_object => json '{}'
    json_build_object any... => json stable nonstrict typed pg_json_build_object
    json_build_array => json '[]'
    json_build_array any... => json stable nonstrict typed pg_json_build_array
    jsonb_object text[] => jsonb pg_jsonb_object
    jsonb_object text[] text[] => jsonb pg_jsonb_object
    jsonb_typeof jsonb => text pg_jsonb_typeof
    json_typeof json => text pg_jsonb_typeof
    jsonb_array_length jsonb => int4 pg_jsonb_array_length
    json_array_length json => int4 pg_jsonb_array_length
    jsonb_extract_path jsonb text... => jsonb pg_jsonb_extract_path
    jsonb_extract_path_text jsonb text... => text pg_jsonb_extract_path_text
    jsonb_set jsonb text[] jsonb => jsonb pg_jsonb_set
    jsonb_set jsonb text[] jsonb bool => jsonb pg_jsonb_set
    jsonb_insert jsonb text[] jsonb => jsonb pg_jsonb_insert
    jsonb_insert jsonb text[] jsonb bool => jsonb pg_jsonb_insert
    jsonb_strip_nulls jsonb => jsonb pg_jsonb_strip_nulls
    jsonb_pretty jsonb => text pg_jsonb_pretty
    jsonb_contains jsonb jsonb => bool pg_jsonb_contains
    jsonb_exists jsonb text => bool pg_jsonb_exists
    """
}
