import SQLTypes

/// `to_char`, `to_number`, `to_date`, `to_timestamp`.
enum TemplateFunctions {
  static let all: [ScalarFunction] = [
    ScalarFunction("pg_to_char_timestamp", 2) { a, _ throws(SQLError) in
      let timestamp = a.integer(0)
      if CivilCalendar.isInfinite(timestamp) { return .null }
      return .text(DateTimeTemplate(a.text(1)).format(DateTimeParts(timestamp: timestamp)))
    },
    ScalarFunction("pg_to_char_timestamptz", 2) { a, context throws(SQLError) in
      let instant = a.integer(0)
      if CivilCalendar.isInfinite(instant) { return .null }
      let zone = context.conversion.timeZone
      let parts = DateTimeParts(timestamp: zone.wallClock(at: instant), zone: zone.localTime(at: instant))
      return .text(DateTimeTemplate(a.text(1)).format(parts))
    },
    ScalarFunction("pg_to_char_interval", 2) { a, _ throws(SQLError) in
      .text(DateTimeTemplate(a.text(1)).format(DateTimeParts(try a.interval(0))))
    },
    ScalarFunction("pg_to_char_numeric", 2) { a, _ throws(SQLError) in
      .text(try NumberTemplate(a.text(1)).format(a.numeric(0)))
    },
    ScalarFunction("pg_to_char_float8", 2) { a, _ throws(SQLError) in
      .text(try NumberTemplate(a.text(1)).format(NumericValue(rounding: a.double(0))))
    },
    ScalarFunction("pg_to_char_float4", 2) { a, _ throws(SQLError) in
      .text(try NumberTemplate(a.text(1)).format(NumericValue(rounding: Float(a.double(0)))))
    },
    ScalarFunction("pg_to_number", 2) { a, _ throws(SQLError) in
      .numeric(try NumberTemplate(a.text(1)).parse(a.text(0)))
    },
    ScalarFunction("pg_to_date", 2) { a, _ throws(SQLError) in
      .integer(try DateTimeTemplate(a.text(1)).parseDate(a.text(0)))
    },
    ScalarFunction("pg_to_timestamp", 2) { a, context throws(SQLError) in
      .integer(try DateTimeTemplate(a.text(1)).parseTimestamp(a.text(0), in: context.conversion.timeZone))
    },
  ]
}
