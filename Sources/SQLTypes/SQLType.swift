/// The identity of a PostgreSQL type: its oid in `pg_type` and its modifier (`atttypmod`).
package struct SQLType: Hashable, Sendable {
  /// The oid in `pg_type`.
  package var oid: UInt32
  /// Length, precision and the like in PostgreSQL's packing; -1 for none.
  package var modifier: Int32

  /// A type from its oid and modifier.
  package init(oid: UInt32, modifier: Int32 = -1) {
    self.oid = oid
    self.modifier = modifier
  }

  /// The same type without modifier.
  package var base: SQLType { SQLType(oid: oid) }

  /// The same type with another modifier.
  package func with(modifier: Int32) -> SQLType { SQLType(oid: oid, modifier: modifier) }

  /// `character varying(length)`, `character(length)`: the modifier for a length in characters.
  package static func lengthModifier(_ length: Int) -> Int32 { Int32(length) + 4 }

  /// The modifier of `numeric(precision, scale)`; a scale may be negative (PostgreSQL 15).
  package static func numericModifier(precision: Int, scale: Int) -> Int32 {
    Int32(precision) << 16 | Int32(scale & 0x7ff) + 4
  }

  /// The length in characters of a `varchar(n)` or `char(n)`, nil where there is none.
  package var characterLength: Int? {
    modifier >= 4 && (oid == SQLType.varchar.oid || oid == SQLType.bpchar.oid) ? Int(modifier) - 4 : nil
  }

  /// Precision and scale of a `numeric(p, s)`, nil where there are none.
  package var numericPrecision: (precision: Int, scale: Int)? {
    guard modifier >= 4, oid == SQLType.numeric.oid else { return nil }
    let packed = Int(modifier) - 4
    let scale = packed & 0x7ff
    return (packed >> 16 & 0xffff, scale ^ 1024 - 1024)
  }

  /// The digits after the second of a `time(n)`, `timestamp(n)` or `interval(n)`, nil where there are none.
  package var fractionalSecondDigits: Int? {
    guard modifier >= 0 else { return nil }
    switch oid {
    case SQLType.time.oid, SQLType.timestamp.oid, SQLType.timestamptz.oid:
      return min(Int(modifier), 6)
    case SQLType.interval.oid:
      let digits = Int(modifier) & 0xffff
      return digits == 0xffff ? nil : min(digits, 6)
    default:
      return nil
    }
  }
}

/// PostgreSQL's own oids.
extension SQLType {
  /// The type `bool`.
  package static let bool = SQLType(oid: 16)
  /// The type `bytea`.
  package static let bytea = SQLType(oid: 17)
  /// The one-byte type `"char"` of the system catalogs.
  package static let char = SQLType(oid: 18)
  /// The type `name`.
  package static let name = SQLType(oid: 19)
  /// The type `int8`.
  package static let int8 = SQLType(oid: 20)
  /// The type `int2`.
  package static let int2 = SQLType(oid: 21)
  /// The type `int2vector`.
  package static let int2vector = SQLType(oid: 22)
  /// The type `int4`.
  package static let int4 = SQLType(oid: 23)
  /// The type `regproc`.
  package static let regproc = SQLType(oid: 24)
  /// The type `text`.
  package static let text = SQLType(oid: 25)
  /// The type `oid`.
  package static let oid = SQLType(oid: 26)
  /// The type `tid`.
  package static let tid = SQLType(oid: 27)
  /// The type `xid`.
  package static let xid = SQLType(oid: 28)
  /// The type `cid`.
  package static let cid = SQLType(oid: 29)
  /// The type `oidvector`.
  package static let oidvector = SQLType(oid: 30)
  /// The type `json`.
  package static let json = SQLType(oid: 114)
  /// The type `pg_node_tree`.
  package static let pgNodeTree = SQLType(oid: 194)
  /// The type `float4`.
  package static let float4 = SQLType(oid: 700)
  /// The type `float8`.
  package static let float8 = SQLType(oid: 701)
  /// The type of a literal before it is resolved.
  package static let unknown = SQLType(oid: 705)
  /// The type `aclitem`.
  package static let aclitem = SQLType(oid: 1033)
  /// The type `bpchar`.
  package static let bpchar = SQLType(oid: 1042)
  /// The type `varchar`.
  package static let varchar = SQLType(oid: 1043)
  /// The type `date`.
  package static let date = SQLType(oid: 1082)
  /// The type `time`.
  package static let time = SQLType(oid: 1083)
  /// The type `timestamp`.
  package static let timestamp = SQLType(oid: 1114)
  /// The type `timestamptz`.
  package static let timestamptz = SQLType(oid: 1184)
  /// The type `interval`.
  package static let interval = SQLType(oid: 1186)
  /// The type `timetz`.
  package static let timetz = SQLType(oid: 1266)
  /// The type `numeric`.
  package static let numeric = SQLType(oid: 1700)
  /// The type `regprocedure`.
  package static let regprocedure = SQLType(oid: 2202)
  /// The type `regoper`.
  package static let regoper = SQLType(oid: 2203)
  /// The type `regoperator`.
  package static let regoperator = SQLType(oid: 2204)
  /// The type `regclass`.
  package static let regclass = SQLType(oid: 2205)
  /// The type `regtype`.
  package static let regtype = SQLType(oid: 2206)
  /// The type `record`.
  package static let record = SQLType(oid: 2249)
  /// The type `cstring`.
  package static let cstring = SQLType(oid: 2275)
  /// The pseudo-type `"any"`.
  package static let any = SQLType(oid: 2276)
  /// The type `anyarray`.
  package static let anyarray = SQLType(oid: 2277)
  /// The type `void`.
  package static let void = SQLType(oid: 2278)
  /// The type `anyelement`.
  package static let anyelement = SQLType(oid: 2283)
  /// The type `anynonarray`.
  package static let anynonarray = SQLType(oid: 2776)
  /// The type `uuid`.
  package static let uuid = SQLType(oid: 2950)
  /// The type `jsonb`.
  package static let jsonb = SQLType(oid: 3802)
  /// The type `regnamespace`.
  package static let regnamespace = SQLType(oid: 4089)
  /// The type `regrole`.
  package static let regrole = SQLType(oid: 4096)
  /// The type `regcollation`.
  package static let regcollation = SQLType(oid: 4191)
  /// The type `anycompatible`.
  package static let anycompatible = SQLType(oid: 5077)
  /// The type `anycompatiblearray`.
  package static let anycompatiblearray = SQLType(oid: 5078)
}

