/// Functions of arrays. See ``FunctionTableReader`` for the format.
enum ArrayFunctionTable {
  static let functions = """
    array_to_string anyarray text => text stable typed pg_array_to_string
    array_to_string anyarray text text => text stable nonstrict typed pg_array_to_string
    array_length anyarray int4 => int4 pg_array_length
    array_ndims anyarray => int4 pg_array_ndims
    array_lower anyarray int4 => int4 pg_array_lower
    array_upper anyarray int4 => int4 pg_array_upper
    array_dims anyarray => text pg_array_dims
    cardinality anyarray => int4 pg_cardinality
    array_append anyarray anyelement => anyarray nonstrict typed pg_array_append
    array_prepend anyelement anyarray => anyarray nonstrict typed pg_array_prepend
    array_cat anyarray anyarray => anyarray nonstrict typed pg_array_cat
    array_position anyarray anyelement => int4 nonstrict typed pg_array_position
    array_positions anyarray anyelement => int4[] nonstrict typed pg_array_positions
    array_remove anyarray anyelement => anyarray nonstrict typed pg_array_remove
    array_replace anyarray anyelement anyelement => anyarray nonstrict typed pg_array_replace
    """
}
