import Glibc
import SQLTypes

/// Functions of dates, times and intervals.
enum DateTimeScalarFunctions {
  static let all: [ScalarFunction] = clock + arithmetic + intervals + fields + construction + zones + modifiers

  /// The wall clock in microseconds since 2000-01-01 UTC.
  static func clockMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000 - CivilCalendar.unixEpochMicroseconds
  }

  /// A function of the session. Within a statement it gives the same each time, unless it reads the clock.
  private static func session(
    _ name: String, isDeterministic: Bool = true, _ body: @escaping @Sendable (SessionContext) -> StoredValue
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 0, isDeterministic: isDeterministic) { _, context throws(SQLError) in body(context) }
  }

  private static func wallClock(_ context: SessionContext) -> Int64 {
    context.conversion.timeZone.wallClock(at: context.conversion.transactionTimestamp)
  }

  private static let clock: [ScalarFunction] = [
    session("now") { .integer($0.conversion.transactionTimestamp) },
    session("statement_timestamp") { .integer($0.statementTimestamp) },
    session("clock_timestamp", isDeterministic: false) { _ in .integer(clockMicroseconds()) },
    session("current_date") { .integer(CivilCalendar.split(wallClock($0)).days) },
    session("localtime") { .integer(CivilCalendar.split(wallClock($0)).microseconds) },
    session("localtimestamp") { .integer(wallClock($0)) },
    session("current_time") { context in
      let offset = context.conversion.timeZone.localTime(at: context.conversion.transactionTimestamp).offsetSeconds
      return .text(
        DateTimeText.time(CivilCalendar.split(wallClock(context)).microseconds) + DateTimeText.offset(offset))
    },
    session("timeofday", isDeterministic: false) { context in
      .text(DateTimeText.timestamptz(clockMicroseconds(), in: context.conversion.timeZone))
    },
  ]

  private static func integers(
    _ name: String, _ count: Int, _ body: @escaping @Sendable (SQLiteArguments) throws(SQLError) -> Int64
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", count) { a, _ throws(SQLError) in .integer(try body(a)) }
  }

  private static let arithmetic: [ScalarFunction] = [
    integers("date_add", 2) { a throws(SQLError) in
      try DateTimeArithmetic.add(date: a.integer(0), days: a.integer(1))
    },
    integers("date_sub", 2) { a throws(SQLError) in
      try DateTimeArithmetic.add(date: a.integer(0), days: -a.integer(1))
    },
    integers("date_diff", 2) { a throws(SQLError) in
      try DateTimeArithmetic.days(from: a.integer(1), to: a.integer(0))
    },
    integers("date_time", 2) { a throws(SQLError) in
      try DateTimeArithmetic.timestamp(date: a.integer(0), time: a.integer(1))
    },
    integers("date_to_timestamp", 1) { a throws(SQLError) in try DateTimeArithmetic.timestamp(date: a.integer(0)) },
    integers("timestamp_to_date", 1) { a throws(SQLError) in DateTimeArithmetic.date(timestamp: a.integer(0)) },
    ScalarFunction("pg_timestamp_to_time", 1) { a, _ throws(SQLError) in timeOfDay(a.integer(0)) },
    integers("timestamp_add", 2) { a throws(SQLError) in
      try DateTimeArithmetic.add(timestamp: a.integer(0), a.interval(1))
    },
    integers("timestamp_sub", 2) { a throws(SQLError) in
      try DateTimeArithmetic.add(timestamp: a.integer(0), a.interval(1).negated())
    },
    ScalarFunction("pg_timestamp_diff", 2) { a, _ throws(SQLError) in
      .interval(try DateTimeArithmetic.difference(a.integer(0), a.integer(1)))
    },
    ScalarFunction("pg_age", 2) { a, _ throws(SQLError) in
      .interval(try DateTimeArithmetic.age(a.integer(0), a.integer(1)))
    },
    integers("time_add", 2) { a throws(SQLError) in DateTimeArithmetic.add(time: a.integer(0), try a.interval(1)) },
    integers("time_sub", 2) { a throws(SQLError) in
      DateTimeArithmetic.add(time: a.integer(0), try a.interval(1).negated())
    },
    ScalarFunction("pg_time_diff", 2) { a, _ throws(SQLError) in
      .interval(IntervalValue(microseconds: a.integer(0) - a.integer(1)))
    },
    ScalarFunction("pg_time_to_interval", 1) { a, _ throws(SQLError) in
      .interval(IntervalValue(microseconds: a.integer(0)))
    },
    integers("interval_to_time", 1) { a throws(SQLError) in
      DateTimeArithmetic.add(time: 0, try a.interval(0))
    },
    integers("date_bin", 3) { a throws(SQLError) in
      try DateTimeArithmetic.bin(a.interval(0), a.integer(1), origin: a.integer(2))
    },
  ]

  private static func timeOfDay(_ timestamp: Int64) -> StoredValue {
    CivilCalendar.isInfinite(timestamp) ? .null : .integer(CivilCalendar.split(timestamp).microseconds)
  }

  private static func interval(
    _ name: String, _ count: Int,
    _ body: @escaping @Sendable (SQLiteArguments) throws(SQLError) -> IntervalValue
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", count) { a, _ throws(SQLError) in .interval(try body(a)) }
  }

  private static let intervals: [ScalarFunction] = [
    interval("interval_add", 2) { a throws(SQLError) in try a.interval(0).adding(a.interval(1)) },
    interval("interval_sub", 2) { a throws(SQLError) in try a.interval(0).subtracting(a.interval(1)) },
    interval("interval_mul", 2) { a throws(SQLError) in try a.interval(0).multiplied(by: a.double(1)) },
    interval("interval_div", 2) { a throws(SQLError) in try a.interval(0).divided(by: a.double(1)) },
    interval("interval_neg", 1) { a throws(SQLError) in try a.interval(0).negated() },
    interval("justify_days", 1) { a throws(SQLError) in try a.interval(0).justifiedDays() },
    interval("justify_hours", 1) { a throws(SQLError) in try a.interval(0).justifiedHours() },
    interval("justify_interval", 1) { a throws(SQLError) in try a.interval(0).justified() },
    interval("date_trunc_interval", 2) { a throws(SQLError) in
      try DateTimeFields.truncate(a.text(0), a.interval(1))
    },
    interval("make_interval", -1) { a throws(SQLError) in try makeInterval(a) },
    ScalarFunction("pg_interval_key", 1) { a, _ throws(SQLError) in .blob(try a.interval(0).comparisonKey) },
  ]

  private static func makeInterval(_ a: SQLiteArguments) throws(SQLError) -> IntervalValue {
    let parts = (0..<6).map { index in index < a.count ? a.integer(index) : 0 }
    let seconds = a.count > 6 ? (a.double(6) * 1_000_000).rounded(.toNearestOrEven) : 0
    guard let months = Int32(exactly: parts[0] * 12 + parts[1]), let days = Int32(exactly: parts[2] * 7 + parts[3]),
      let time = Int64(exactly: seconds)
    else { throw SQLError(.datetimeFieldOverflow, "interval out of range") }
    return IntervalValue(
      months: months, days: days, microseconds: (parts[4] * 60 + parts[5]) * 60_000_000 + time)
  }

  private static func optional(_ value: NumericValue?) -> StoredValue { value.map { .numeric($0) } ?? .null }

  private static let fields: [ScalarFunction] = [
    ScalarFunction("pg_extract_date", 2) { a, _ throws(SQLError) in
      optional(try DateTimeFields.extract(a.text(0), fromDate: a.integer(1)))
    },
    ScalarFunction("pg_extract_time", 2) { a, _ throws(SQLError) in
      .numeric(try DateTimeFields.extract(a.text(0), fromTime: a.integer(1)))
    },
    ScalarFunction("pg_extract_timestamp", 2) { a, _ throws(SQLError) in
      optional(
        try DateTimeFields.extract(
          a.text(0), from: a.integer(1), offsetSeconds: nil, typeName: "timestamp without time zone"))
    },
    ScalarFunction("pg_extract_timestamptz", 2) { a, context throws(SQLError) in
      let zone = context.conversion.timeZone
      let instant = a.integer(1)
      return optional(
        try DateTimeFields.extract(
          a.text(0), from: zone.wallClock(at: instant), offsetSeconds: zone.localTime(at: instant).offsetSeconds,
          typeName: "timestamp with time zone"))
    },
    ScalarFunction("pg_extract_interval", 2) { a, _ throws(SQLError) in
      .numeric(try DateTimeFields.extract(a.text(0), from: a.interval(1)))
    },
    integers("date_trunc", 2) { a throws(SQLError) in try DateTimeFields.truncate(a.text(0), a.integer(1)) },
    ScalarFunction("pg_date_trunc_timestamptz", -1) { a, context throws(SQLError) in
      let zone = a.count > 2 ? try DateTimeScalarFunctions.zone(a.text(2), context) : context.conversion.timeZone
      let local = try DateTimeFields.truncate(
        a.text(0), zone.wallClock(at: a.integer(1)), typeName: "timestamp with time zone")
      return .integer(zone.instant(wallClock: local))
    },
    ScalarFunction("pg_isfinite_date", 1) { a, _ throws(SQLError) in
      .boolean(!CivilCalendar.isInfinite(date: a.integer(0)))
    },
    ScalarFunction("pg_isfinite_timestamp", 1) { a, _ throws(SQLError) in
      .boolean(!CivilCalendar.isInfinite(a.integer(0)))
    },
  ]

  private static let construction: [ScalarFunction] = [
    integers("make_date", 3) { a throws(SQLError) in
      try DateTimeFields.makeDate(a.integer(0), a.integer(1), a.integer(2))
    },
    integers("make_time", 3) { a throws(SQLError) in
      try DateTimeFields.makeTime(a.integer(0), a.integer(1), a.double(2))
    },
    integers("make_timestamp", 6) { a throws(SQLError) in try makeTimestamp(a) },
    ScalarFunction("pg_make_timestamptz", -1) { a, context throws(SQLError) in
      let zone = a.count > 6 ? try DateTimeScalarFunctions.zone(a.text(6), context) : context.conversion.timeZone
      return .integer(zone.instant(wallClock: try makeTimestamp(a)))
    },
    integers("to_timestamp_epoch", 1) { a throws(SQLError) in
      let seconds = a.double(0)
      if seconds == .infinity { return .max }
      if seconds == -.infinity { return .min }
      guard !seconds.isNaN, abs(seconds) < 9e15 else {
        throw SQLError(.datetimeFieldOverflow, "timestamp out of range: \"\(FloatText.text(seconds))\"")
      }
      return Int64((seconds * 1_000_000).rounded(.toNearestOrEven)) - CivilCalendar.unixEpochMicroseconds
    },
  ]

  private static func makeTimestamp(_ a: SQLiteArguments) throws(SQLError) -> Int64 {
    let date = try DateTimeFields.makeDate(a.integer(0), a.integer(1), a.integer(2))
    let time = try DateTimeFields.makeTime(a.integer(3), a.integer(4), a.double(5))
    return try DateTimeArithmetic.timestamp(date: date, time: time)
  }

  /// A zone by name or offset.
  /// - Throws: 22023.
  static func zone(_ name: String, _ context: SessionContext) throws(SQLError) -> TimeZoneRule {
    guard let zone = context.conversion.zone(named: name) else {
      throw SQLError(.invalidParameterValue, "time zone \"\(name)\" not recognized")
    }
    return zone
  }

  private static func zoned(
    _ name: String, _ body: @escaping @Sendable (SQLiteArguments, TimeZoneRule) throws(SQLError) -> Int64
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 1) { a, context throws(SQLError) in
      .integer(try body(a, context.conversion.timeZone))
    }
  }

  private static let zones: [ScalarFunction] = [
    zoned("date_to_timestamptz") { a, zone throws(SQLError) in
      zone.instant(wallClock: try DateTimeArithmetic.timestamp(date: a.integer(0)))
    },
    zoned("timestamp_to_timestamptz") { a, zone throws(SQLError) in zone.instant(wallClock: a.integer(0)) },
    zoned("timestamptz_to_timestamp") { a, zone throws(SQLError) in zone.wallClock(at: a.integer(0)) },
    zoned("timestamptz_to_date") { a, zone throws(SQLError) in
      DateTimeArithmetic.date(timestamp: zone.wallClock(at: a.integer(0)))
    },
    ScalarFunction("pg_timestamptz_to_time", 1) { a, context throws(SQLError) in
      timeOfDay(context.conversion.timeZone.wallClock(at: a.integer(0)))
    },
    ScalarFunction("pg_timestamptz_add", 2) { a, context throws(SQLError) in
      .integer(try DateTimeArithmetic.add(instant: a.integer(0), a.interval(1), in: context.conversion.timeZone))
    },
    ScalarFunction("pg_timestamptz_sub", 2) { a, context throws(SQLError) in
      .integer(
        try DateTimeArithmetic.add(instant: a.integer(0), a.interval(1).negated(), in: context.conversion.timeZone))
    },
    ScalarFunction("pg_timezone_timestamp", 2) { a, context throws(SQLError) in
      .integer(try zone(a.text(0), context).instant(wallClock: a.integer(1)))
    },
    ScalarFunction("pg_timezone_timestamptz", 2) { a, context throws(SQLError) in
      .integer(try zone(a.text(0), context).wallClock(at: a.integer(1)))
    },
    ScalarFunction("pg_timezone_interval_timestamp", 2) { a, _ throws(SQLError) in
      .integer(try fixedZone(a.interval(0)).instant(wallClock: a.integer(1)))
    },
    ScalarFunction("pg_timezone_interval_timestamptz", 2) { a, _ throws(SQLError) in
      .integer(try fixedZone(a.interval(0)).wallClock(at: a.integer(1)))
    },
  ]

  private static func fixedZone(_ interval: IntervalValue) throws(SQLError) -> TimeZoneRule {
    if interval.months != 0 || interval.days != 0 {
      throw SQLError(
        .invalidParameterValue, "interval time zone \"\(interval.text)\" must not include months or days")
    }
    return TimeZoneRule(offsetSeconds: Int(interval.microseconds / 1_000_000))
  }

  private static let modifiers: [ScalarFunction] = [
    integers("modify_time", 3) { a throws(SQLError) in
      DateTimeInput.round(a.integer(0), digits: Int(clamping: a.integer(1)))
    },
    integers("modify_timestamp", 3) { a throws(SQLError) in
      DateTimeInput.round(a.integer(0), digits: Int(clamping: a.integer(1)))
    },
    interval("modify_interval", 3) { a throws(SQLError) in
      try a.interval(0).fitted(to: SQLType.interval.with(modifier: Int32(truncatingIfNeeded: a.integer(1))))
    },
  ]
}
