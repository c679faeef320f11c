import SQLTypes

/// PostgreSQL's aggregates. All can be used with OVER and any frame.
enum AggregateFunctions {
  static let all: [AggregateFunction] =
    sums + extremes + moments("numeric") { NumericMoments() } + moments("float8") { FloatMoments() } + collections

  private static let sums: [AggregateFunction] = [
    AggregateFunction("pg_sum_int", 1) { _ in IntegerSum(isWide: false, emptyIsZero: false) },
    AggregateFunction("pg_combine_count", 1) { _ in IntegerSum(isWide: false, emptyIsZero: true) },
    AggregateFunction("pg_sum_int8", 1) { _ in IntegerSum(isWide: true, emptyIsZero: false) },
    AggregateFunction("pg_sum_numeric", 1) { _ in NumericSum() },
    AggregateFunction("pg_sum_float8", 1) { _ in FloatSum { $0 } },
    AggregateFunction("pg_sum_float4", 1) { _ in FloatSum { Double(Float($0)) } },
    AggregateFunction("pg_sum_interval", 1) { _ in IntervalSum(isAverage: false) },
    AggregateFunction("pg_avg_interval", 1) { _ in IntervalSum(isAverage: true) },
    AggregateFunction("pg_bit_and", 1) { _ in BitCounts { set, count in set == count } },
    AggregateFunction("pg_bit_or", 1) { _ in BitCounts { set, _ in set > 0 } },
    AggregateFunction("pg_bit_xor", 1) { _ in BitCounts { set, _ in set % 2 == 1 } },
  ]

  private static let extremes: [AggregateFunction] = [
    AggregateFunction("pg_min_numeric", 1) { _ in Extreme(NumericKey.init, keepsGreatest: false) },
    AggregateFunction("pg_max_numeric", 1) { _ in Extreme(NumericKey.init, keepsGreatest: true) },
    AggregateFunction("pg_min_interval", 1) { _ in Extreme(IntervalKey.init, keepsGreatest: false) },
    AggregateFunction("pg_max_interval", 1) { _ in Extreme(IntervalKey.init, keepsGreatest: true) },
  ]

  /// Average, variance and deviation, each also from the parts that `pg_moments_…` computes.
  private static func moments(
    _ type: String, _ make: @escaping @Sendable () -> any Moments
  ) -> [AggregateFunction] {
    var list = [
      AggregateFunction("pg_moments_\(type)", 1) { _ in MomentsState(make(), combines: false) { $0.encoded } }
    ]
    let results: [(String, @Sendable (any Moments) throws(SQLError) -> StoredValue)] = [
      ("avg", { moments throws(SQLError) in try moments.average() }),
      ("var_samp", { moments throws(SQLError) in try moments.variance(isSample: true) }),
      ("var_pop", { moments throws(SQLError) in try moments.variance(isSample: false) }),
      ("stddev_samp", { moments throws(SQLError) in try moments.deviation(isSample: true) }),
      ("stddev_pop", { moments throws(SQLError) in try moments.deviation(isSample: false) }),
    ]
    for (name, result) in results {
      list.append(
        AggregateFunction("pg_\(name)_\(type)", 1) { _ in MomentsState(make(), combines: false, result) })
      list.append(
        AggregateFunction("pg_combine_\(name)_\(type)", 1) { _ in MomentsState(make(), combines: true, result) })
    }
    return list
  }

  private static let collections: [AggregateFunction] = [
    AggregateFunction("pg_string_agg", 2) { _ in StringAggregate() },
    AggregateFunction("pg_string_agg_bytea", 2) { _ in BytesAggregate() },
    AggregateFunction("pg_array_agg", 2) { context in
      ElementList(context) { arguments, context throws(SQLError) in
        TypeOutput.text(arguments[1], as: arguments.type(0), context: context.conversion)
      } finish: {
        .text(ArrayText.text($0))
      }
    },
    AggregateFunction("pg_jsonb_agg", 2) { context in
      ElementList(context) { arguments, context throws(SQLError) in
        try JSONConversion.value(arguments[1], arguments.type(0), context.conversion).text
      } finish: {
        .text("[" + $0.map { $0 ?? "null" }.joined(separator: ", ") + "]")
      }
    },
    AggregateFunction("pg_json_agg", 2) { context in
      ElementList(context) { arguments, context throws(SQLError) in
        try JSONConversion.jsonText(arguments[1], arguments.type(0), context.conversion)
      } finish: {
        .text("[" + $0.map { $0 ?? "null" }.joined(separator: ", ") + "]")
      }
    },
    AggregateFunction("pg_jsonb_object_agg", 4) { context in ObjectAggregate(context, isBinary: true) },
    AggregateFunction("pg_json_object_agg", 4) { context in ObjectAggregate(context, isBinary: false) },
  ]
}