/// PostgreSQL's own oids of array types.
extension SQLType {
  /// The type `bool[]`.
  package static let boolArray = SQLType(oid: 1000)
  /// The type `bytea[]`.
  package static let byteaArray = SQLType(oid: 1001)
  /// The type `char[]`.
  package static let charArray = SQLType(oid: 1002)
  /// The type `name[]`.
  package static let nameArray = SQLType(oid: 1003)
  /// The type `int2[]`.
  package static let int2Array = SQLType(oid: 1005)
  /// The type `int4[]`.
  package static let int4Array = SQLType(oid: 1007)
  /// The type `regproc[]`.
  package static let regprocArray = SQLType(oid: 1008)
  /// The type `text[]`.
  package static let textArray = SQLType(oid: 1009)
  /// The type `bpchar[]`.
  package static let bpcharArray = SQLType(oid: 1014)
  /// The type `varchar[]`.
  package static let varcharArray = SQLType(oid: 1015)
  /// The type `int8[]`.
  package static let int8Array = SQLType(oid: 1016)
  /// The type `float4[]`.
  package static let float4Array = SQLType(oid: 1021)
  /// The type `float8[]`.
  package static let float8Array = SQLType(oid: 1022)
  /// The type `oid[]`.
  package static let oidArray = SQLType(oid: 1028)
  /// The type `aclitem[]`.
  package static let aclitemArray = SQLType(oid: 1034)
  /// The type `timestamp[]`.
  package static let timestampArray = SQLType(oid: 1115)
  /// The type `date[]`.
  package static let dateArray = SQLType(oid: 1182)
  /// The type `time[]`.
  package static let timeArray = SQLType(oid: 1183)
  /// The type `timestamptz[]`.
  package static let timestamptzArray = SQLType(oid: 1185)
  /// The type `interval[]`.
  package static let intervalArray = SQLType(oid: 1187)
  /// The type `numeric[]`.
  package static let numericArray = SQLType(oid: 1231)
  /// The type `regclass[]`.
  package static let regclassArray = SQLType(oid: 2210)
  /// The type `regtype[]`.
  package static let regtypeArray = SQLType(oid: 2211)
  /// The type `record[]`.
  package static let recordArray = SQLType(oid: 2287)
  /// The type `uuid[]`.
  package static let uuidArray = SQLType(oid: 2951)
  /// The type `json[]`.
  package static let jsonArray = SQLType(oid: 199)
  /// The type `jsonb[]`.
  package static let jsonbArray = SQLType(oid: 3807)
}
