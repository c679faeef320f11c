/// Operators other than comparisons. See ``FunctionTableReader`` for the format.
enum OperatorTable {
  static let infix =
    arithmetic + """
      || text text => text ($1 || $2)
      || anynonarray text => text stable typed pg_concat_operator
      || text anynonarray => text stable typed pg_concat_operator
      || bytea bytea => bytea pg_bytea_concat
      || jsonb jsonb => jsonb pg_jsonb_concat
      || anyarray anyarray => anyarray nonstrict typed pg_array_cat
      || anyarray anyelement => anyarray nonstrict typed pg_array_append
      || anyelement anyarray => anyarray nonstrict typed pg_array_prepend
      ~~ text text => bool pg_like
      ~~ bpchar text => bool pg_like
      ~~ name text => bool pg_like
      ~~ bytea bytea => bool pg_bytea_like
      !~~ text text => bool (NOT pg_like($1, $2))
      !~~ bpchar text => bool (NOT pg_like($1, $2))
      !~~ name text => bool (NOT pg_like($1, $2))
      !~~ bytea bytea => bool (NOT pg_bytea_like($1, $2))
      ~~* text text => bool pg_ilike
      ~~* bpchar text => bool pg_ilike
      ~~* name text => bool pg_ilike
      !~~* text text => bool (NOT pg_ilike($1, $2))
      !~~* bpchar text => bool (NOT pg_ilike($1, $2))
      !~~* name text => bool (NOT pg_ilike($1, $2))
      ~ text text => bool pg_regex
      ~ bpchar text => bool pg_regex
      ~ name text => bool pg_regex
      !~ text text => bool (NOT pg_regex($1, $2))
      !~ bpchar text => bool (NOT pg_regex($1, $2))
      !~ name text => bool (NOT pg_regex($1, $2))
      ~* text text => bool pg_regex_nocase
      ~* bpchar text => bool pg_regex_nocase
      ~* name text => bool pg_regex_nocase
      !~* text text => bool (NOT pg_regex_nocase($1, $2))
      !~* bpchar text => bool (NOT pg_regex_nocase($1, $2))
      !~* name text => bool (NOT pg_regex_nocase($1, $2))
      ^@ text text => bool pg_starts_with
      -> jsonb text => jsonb pg_jsonb_field
      -> jsonb int4 => jsonb pg_jsonb_element
      ->> jsonb text => text pg_jsonb_field_text
      ->> jsonb int4 => text pg_jsonb_element_text
      #> jsonb text[] => jsonb pg_jsonb_path
      #>> jsonb text[] => text pg_jsonb_path_text
      -> json text => json pg_json_field
      -> json int4 => json pg_json_element
      ->> json text => text pg_json_field_text
      ->> json int4 => text pg_json_element_text
      #> json text[] => json pg_json_path
      #>> json text[] => text pg_json_path_text
      @> jsonb jsonb => bool pg_jsonb_contains
      <@ jsonb jsonb => bool pg_jsonb_contains($2, $1)
      ? jsonb text => bool pg_jsonb_exists
      ?| jsonb text[] => bool pg_jsonb_exists_any
      ?& jsonb text[] => bool pg_jsonb_exists_all
      - jsonb text => jsonb pg_jsonb_delete
      - jsonb int4 => jsonb pg_jsonb_delete_element
      - jsonb text[] => jsonb pg_jsonb_delete_keys
      #- jsonb text[] => jsonb pg_jsonb_delete_path
      @> anyarray anyarray => bool typed pg_array_contains
      <@ anyarray anyarray => bool typed pg_array_contained
      && anyarray anyarray => bool typed pg_array_overlaps
      """

