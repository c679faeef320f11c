import Testing

@testable import SQLite

/// Calls of PostgreSQL's functions, with what PostgreSQL 15 gave for them.
@Suite("Numeric functions agree with PostgreSQL")
struct NumericFunctionsTests {
  @Test("numbers", arguments: numericCases)
  func numeric(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }

  @Test("mathematical functions", arguments: mathematicsCases)
  func mathematics(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }
}

private let numericCases: [(String, String)] = [
  ("pg_numeric_div('50485796.6270','353483626474.691')", "0.00014282357893206327"),
  ("pg_max_numeric(x) from (select column1 as x from (values ('-0'),('932078.5'),('548.94446')))", "932078.5"),
  ("('775924769723' COLLATE PG_NUMERIC < '0')", "0"),
  ("pg_numeric_trunc('29.4',5)", "29.40000"),
  ("pg_numeric_exp('-29.3')", "0.0000000000001884393858898982"),
  ("pg_numeric_mul('-0.72265','-231598883734.8')", "167364933330.953220"),
  ("pg_numeric_sub('1456483','71.785790')", "1456411.214210"),
  ("('1774704616' COLLATE PG_NUMERIC < '5050952990006946001.02')", "1"),
  ("pg_numeric_exp('31.5')", "47893456332463.727"),
  ("pg_numeric_mul('-74830','0.190937865')", "-14287.880437950"),
  ("('682755852.6' COLLATE PG_NUMERIC < '997045153.0000')", "1"),
  (
    "pg_var_pop_numeric(x) from (select column1 as x from (values ('5825'),('-0'),('647019.4'),('0.84049')))",
    "78029076898.6137348950"
  ),
  ("('0' COLLATE PG_NUMERIC < '0.00')", "0"),
  ("pg_numeric_power('42.50','4.6')", "30944899.618423345"),
  ("pg_numeric_mul('-4810','859.9')", "-4136119.0"),
  ("pg_numeric_sqrt('158685904047')", "398353.99338653554"),
  ("pg_numeric_add('875.00002','-1392.00')", "-516.99998"),
  ("pg_numeric_div('449','811260749.40901')", "0.000000553459538535654600"),
  ("pg_numeric_trunc('529975000.0',1)", "529975000.0"),
  ("('5391919711043157.8033712958' COLLATE PG_NUMERIC < '0.00001')", "0"),
  ("pg_numeric_power('35.2433','-0.101')", "0.6978229794641851"),
  (
    "pg_var_samp_numeric(x) from (select column1 as x from (values ('68867.03'),('967'),('0'),('-6853.840'),('92'),('27.01'),('3665.8'),('-0')))",
    "606689951.83165714"
  ),
  ("pg_numeric_trunc('-1380.24682457',2)", "-1380.24"),
  ("pg_numeric_div('611276721476','0')", "22012 division by zero"),
  ("pg_numeric_mul('2243.03','637912660878')", "1430857235729180.34"),
  ("pg_numeric_power('42','6.961')", "199268343451.38799"),
  ("pg_numeric_exp('-7.9')", "0.0003707435404590884"),
  ("pg_numeric_div_trunc('18030732264635635736.94963','12701583300519982450.06')", "1"),
  ("pg_numeric_sub('0.27071','-0')", "0.27071"),
  (
    "pg_stddev_samp_numeric(x) from (select column1 as x from (values ('0.5'),('0.6'),('-0')))",
    "0.32145502536643183319"
  ),
  ("pg_numeric_log10('0.30')", "-0.5228787452803376"),
  ("pg_numeric_power('40.15','-2')", "0.0006203387359668"),
  ("pg_numeric_mod('10.26389','0')", "22012 division by zero"),
  ("('-251205741579' COLLATE PG_NUMERIC < '9649284479264134460.3')", "1"),
  ("pg_numeric_add('0','-61217.32')", "-61217.32"),
  ("pg_numeric_sub('5309191668.00008','0')", "5309191668.00008"),
  ("pg_numeric_sub('-0.72265','-231598883734.8')", "231598883734.07735"),
  ("pg_numeric_sqrt('0.62282')", "0.78918945760824758"),
  ("pg_numeric_ln('0.89078')", "-0.1156577955797514"),
  ("pg_numeric_mul('-8506192','1852217.18')", "-15755314958778.56"),
  ("pg_numeric_exp('19.9')", "438995622.73550642"),
  ("pg_numeric_div('0.1','48691328241.28')", "0.0000000000020537537917320777"),
  ("pg_numeric_mul('-570.0000','97998232102262393967.09')", "-55858992298289564561241.300000"),
  ("pg_numeric_div('462744625379033496','77.9')", "5940239093440738.0745"),
  ("pg_numeric_div_trunc('2243.03','637912660878')", "0"),
  ("pg_numeric_log10('65631105051.3')", "10.817109716669563"),
  ("pg_numeric_mod('0.03','1695958.7')", "0.03"),
  ("pg_numeric_sub('-3901456233775811.00006','0.2')", "-3901456233775811.20006"),
  ("('4879761.47' COLLATE PG_NUMERIC < '-98983220663972557.0')", "0"),
  ("pg_numeric_div_trunc('-49414.15593','36103698852361')", "0"),
  ("pg_numeric_div_trunc('-4810','859.9')", "-5"),
  ("pg_numeric_mod('0.86505','-4385101025267541.5')", "0.86505"),
  ("pg_numeric_div('-0.00006','0')", "22012 division by zero"),
  ("pg_numeric_mod('50485796.6270','353483626474.691')", "50485796.6270"),
  ("pg_numeric_sqrt('0')", "0.000000000000000"),
  ("pg_numeric_log10('63.88')", "1.8053649074664453"),
  ("pg_numeric_add('0.06','0.07')", "0.13"),
  ("pg_numeric_power('10.88','1.405')", "28.606425751224988"),
  ("pg_numeric_mod('5527122905492.0000007','0.1')", "0.0000007"),
  (
    "pg_stddev_samp_numeric(x) from (select column1 as x from (values ('952161'),('9476.1'),('-1501.751')))",
    "547455.93072951"
  ),
]

