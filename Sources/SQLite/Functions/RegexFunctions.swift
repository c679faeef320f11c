import SQLTypes

/// Functions of regular expressions.
enum RegexFunctions {
  static let all: [ScalarFunction] = operators + searches + replacements

  private static let operators: [ScalarFunction] = [
    ScalarFunction("pg_regex", 2) { a, context throws(SQLError) in
      .boolean(try context.regularExpression(a.text(1)).matches(a.text(0)))
    },
    ScalarFunction("pg_regex_nocase", 2) { a, context throws(SQLError) in
      .boolean(try context.regularExpression(a.text(1), flags: "i").matches(a.text(0)))
    },
    ScalarFunction("pg_regexp_like", -1) { a, context throws(SQLError) in
      let flags = a.count > 2 ? a.text(2) : ""
      try refuseGlobal(flags, "regexp_like")
      return .boolean(try context.regularExpression(a.text(1), flags: flags).matches(a.text(0)))
    },
    ScalarFunction("pg_similar_to_escape", -1) { a, _ throws(SQLError) in
      .text(try SimilarPattern.regularExpression(a.text(0), escape: a.count > 1 ? a.text(1) : "\\"))
    },
    ScalarFunction("pg_similar_escape", 2, isStrict: false) { a, _ throws(SQLError) in
      a.isNull(0)
        ? .null : .text(try SimilarPattern.regularExpression(a.text(0), escape: a.isNull(1) ? "\\" : a.text(1)))
    },
  ]

  private static func refuseGlobal(_ flags: String, _ name: String) throws(SQLError) {
    if flags.contains("g") {
      throw SQLError(.invalidParameterValue, "\(name)() does not support the \"global\" option")
    }
  }

  /// The start argument, as an offset.
  private static func start(_ a: SQLiteArguments, _ index: Int) throws(SQLError) -> Int {
    guard a.count > index else { return 0 }
    guard a.integer(index) > 0 else {
      throw SQLError(
        .invalidParameterValue, "invalid value for parameter \"start\": \(a.integer(index))")
    }
    return Int(clamping: a.integer(index)) - 1
  }

  /// The groups of a match, or the whole where the expression has none.
  private static func groups(_ match: [Range<Int>?], _ text: RegexText) -> [String?] {
    (match.count > 1 ? Array(match.dropFirst()) : match).map { $0.map(text.string) }
  }

  /// The first group where there is one, else the whole.
  private static func first(
    _ text: String, _ expression: RegularExpression
  ) throws(SQLError) -> StoredValue {
    let subject = RegexText(text)
    guard let match = try expression.find(in: subject, from: 0) else { return .null }
    return .optional(groups(match, subject)[0])
  }

  private static let searches: [ScalarFunction] = [
    ScalarFunction("pg_substring_regex", 2) { a, context throws(SQLError) in
      try first(a.text(0), context.regularExpression(a.text(1)))
    },
    ScalarFunction("pg_substring_similar", 3) { a, context throws(SQLError) in
      try first(
        a.text(0), context.regularExpression(SimilarPattern.substringExpression(a.text(1), escape: a.text(2))))
    },
    ScalarFunction("pg_regexp_match", -1) { a, context throws(SQLError) in
      let flags = a.count > 2 ? a.text(2) : ""
      try refuseGlobal(flags, "regexp_match")
      let subject = RegexText(a.text(0))
      guard let match = try context.regularExpression(a.text(1), flags: flags).find(in: subject, from: 0) else {
        return .null
      }
      return .text(ArrayText.text(groups(match, subject)))
    },
    ScalarFunction("pg_regexp_count", -1) { a, context throws(SQLError) in
      let expression = try context.regularExpression(a.text(1), flags: a.count > 3 ? a.text(3) : "")
      return .int(try expression.findAll(in: RegexText(a.text(0)), from: start(a, 2)).count)
    },
    ScalarFunction("pg_regexp_substr", -1) { a, context throws(SQLError) in
      let expression = try context.regularExpression(a.text(1), flags: a.count > 4 ? a.text(4) : "")
      let subject = RegexText(a.text(0))
      let wanted = a.count > 3 ? Int(clamping: a.integer(3)) : 1
      let group = a.count > 5 ? Int(clamping: a.integer(5)) : 0
      guard wanted > 0 else {
        throw SQLError(.invalidParameterValue, "invalid value for parameter \"n\": \(wanted)")
      }
      let matches = try expression.findAll(in: subject, from: start(a, 2), limit: wanted)
      guard matches.count == wanted, group < matches[wanted - 1].count else { return .null }
      return .optional(matches[wanted - 1][group].map(subject.string))
    },
    ScalarFunction("pg_regexp_instr", -1) { a, context throws(SQLError) in
      let expression = try context.regularExpression(a.text(1), flags: a.count > 5 ? a.text(5) : "")
      let subject = RegexText(a.text(0))
      let wanted = a.count > 3 ? Int(clamping: a.integer(3)) : 1
      let matches = try expression.findAll(in: subject, from: start(a, 2), limit: wanted)
      let group = a.count > 6 ? Int(clamping: a.integer(6)) : 0
      guard matches.count == wanted, wanted > 0, group < matches[wanted - 1].count,
        let range = matches[wanted - 1][group]
      else { return .int(0) }
      return .int((a.count > 4 && a.integer(4) != 0 ? range.upperBound : range.lowerBound) + 1)
    },
    ScalarFunction("pg_regexp_split_to_array", -1) { a, context throws(SQLError) in
      let flags = a.count > 2 ? a.text(2) : ""
      try refuseGlobal(flags, "regexp_split_to_array")
      let pieces = try context.regularExpression(a.text(1), flags: flags).split(a.text(0))
      return .text(ArrayText.text(pieces))
    },
  ]

  /// `regexp_replace(text, pattern, replacement [, flags | start [, n [, flags]]])`.
  private static let replacements: [ScalarFunction] = [
    ScalarFunction("pg_regexp_replace", -1) { a, context throws(SQLError) in
      let flags = a.count > 3 ? a.text(3) : ""
      let expression = try context.regularExpression(a.text(1), flags: flags)
      return .text(
        try expression.replace(a.text(0), with: a.text(2), occurrence: flags.contains("g") ? 0 : 1))
    },
    ScalarFunction("pg_regexp_replace_from", -1) { a, context throws(SQLError) in
      let flags = a.count > 5 ? a.text(5) : ""
      let expression = try context.regularExpression(a.text(1), flags: flags)
      let occurrence = a.count > 4 ? Int(clamping: a.integer(4)) : 1
      guard occurrence >= 0 else {
        throw SQLError(.invalidParameterValue, "invalid value for parameter \"n\": \(occurrence)")
      }
      return .text(
        try expression.replace(a.text(0), with: a.text(2), from: start(a, 3), occurrence: occurrence))
    },
  ]
}