  static let prefix = """
    - int2 => int2 pg_int2_neg
    - int4 => int4 pg_int4_neg
    - int8 => int8 pg_int8_neg
    - float4 => float4 pg_float_neg
    - float8 => float8 pg_float_neg
    - numeric => numeric pg_numeric_neg
    - interval => interval pg_interval_neg
    + int2 => int2 $1
    + int4 => int4 $1
    + int8 => int8 $1
    + float4 => float4 $1
    + float8 => float8 $1
    + numeric => numeric $1
    @ int2 => int2 pg_int2_abs
    @ int4 => int4 pg_int4_abs
    @ int8 => int8 pg_int8_abs
    @ float4 => float4 pg_float_abs
    @ float8 => float8 pg_float_abs
    @ numeric => numeric pg_numeric_abs
    ~ int2 => int2 (~$1)
    ~ int4 => int4 (~$1)
    ~ int8 => int8 (~$1)
    |/ float8 => float8 pg_float8_sqrt
    ||/ float8 => float8 pg_float8_cbrt
    """

  /// `+ - * /` of all pairs of integers, then the other numbers and the dates.
  private static let arithmetic: String = {
    var lines: [String] = []
    let widths = ["int2", "int4", "int8"]
    let operations = [("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "div")]
    for (symbol, name) in operations {
      for (leftWidth, left) in widths.enumerated() {
        for (rightWidth, right) in widths.enumerated() {
          let result = widths[max(leftWidth, rightWidth)]
          lines.append("\(symbol) \(left) \(right) => \(result) pg_\(result)_\(name)")
        }
      }
      for (left, right, result) in [
        ("float4", "float4", "float4"), ("float4", "float8", "float8"), ("float8", "float4", "float8"),
        ("float8", "float8", "float8"), ("numeric", "numeric", "numeric"),
      ] {
        lines.append("\(symbol) \(left) \(right) => \(result) pg_\(result)_\(name)")
      }
    }
    for width in widths {
      lines.append("% \(width) \(width) => \(width) pg_\(width)_mod")
      lines.append("& \(width) \(width) => \(width) ($1 & $2)")
      lines.append("| \(width) \(width) => \(width) ($1 | $2)")
      lines.append("# \(width) \(width) => \(width) pg_int_xor")
      lines.append("<< \(width) int4 => \(width) pg_\(width)_shl")
      lines.append(">> \(width) int4 => \(width) pg_\(width)_shr")
    }
    return lines.joined(separator: "\n") + "\n" + otherArithmetic + "\n"
  }()

  private static let otherArithmetic = """
    % numeric numeric => numeric pg_numeric_mod
    ^ float8 float8 => float8 pg_float8_power
    ^ numeric numeric => numeric pg_numeric_power
    + date int4 => date pg_date_add
    + int4 date => date pg_date_add($2, $1)
    - date int4 => date pg_date_sub
    - date date => int4 pg_date_diff
    + date time => timestamp pg_date_time
    + time date => timestamp pg_date_time($2, $1)
    + date interval => timestamp pg_timestamp_add(pg_date_to_timestamp($1), $2)
    + interval date => timestamp pg_timestamp_add(pg_date_to_timestamp($2), $1)
    - date interval => timestamp pg_timestamp_sub(pg_date_to_timestamp($1), $2)
    + timestamp interval => timestamp pg_timestamp_add
    + interval timestamp => timestamp pg_timestamp_add($2, $1)
    - timestamp interval => timestamp pg_timestamp_sub
    - timestamp timestamp => interval pg_timestamp_diff
    + timestamptz interval => timestamptz stable pg_timestamptz_add
    + interval timestamptz => timestamptz stable pg_timestamptz_add($2, $1)
    - timestamptz interval => timestamptz stable pg_timestamptz_sub
    - timestamptz timestamptz => interval pg_timestamp_diff
    + time interval => time pg_time_add
    + interval time => time pg_time_add($2, $1)
    - time interval => time pg_time_sub
    - time time => interval pg_time_diff
    + interval interval => interval pg_interval_add
    - interval interval => interval pg_interval_sub
    * interval float8 => interval pg_interval_mul
    * float8 interval => interval pg_interval_mul($2, $1)
    / interval float8 => interval pg_interval_div
    """
}
