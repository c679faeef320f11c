import SQLTypes

/// PostgreSQL's functions, aggregates and collations on SQLite, under the names of ``FunctionCatalog``.
package enum PostgresFunctions {
  /// Registers all on a connection. The context says in whose name the connection's statements run.
  package static func register(on database: SQLiteDatabase, context: SessionContext) throws(SQLiteError) {
    for function in scalars + TranslationFunctions.scalars { try database.register(function, context: context) }
    for aggregate in aggregates + DistinctAggregates.aggregates { try database.register(aggregate, context: context) }
    for collation in collations { try database.register(collation) }
  }

  static let scalars: [ScalarFunction] =
    NumberFunctions.all + FloatFunctions.all + TextScalarFunctions.all + DateTimeScalarFunctions.all
    + SessionFunctions.all + JSONFunctions.all + ArrayFunctions.all + RegexFunctions.all + TemplateFunctions.all
  static let aggregates: [AggregateFunction] = AggregateFunctions.all

  static let collations = [
    Collation("PG_NUMERIC") { left, right in
      let texts = (String(decoding: left, as: UTF8.self), String(decoding: right, as: UTF8.self))
      guard let first = try? NumericValue(stored: texts.0), let second = try? NumericValue(stored: texts.1) else {
        return texts.0 < texts.1 ? -1 : texts.0 == texts.1 ? 0 : 1
      }
      return first.compare(second)
    },
    Collation("PG_JSONB") { left, right in
      let texts = (String(decoding: left, as: UTF8.self), String(decoding: right, as: UTF8.self))
      if texts.0 == texts.1 { return 0 }
      guard let first = try? JSONParser.parse(texts.0), let second = try? JSONParser.parse(texts.1) else {
        return texts.0 < texts.1 ? -1 : 1
      }
      return first.compare(second)
    },
  ]
}
