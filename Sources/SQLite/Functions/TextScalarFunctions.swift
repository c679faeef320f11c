import SQLTypes

/// Functions of text and bytea.
enum TextScalarFunctions {
  static let all: [ScalarFunction] = text + bytes + typed + conversions

  private static func textToText(_ name: String, _ body: @escaping @Sendable (String) -> String) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 1) { arguments, _ throws(SQLError) in .text(body(arguments.text(0))) }
  }

  private static func trim(_ name: String, left: Bool, right: Bool) -> [ScalarFunction] {
    [
      ScalarFunction("pg_\(name)", 1) { a, _ throws(SQLError) in
        .text(TextFunctions.trim(a.text(0), " ", left: left, right: right))
      },
      ScalarFunction("pg_\(name)", 2) { a, _ throws(SQLError) in
        .text(TextFunctions.trim(a.text(0), a.text(1), left: left, right: right))
      },
    ]
  }

  private static func pad(_ name: String, onLeft: Bool) -> [ScalarFunction] {
    [
      ScalarFunction("pg_\(name)", 2) { a, _ throws(SQLError) in
        .text(try TextFunctions.pad(a.text(0), a.integer(1), with: " ", onLeft: onLeft))
      },
      ScalarFunction("pg_\(name)", 3) { a, _ throws(SQLError) in
        .text(try TextFunctions.pad(a.text(0), a.integer(1), with: a.text(2), onLeft: onLeft))
      },
    ]
  }

  private static let text: [ScalarFunction] =
    [
      textToText("lower") { TextFunctions.lower($0) },
      textToText("upper") { TextFunctions.upper($0) },
      textToText("initcap") { TextFunctions.initcap($0) },
      textToText("reverse") { TextFunctions.reverse($0) },
      textToText("quote_ident") { TextFunctions.quoteIdentifier($0) },
      textToText("quote_literal") { TextFunctions.quoteLiteral($0) },
      textToText("rtrim_blanks") { CharacterLength.trimmingTrailingBlanks($0) },
      textToText("cast_text_name") { CharacterLength.name($0) },
      textToText("cast_text_char") { String($0.prefix(1)) },
      ScalarFunction("pg_quote_nullable", 1, isStrict: false) { a, _ throws(SQLError) in
        .text(a.isNull(0) ? "NULL" : TextFunctions.quoteLiteral(a.text(0)))
      },
      ScalarFunction("pg_length", 1) { a, _ throws(SQLError) in .int(TextFunctions.length(a.text(0))) },
      ScalarFunction("pg_octet_length", 1) { a, _ throws(SQLError) in .int(a.text(0).utf8.count) },
      ScalarFunction("pg_substring", 2) { a, _ throws(SQLError) in
        .text(try TextFunctions.substring(a.text(0), start: a.integer(1), count: nil))
      },
      ScalarFunction("pg_substring", 3) { a, _ throws(SQLError) in
        .text(try TextFunctions.substring(a.text(0), start: a.integer(1), count: a.integer(2)))
      },
      ScalarFunction("pg_position", 2) { a, _ throws(SQLError) in
        .int(TextFunctions.position(of: a.text(1), in: a.text(0)))
      },
      ScalarFunction("pg_left", 2) { a, _ throws(SQLError) in .text(TextFunctions.left(a.text(0), a.integer(1))) },
      ScalarFunction("pg_right", 2) { a, _ throws(SQLError) in .text(TextFunctions.right(a.text(0), a.integer(1))) },
      ScalarFunction("pg_replace", 3) { a, _ throws(SQLError) in
        .text(TextFunctions.replace(a.text(0), a.text(1), with: a.text(2)))
      },
      ScalarFunction("pg_translate", 3) { a, _ throws(SQLError) in
        .text(TextFunctions.translate(a.text(0), a.text(1), a.text(2)))
      },
      ScalarFunction("pg_repeat", 2) { a, _ throws(SQLError) in
        .text(try TextFunctions.repeat(a.text(0), a.integer(1)))
      },
      ScalarFunction("pg_split_part", 3) { a, _ throws(SQLError) in
        .text(try TextFunctions.splitPart(a.text(0), a.text(1), a.integer(2)))
      },
      ScalarFunction("pg_ascii", 1) { a, _ throws(SQLError) in .integer(TextFunctions.ascii(a.text(0))) },
      ScalarFunction("pg_chr", 1) { a, _ throws(SQLError) in .text(try TextFunctions.character(a.integer(0))) },
      ScalarFunction("pg_starts_with", 2) { a, _ throws(SQLError) in
        .boolean(Array(a.text(0).utf8).starts(with: Array(a.text(1).utf8)))
      },
      ScalarFunction("pg_overlay", 3) { a, _ throws(SQLError) in
        .text(try TextFunctions.overlay(a.text(0), a.text(1), from: a.integer(2), count: nil))
      },
      ScalarFunction("pg_overlay", 4) { a, _ throws(SQLError) in
        .text(try TextFunctions.overlay(a.text(0), a.text(1), from: a.integer(2), count: a.integer(3)))
      },
      ScalarFunction("pg_like", 2) { a, _ throws(SQLError) in .boolean(try LikePattern(a.text(1)).matches(a.text(0))) },
      ScalarFunction("pg_ilike", 2) { a, _ throws(SQLError) in
        .boolean(try LikePattern(a.text(1), ignoresCase: true).matches(a.text(0)))
      },
      ScalarFunction("pg_like_escape", 2) { a, _ throws(SQLError) in
        .text(try LikePattern.replacingEscape(a.text(0), a.text(1)))
      },
      ScalarFunction("pg_unistr", 1) { a, _ throws(SQLError) in .text(try unistr(a.text(0))) },
      ScalarFunction("pg_hashtext", 1) { a, _ throws(SQLError) in
        .integer(Int64(Int32(bitPattern: TextScalarFunctions.hash(a.text(0)))))
      },
    ] + trim("btrim", left: true, right: true) + trim("ltrim", left: true, right: false)
    + trim("rtrim", left: false, right: true) + pad("lpad", onLeft: true) + pad("rpad", onLeft: false)

  private static let bytes: [ScalarFunction] = [
    ScalarFunction("pg_md5", 1) { a, _ throws(SQLError) in .text(ByteaText.hexadecimal(Digest.md5(a.blob(0)))) },
    ScalarFunction("pg_sha224", 1) { a, _ throws(SQLError) in .blob(Digest.sha256(a.blob(0), is224: true)) },
    ScalarFunction("pg_sha256", 1) { a, _ throws(SQLError) in .blob(Digest.sha256(a.blob(0))) },
    ScalarFunction("pg_sha384", 1) { a, _ throws(SQLError) in .blob(Digest.sha512(a.blob(0), is384: true)) },
    ScalarFunction("pg_sha512", 1) { a, _ throws(SQLError) in .blob(Digest.sha512(a.blob(0))) },
    ScalarFunction("pg_encode", 2) { a, _ throws(SQLError) in .text(try BinaryEncoding.encode(a.blob(0), a.text(1))) },
    ScalarFunction("pg_decode", 2) { a, _ throws(SQLError) in .blob(try BinaryEncoding.decode(a.text(0), a.text(1))) },
    ScalarFunction("pg_bytea_concat", 2) { a, _ throws(SQLError) in .blob(a.blob(0) + a.blob(1)) },
    ScalarFunction("pg_bytea_like", 2) { a, _ throws(SQLError) in
      .boolean(try LikePattern.matches(a.blob(0), pattern: a.blob(1)))
    },
    ScalarFunction("pg_bytea_substring", 2) { a, _ throws(SQLError) in
      .blob(try TextFunctions.substring(a.blob(0), start: a.integer(1), count: nil))
    },
    ScalarFunction("pg_bytea_substring", 3) { a, _ throws(SQLError) in
      .blob(try TextFunctions.substring(a.blob(0), start: a.integer(1), count: a.integer(2)))
    },
    ScalarFunction("pg_bytea_position", 2) { a, _ throws(SQLError) in
      .int((TextFunctions.find(a.blob(1), in: a.blob(0), from: 0) ?? -1) + 1)
    },
    ScalarFunction("pg_bytea_btrim", 2) { a, _ throws(SQLError) in
      let set = Set(a.blob(1))
      var bytes = a.blob(0)[...]
      while let first = bytes.first, set.contains(first) { bytes = bytes.dropFirst() }
      while let last = bytes.last, set.contains(last) { bytes = bytes.dropLast() }
      return .blob(Array(bytes))
    },
    ScalarFunction("pg_get_byte", 2) { a, _ throws(SQLError) in
      let bytes = a.blob(0)
      return .integer(Int64(bytes[try index(a.integer(1), bytes.count)]))
    },
    ScalarFunction("pg_set_byte", 3) { a, _ throws(SQLError) in
      var bytes = a.blob(0)
      bytes[try index(a.integer(1), bytes.count)] = UInt8(truncatingIfNeeded: a.integer(2))
      return .blob(bytes)
    },
    ScalarFunction("pg_convert_to", 2) { a, _ throws(SQLError) in
      try requireUTF8(a.text(1))
      return .blob(Array(a.text(0).utf8))
    },
    ScalarFunction("pg_convert_from", 2) { a, _ throws(SQLError) in
      try requireUTF8(a.text(1))
      guard let text = String(validating: a.blob(0), as: UTF8.self), !a.blob(0).contains(0) else {
        throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"")
      }
      return .text(text)
    },
  ]

  private static func index(_ index: Int64, _ count: Int) throws(SQLError) -> Int {
    guard index >= 0, index < count else {
      throw SQLError(.arraySubscriptError, "index \(index) out of valid range, 0..\(count - 1)")
    }
    return Int(index)
  }

  private static func requireUTF8(_ encoding: String) throws(SQLError) {
    guard ["utf8", "utf-8", "unicode"].contains(encoding.lowercased()) else {
      throw SQLError(.featureNotSupported, "encoding \"\(encoding)\" is not supported, only UTF8 is")
    }
  }

  /// Functions of arguments of any type.
  private static let typed: [ScalarFunction] = [
    ScalarFunction("pg_concat", -1, isStrict: false) { a, context throws(SQLError) in
      .text(a.typed().compactMap { TypeOutput.text($0.value, as: $0.type, context: context.conversion) }.joined())
    },
    ScalarFunction("pg_concat_ws", -1, isStrict: false) { a, context throws(SQLError) in
      guard a.count >= 2, !a.isNull(1) else { return .null }
      let parts = a.typed(from: 2).compactMap { TypeOutput.text($0.value, as: $0.type, context: context.conversion) }
      return .text(parts.joined(separator: a.text(1)))
    },
    ScalarFunction("pg_concat_operator", 4, isStrict: false) { a, context throws(SQLError) in
      if a.isNull(1) || a.isNull(3) { return .null }
      return .text(
        a.typed().compactMap { TypeOutput.castText($0.value, as: $0.type, context: context.conversion) }.joined())
    },
    ScalarFunction("pg_format", -1, isStrict: false) { a, context throws(SQLError) in
      guard a.count >= 2, !a.isNull(1) else { return .null }
      let arguments = a.typed(from: 2).map { TypeOutput.text($0.value, as: $0.type, context: context.conversion) }
      return .text(try TextFunctions.format(a.text(1), arguments))
    },
    ScalarFunction("pg_quote_literal_any", 2) { a, context throws(SQLError) in
      .text(TextFunctions.quoteLiteral(TypeOutput.castText(a[1], as: a.type(0), context: context.conversion) ?? ""))
    },
    ScalarFunction("pg_quote_nullable_any", 2, isStrict: false) { a, context throws(SQLError) in
      let text = TypeOutput.castText(a[1], as: a.type(0), context: context.conversion)
      return .text(text.map(TextFunctions.quoteLiteral) ?? "NULL")
    },
  ]

  private static let conversions: [ScalarFunction] = [
    ScalarFunction("pg_in", 3) { a, context throws(SQLError) in
      let type = SQLType(oid: a.type(0).oid, modifier: Int32(truncatingIfNeeded: a.integer(2)))
      return try TypeInput.parse(a.text(1), as: type, context: context.conversion)
    },
    ScalarFunction("pg_out", 3) { a, context throws(SQLError) in
      let type = SQLType(oid: a.type(0).oid, modifier: Int32(truncatingIfNeeded: a.integer(2)))
      return .optional(TypeOutput.castText(a[1], as: type, context: context.conversion))
    },
    ScalarFunction("pg_modify_varchar", 3) { a, _ throws(SQLError) in try fit(a, .varchar) },
    ScalarFunction("pg_modify_bpchar", 3) { a, _ throws(SQLError) in try fit(a, .bpchar) },
    ScalarFunction("pg_cast_char_int4", 1) { a, _ throws(SQLError) in
      .integer(Int64(Int8(bitPattern: a.text(0).utf8.first ?? 0)))
    },
    ScalarFunction("pg_cast_int4_char", 1) { a, _ throws(SQLError) in
      guard let byte = Int8(exactly: a.integer(0)) else {
        throw SQLError(.numericValueOutOfRange, "\"char\" out of range")
      }
      return .text(byte == 0 ? "" : String(decoding: [UInt8(bitPattern: byte)], as: UTF8.self))
    },
  ]

  private static func fit(_ arguments: SQLiteArguments, _ type: SQLType) throws(SQLError) -> StoredValue {
    let type = type.with(modifier: Int32(truncatingIfNeeded: arguments.integer(1)))
    return .text(try CharacterLength.fit(arguments.text(0), to: type, isExplicit: arguments.integer(2) != 0))
  }

  /// FNV-1a: spreads texts, but is not PostgreSQL's hash.
  private static func hash(_ text: String) -> UInt32 {
    text.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
  }

  /// `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX` as characters.
  private static func unistr(_ text: String) throws(SQLError) -> String {
    var result = String.UnicodeScalarView()
    var scalars = Array(text.unicodeScalars)[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "\\" else {
        result.append(scalar)
        continue
      }
      if scalars.first == "\\" {
        result.append("\\")
        scalars = scalars.dropFirst()
        continue
      }
      var length = 4
      switch scalars.first {
      case "u": scalars = scalars.dropFirst()
      case "U":
        length = 8
        scalars = scalars.dropFirst()
      case "+":
        length = 6
        scalars = scalars.dropFirst()
      default: break
      }
      let digits = String(String.UnicodeScalarView(scalars.prefix(length)))
      guard digits.unicodeScalars.count == length, let code = UInt32(digits, radix: 16),
        let character = Unicode.Scalar(code)
      else {
        throw SQLError(
          .syntaxError, "invalid Unicode escape",
          hint: "Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
      }
      result.append(character)
      scalars = scalars.dropFirst(length)
    }
    return String(result)
  }
}
