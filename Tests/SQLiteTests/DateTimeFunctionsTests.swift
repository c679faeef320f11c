import Testing

@testable import SQLite

/// Calls of PostgreSQL's functions, with what PostgreSQL 15 gave for them.
@Suite("DateTime functions agree with PostgreSQL")
struct DateTimeFunctionsTests {
  @Test("dates, times and intervals", arguments: datesCases)
  func dates(sql: String, expected: String) throws {
    #expect(try evaluate(sql) == expected)
  }
}

private let datesCases: [(String, String)] = [
  ("pg_extract_time('epoch',pg_in(1083,'10:00:01.5',-1))", "36001.500000"),
  ("pg_out(1186,pg_justify_days(pg_in(1186,'-30:00',-1)),-1)", "-30:00:00"),
  ("pg_extract_interval('hour',pg_in(1186,'13 years 5 mons 7 days 04:05:06.789',-1))", "4"),
  (
    "pg_out(1114,pg_timestamp_sub(pg_in(1114,'0001-01-01 BC',-1),pg_in(1186,'1 year',-1)),-1)", "0002-01-01 00:00:00 BC"
  ),
  ("pg_out(1184,pg_in(1184,'2024-01-05 10:20:30.5Z',-1),-1)", "2024-01-05 10:20:30.5+00"),
  ("pg_out(1114,pg_timestamp_sub(pg_in(1114,'294276-12-31',-1),pg_in(1186,'1 day',-1)),-1)", "294276-12-30 00:00:00"),
  ("pg_out(1114,pg_date_trunc('century',pg_in(1114,'1999-12-31 23:59:59.999',-1)),-1)", "1901-01-01 00:00:00"),
  ("pg_out(1114,pg_in(1114,'2024-01-05 10:20:30 America/New_York',-1),-1)", "2024-01-05 10:20:30"),
  ("pg_out(1114,pg_in(1114,'20240105 102030',-1),-1)", "2024-01-05 10:20:30"),
  ("pg_extract_timestamp('year',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "1999"),
  ("pg_out(1114,pg_date_trunc('minute',pg_in(1114,'2024-02-29 13:14:15.678901',-1)),-1)", "2024-02-29 13:14:00"),
  ("pg_extract_interval('epoch',pg_in(1186,'13 years 5 mons 7 days 04:05:06.789',-1))", "423828306.789000"),
  ("pg_out(1082,pg_in(1082,'January',-1),-1)", "22007 invalid input syntax for type date: \"January\""),
  ("pg_extract_timestamp('julian',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "2451544.99999998842592592593"),
  ("pg_out(1186,pg_in(1186,'0.1 mons',-1),-1)", "3 days"),
  ("pg_extract_date('century',pg_in(1082,'2024-02-29',-1))", "21"),
  ("pg_out(1083,pg_in(1083,'2024-01-05 10:20',-1),-1)", "10:20:00"),
  ("pg_extract_timestamp('millennium',pg_in(1114,'2024-02-29 13:14:15.678901',-1))", "3"),
  (
    "pg_out(1186,pg_date_trunc_interval('century',pg_in(1186,'113 years 5 mons 7 days 04:05:06.789',-1)),-1)",
    "100 years"
  ),
  ("pg_extract_interval('year',pg_in(1186,'13 years 5 mons 7 days 04:05:06.789',-1))", "13"),
  ("pg_extract_timestamp('isodow',pg_in(1114,'2024-02-29 13:14:15.678901',-1))", "4"),
  (
    "pg_out(1114,pg_timestamp_add(pg_in(1114,'2024-01-05 23:00',-1),pg_in(1186,'1 day 02:00:00',-1)),-1)",
    "2024-01-07 01:00:00"
  ),
  ("pg_out(1082,pg_in(1082,'01/05/2024',-1),-1)", "2024-01-05"),
  ("pg_extract_date('isodow',pg_in(1082,'2024-02-29',-1))", "4"),
  ("pg_extract_timestamp('julian',pg_in(1114,'2000-01-01',-1))", "2451545.0000000000000000000000000000"),
  (
    "pg_out(1186,pg_timestamp_diff(pg_in(1114,'2024-01-01',-1),pg_in(1114,'2024-02-28 23:59:59.5',-1)),-1)",
    "-58 days -23:59:59.5"
  ),
  ("pg_out(1186,pg_justify_days(pg_in(1186,'1 mon -1 hour',-1)),-1)", "1 mon -01:00:00"),
  ("pg_out(1114,pg_date_trunc('microseconds',pg_in(1114,'1999-12-31 23:59:59.999',-1)),-1)", "1999-12-31 23:59:59.999"),
  (
    "pg_out(1186,pg_date_trunc_interval('hour',pg_in(1186,'113 years 5 mons 7 days 04:05:06.789',-1)),-1)",
    "113 years 5 mons 7 days 04:00:00"
  ),
  ("pg_out(1083,pg_in(1083,'10:20:30+02',-1),-1)", "10:20:30"),
  ("pg_extract_interval('decade',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "0"),
  ("pg_out(1083,pg_in(1083,'25:00',-1),-1)", "22008 date/time field value out of range: \"25:00\""),
  (
    "pg_out(1114,pg_date_bin(pg_in(1186,'15 min',-1),pg_in(1114,'2024-01-01 10:37',-1),pg_in(1114,'2020-01-01',-1)),-1)",
    "2024-01-01 10:30:00"
  ),
  ("pg_extract_timestamp('quarter',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "4"),
  ("pg_out(1082,pg_in(1082,'5-Jan-2024',-1),-1)", "2024-01-05"),
  ("pg_out(1114,pg_in(1114,'2024-01-05 allballs',-1),-1)", "2024-01-05 00:00:00"),
  (
    "pg_out(1114,pg_in(1114,'2024-01-05 10:20:61',-1),-1)",
    "22008 date/time field value out of range: \"2024-01-05 10:20:61\""
  ),
  ("pg_make_date(2024,2,30)", "22008 date field value out of range: 2024-02-30"),
  (
    "pg_out(1114,pg_timezone_timestamptz('America/New_York',pg_in(1184,'2024-01-01 12:00+00',-1)),-1)",
    "2024-01-01 07:00:00"
  ),
  ("pg_out(1082,pg_in(1082,'-infinity',-1),-1)", "-infinity"),
  ("pg_extract_timestamp('week',pg_in(1114,'0044-03-15 01:02:03 BC',-1))", "11"),
  ("pg_out(1114,pg_in(1114,'2024-01-05 10:20:30.5Z',-1),-1)", "2024-01-05 10:20:30.5"),
  ("pg_out(1082,pg_in(1082,'2024-02-30',-1),-1)", "22008 date/time field value out of range: \"2024-02-30\""),
  (
    "pg_out(1186,pg_age(pg_in(1114,'2024-01-01',-1),pg_in(1114,'2024-02-28 23:59:59.5',-1)),-1)",
    "-1 mons -27 days -23:59:59.5"
  ),
  ("pg_out(1082,pg_in(1082,'2024-01-05 AD',-1),-1)", "2024-01-05"),
  ("pg_out(1186,pg_make_interval(1,2,3,4,5,6,7.5),-1)", "1 year 2 mons 25 days 05:06:07.5"),
  (
    "pg_out(1114,pg_in(1114,'2024-01-05 13:20 PM',-1),-1)",
    "22008 date/time field value out of range: \"2024-01-05 13:20 PM\""
  ),
  ("pg_out(1082,pg_in(1082,'',-1),-1)", "22007 invalid input syntax for type date: \"\""),
  ("pg_out(1083,pg_in(1083,'10',-1),-1)", "22007 invalid input syntax for type time: \"10\""),
  ("pg_extract_timestamp('isodow',pg_in(1114,'0044-03-15 01:02:03 BC',-1))", "5"),
  ("pg_out(1186,pg_in(1186,'100 ms',-1),-1)", "00:00:00.1"),
  ("pg_extract_interval('milliseconds',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "-6000.000"),
  ("pg_out(1082,pg_in(1082,'99999999-01-01',-1),-1)", "22008 date out of range: \"99999999-01-01\""),
  ("pg_out(1114,pg_date_trunc('microseconds',pg_in(1114,'0044-03-15 01:02:03 BC',-1)),-1)", "0044-03-15 01:02:03 BC"),
  ("pg_out(1186,pg_in(1186,'1 day,',-1),-1)", "1 day"),
  ("pg_extract_timestamp('dow',pg_in(1114,'2000-01-01',-1))", "6"),
  ("pg_out(1186,pg_in(1186,'1-2 3 4:05:06',-1),-1)", "1 year 2 mons 3 days 04:05:06"),
  (
    "pg_out(1186,pg_date_trunc_interval('month',pg_in(1186,'113 years 5 mons 7 days 04:05:06.789',-1)),-1)",
    "113 years 5 mons"
  ),
  ("pg_extract_timestamp('milliseconds',pg_in(1114,'0044-03-15 01:02:03 BC',-1))", "3000.000"),
  ("pg_out(1082,pg_in(1082,'2024-01-05 10:00:00',-1),-1)", "2024-01-05"),
  (
    "pg_out(1184,pg_timezone_timestamp('Europe/Berlin',pg_in(1114,'2024-03-31 02:30',-1)),-1)", "2024-03-31 01:30:00+00"
  ),
  ("pg_out(1082,pg_in(1082,'10000-01-01',-1),-1)", "10000-01-01"),
  ("pg_out(1186,pg_interval_div(pg_in(1186,'1 mon 15 days 10:00',-1),1.5),-1)", "30 days 06:40:00"),
  ("pg_out(1083,pg_in(1083,'10:20:30.5',-1),-1)", "10:20:30.5"),
  ("pg_out(1082,pg_in(1082,'240105',-1),-1)", "2024-01-05"),
  (
    "pg_out(1114,pg_date_trunc('milliseconds',pg_in(1114,'2024-02-29 13:14:15.678901',-1)),-1)",
    "2024-02-29 13:14:15.678"
  ),
  ("pg_extract_timestamp('quarter',pg_in(1114,'2000-01-01',-1))", "1"),
  ("pg_out(1186,pg_interval_div(pg_in(1186,'1 year',-1),0.33),-1)", "3 years 10 days 21:49:05.4624"),
  ("pg_out(1114,pg_date_trunc('second',pg_in(1114,'2024-02-29 13:14:15.678901',-1)),-1)", "2024-02-29 13:14:15"),
  ("pg_extract_timestamp('decade',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "199"),
  ("pg_out(1184,pg_in(1184,'2024-01-01 12:00 Europe/Paris',-1),-1)", "2024-01-01 11:00:00+00"),
  ("pg_out(1114,pg_timestamp_add(pg_in(1114,'0001-01-01 BC',-1),pg_in(1186,'1 year',-1)),-1)", "0001-01-01 00:00:00"),
  ("pg_out(1082,pg_in(1082,'2024-01-05 BC',-1),-1)", "2024-01-05 BC"),
  ("pg_out(1114,pg_date_trunc('day',pg_in(1114,'1999-12-31 23:59:59.999',-1)),-1)", "1999-12-31 00:00:00"),
  ("pg_out(1114,pg_timestamp_add(pg_in(1114,'infinity',-1),pg_in(1186,'1 day',-1)),-1)", "infinity"),
  ("pg_extract_date('millennium',pg_in(1082,'2024-02-29',-1))", "3"),
  ("pg_extract_date('dow',pg_in(1082,'2024-02-29',-1))", "4"),
  ("pg_out(1186,pg_in(1186,'2 weeks 3 days',-1),-1)", "17 days"),
  ("pg_out(1082,pg_in(1082,'Jan-5-2024',-1),-1)", "2024-01-05"),
  ("pg_out(1186,pg_in(1186,'1 month ago',-1),-1)", "-1 mons"),
  (
    "pg_out(1184,pg_in(1184,'2024-01-05 10:20:30 xyz',-1),-1)",
    "22007 invalid input syntax for type timestamp with time zone: \"2024-01-05 10:20:30 xyz\""
  ),
  ("pg_extract_date('year',pg_in(1082,'2024-02-29',-1))", "2024"),
  ("pg_out(1186,pg_in(1186,'day',-1),-1)", "22007 invalid input syntax for type interval: \"day\""),
  ("pg_extract_interval('epoch',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "-36497106.000000"),
  ("pg_out(1082,pg_in(1082,'2024.01.05',-1),-1)", "2024-01-05"),
  ("pg_out(1082,pg_in(1082,'2024-Jan-05',-1),-1)", "2024-01-05"),
  ("pg_extract_timestamp('isoyear',pg_in(1114,'0044-03-15 01:02:03 BC',-1))", "-44"),
  ("pg_out(1082,pg_make_date(-44,3,15),-1)", "0044-03-15 BC"),
  ("pg_extract_timestamp('day',pg_in(1114,'2000-01-01',-1))", "1"),
  ("pg_out(1114,pg_in(1114,'Jan 5 10:20:30 2024',-1),-1)", "2024-01-05 10:20:30"),
  ("pg_out(1186,pg_in(1186,'P1DT2H',-1),-1)", "1 day 02:00:00"),
  ("pg_extract_interval('day',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "3"),
  ("pg_extract_timestamp('month',pg_in(1114,'2024-02-29 13:14:15.678901',-1))", "2"),
  ("pg_extract_interval('century',pg_in(1186,'13 years 5 mons 7 days 04:05:06.789',-1))", "0"),
  ("pg_extract_interval('century',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "0"),
  ("pg_out(1083,pg_in(1083,'24:00:01',-1),-1)", "22008 date/time field value out of range: \"24:00:01\""),
  ("pg_extract_interval('decade',pg_in(1186,'13 years 5 mons 7 days 04:05:06.789',-1))", "1"),
  ("pg_out(1114,pg_timestamp_sub(pg_in(1114,'infinity',-1),pg_in(1186,'1 day',-1)),-1)", "infinity"),
  ("pg_extract_interval('hour',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "-4"),
  ("pg_out(1114,pg_in(1114,'2024-01-05 102030',-1),-1)", "2024-01-05 10:20:30"),
  ("pg_out(1186,pg_age(pg_in(1114,'1957-06-13',-1),pg_in(1114,'2001-04-10',-1)),-1)", "-43 years -9 mons -27 days"),
  ("pg_out(1184,pg_in(1184,'Fri Jan 5 10:20:30 2024 PST',-1),-1)", "2024-01-05 18:20:30+00"),
  ("pg_extract_timestamp('isoyear',pg_in(1114,'2000-01-01',-1))", "1999"),
  ("pg_out(1114,pg_date_trunc('day',pg_in(1114,'0044-03-15 01:02:03 BC',-1)),-1)", "0044-03-15 00:00:00 BC"),
  ("pg_extract_timestamp('year',pg_in(1114,'2024-02-29 13:14:15.678901',-1))", "2024"),
  ("pg_extract_date('week',pg_in(1082,'2024-02-29',-1))", "9"),
  ("pg_out(1114,pg_date_trunc('second',pg_in(1114,'0044-03-15 01:02:03 BC',-1)),-1)", "0044-03-15 01:02:03 BC"),
  ("pg_out(1114,pg_in(1114,'2024-01-05 10:20:30',-1),-1)", "2024-01-05 10:20:30"),
  ("pg_extract_timestamp('microseconds',pg_in(1114,'2000-01-01',-1))", "0"),
  (
    "pg_out(1114,pg_in(1114,'2024-01-05 10',-1),-1)", "22007 invalid input syntax for type timestamp: \"2024-01-05 10\""
  ),
  ("pg_extract_timestamp('hour',pg_in(1114,'2000-01-01',-1))", "0"),
  ("pg_out(1082,pg_in(1082,'2024 Jan 5',-1),-1)", "2024-01-05"),
  ("pg_out(1082,pg_in(1082,'Friday, January 5, 2024',-1),-1)", "2024-01-05"),
  ("pg_out(1184,pg_in(1184,'2024-01-05 10:20:30 UTC+3',-1),-1)", "2024-01-05 13:20:30+00"),
  ("pg_extract_timestamp('isodow',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "5"),
  (
    "pg_out(1184,pg_in(1184,'2024-01-05 10:20:61',-1),-1)",
    "22008 date/time field value out of range: \"2024-01-05 10:20:61\""
  ),
  ("pg_extract_timestamp('day',pg_in(1114,'0044-03-15 01:02:03 BC',-1))", "15"),
  (
    "pg_out(1186,pg_date_trunc_interval('decade',pg_in(1186,'113 years 5 mons 7 days 04:05:06.789',-1)),-1)",
    "110 years"
  ),
  (
    "pg_out(1114,pg_date_trunc('microseconds',pg_in(1114,'2024-02-29 13:14:15.678901',-1)),-1)",
    "2024-02-29 13:14:15.678901"
  ),
  ("pg_extract_timestamp('microseconds',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "59999000"),
  ("pg_extract_timestamp('month',pg_in(1114,'2000-01-01',-1))", "1"),
  ("pg_out(1186,pg_in(1186,'-1-2',-1),-1)", "-1 years -2 mons"),
  ("pg_extract_timestamp('day',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "31"),
  ("pg_out(1082,pg_in(1082,'5 Jan 2024',-1),-1)", "2024-01-05"),
  ("pg_out(1186,pg_in(1186,'1:30.5',-1),-1)", "00:01:30.5"),
  ("pg_out(1082,pg_in(1082,'2024-01-05T',-1),-1)", "22007 invalid input syntax for type date: \"2024-01-05T\""),
  ("pg_out(1114,pg_date_trunc('millennium',pg_in(1114,'2024-02-29 13:14:15.678901',-1)),-1)", "2001-01-01 00:00:00"),
  ("pg_extract_timestamp('minute',pg_in(1114,'1999-12-31 23:59:59.999',-1))", "59"),
  ("pg_out(1186,pg_in(1186,'1y2mon',-1),-1)", "1 year 2 mons"),
  ("pg_extract_interval('minute',pg_in(1186,'-1 year -2 mons +3 days -04:05:06',-1))", "-5"),
]
