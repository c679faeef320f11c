import SQLTypes

/// Stored values as PostgreSQL prints them, for messages.
enum ValueText {
  static func text(_ value: StoredValue, _ type: SQLType) -> String {
    value.isNull ? "null" : TypeOutput.text(value, as: type) ?? "null"
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
