import SQLTypes

/// Stored values as PostgreSQL prints them, for messages.
enum ValueText {
  static func text(_ value: StoredValue, _ type: SQLType) -> String {
    switch value {
    case .null: return "null"
    case .integer(let integer): return type.oid == SQLType.bool.oid ? (integer == 0 ? "f" : "t") : String(integer)
    case .real(let real): return "\(real)"
    case .text(let text): return text
    case .blob(let bytes): return "\\x" + bytes.map { hexadecimal($0) }.joined()
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
  }
}

/// An identifier as SQL needs it: quoted unless it is plain lower case.
func quoteIdentifier(_ name: String) -> String {
  let isPlain =
    !name.isEmpty
    && name.utf8.enumerated().allSatisfy { index, byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
        || (index > 0 && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte))
    }
  return isPlain ? name : quoted(name)
}

/// An identifier in double quotes.
func quoted(_ name: String) -> String {
  var text = "\""
  for character in name.unicodeScalars {
    if character == "\"" { text += "\"\"" } else { text.unicodeScalars.append(character) }
  }
  return text + "\""
}