private let mathematicsCases: [(String, String)] = [
  ("pg_numeric_power('0.001','3')", "0.0000000010000000"),
  ("pg_decode('AAH','base64')", "22023 invalid base64 end sequence"),
  ("pg_substring('hello',2,-1)", "22011 negative substring length not allowed"),
  ("pg_concat_ws(25,',',23,1,25,null,25,'x')", "1,x"),
  ("pg_numeric_add('NaN','1')", "NaN"),
  ("pg_numeric_power('-8.0','0.5')", "2201F a negative number raised to a non-integer power yields a complex result"),
  (
    "pg_encode(pg_sha512('abc'),'hex')",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
  ),
  (
    "pg_encode(pg_sha384('abc'),'hex')",
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
  ),
  ("pg_numeric_sqrt('12345678901234567890123456789')", "111111110611111.1"),
  ("pg_width_bucket_float8(5.35,0.024,10.06,5)", "3"),
  ("pg_int2_div(-32768,-1)", "22003 smallint out of range"),
  ("pg_numeric_mul('1.10','2.20')", "2.4200"),
  ("pg_float8_power(2,0.5)", "1.4142135623730951"),
  ("pg_float8_to_numeric(1e20)", "100000000000000000000"),
  ("pg_numeric_ceil('-1.5')", "-1"),
  ("pg_numeric_power('-8.0','3')", "-512.0000000000000000"),
  ("pg_numeric_log10('2.0')", "0.3010299956639812"),
  ("pg_concat(23,1,16,1,25,null,25,'x')", "1tx"),
  ("pg_to_hex_int4(255)", "ff"),
  ("pg_numeric_power('0.0','-1')", "2201F zero raised to a negative power is undefined"),
  ("pg_numeric_ln('123456789.123')", "18.631401767164318"),
  ("pg_to_int4(1e10)", "22003 integer out of range"),
  ("CASE WHEN pg_like('abc','a%c') THEN 't' ELSE 'f' END", "t"),
  ("pg_numeric_div('10000','3')", "3333.3333333333333333"),
  ("pg_numeric_trunc('1234.567',-2)", "1200"),
  ("pg_quote_ident('select')", "\"select\""),
  ("pg_numeric_sqrt('2')", "1.414213562373095"),
  ("pg_numeric_power('10','-3')", "0.0010000000000000"),
  ("pg_initcap('hello wORLD o''neil x-ray')", "Hello World O'Neil X-Ray"),
  ("pg_numeric_div('123456789012.5','0.0003')", "411522630041666.6667"),
  ("pg_numeric_div('7','3')", "2.3333333333333333"),
  ("pg_chr(0)", "54000 null character not permitted"),
  ("CASE WHEN pg_like('a_c','a\\_c') THEN 't' ELSE 'f' END", "t"),
  ("pg_width_bucket_numeric('5.35','0.024','10.06',5)", "3"),
  ("pg_numeric_ln('2.0')", "0.6931471805599453"),
  ("pg_float8_sind(30)", "0.5"),
  ("pg_to_int4(3.5)", "4"),
  ("pg_float8_div(1.0,0)", "22012 division by zero"),
  ("pg_numeric_ceil('1.0')", "1"),
  ("pg_int4_div(1,0)", "22012 division by zero"),
  ("pg_float8_to_numeric(0.1)", "0.1"),
  ("pg_int4_div(7,-2)", "-3"),
  ("pg_numeric_mod('5.5','2.1')", "1.3"),
  ("pg_int4_gcd(12,18)", "6"),
  ("pg_numeric_ln('0.99999')", "-0.000010000050000333336"),
  ("pg_numeric_sub('Infinity','Infinity')", "NaN"),
  ("pg_float8_add(1.1,2.2)", "3.3000000000000003"),
  ("pg_numeric_power('1.0001','100000')", "22015.4560485521986457"),
  ("pg_right('hello',-2)", "llo"),
  ("pg_numeric_ln('0.00000012')", "-15.935774094164365"),
  ("pg_lpad('hi',5,'xy')", "xyxhi"),
  ("CASE WHEN pg_ilike('ABC','a_c') THEN 't' ELSE 'f' END", "t"),
  ("pg_btrim('xxhixy','xy')", "hi"),
  ("pg_numeric_sqrt('0.0001')", "0.01000000000000000"),
  ("CASE WHEN pg_like('a%c',pg_like_escape('a#%c','#')) THEN 't' ELSE 'f' END", "t"),
  ("pg_ascii('€')", "8364"),
  ("pg_numeric_log('1.1','64.0')", "43.635245384050314"),
  ("pg_chr(8364)", "€"),
  ("pg_substring('hello',2,3)", "ell"),
  ("pg_left('hello',-2)", "hel"),
  ("pg_numeric_min_scale('1.230')", "2"),
  ("pg_encode(x'61005c62','escape')", "a\\000\\\\b"),
  ("pg_replace('abcabc','b','XX')", "aXXcaXXc"),
  ("pg_encode(x'0001ff','base64')", "AAH/"),
  ("pg_overlay('Txxxxas','hom',2,4)", "Thomas"),
  ("pg_numeric_scale('1.230')", "3"),
  ("pg_md5('hello')", "5d41402abc4b2a76b9719d911017c592"),
  ("pg_encode(pg_sha256('abc'),'hex')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ("pg_numeric_add('1.10','2')", "3.10"),
  ("pg_float8_round(2.5)", "2"),
]
