/// JSON as PostgreSQL prints it.
extension JSONValue {
  /// jsonb's canonical text: `{"a": 1, "b": [1, 2]}`.
  package var text: String {
    var bytes: [UInt8] = []
    append(to: &bytes, indentation: nil)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `jsonb_pretty`.
  package var prettyText: String {
    var bytes: [UInt8] = []
    append(to: &bytes, indentation: 0)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A string's JSON text.
  package static func quoted(_ text: String) -> String {
    var bytes: [UInt8] = []
    appendQuoted(text, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private func append(to bytes: inout [UInt8], indentation: Int?) {
    switch self {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .boolean(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
    case .number(let value): bytes.append(contentsOf: value.text.utf8)
    case .string(let text): JSONValue.appendQuoted(text, to: &bytes)
    case .array(let elements):
      bytes.append(0x5b)
      for (index, element) in elements.enumerated() {
        JSONValue.separate(index, indentation, &bytes)
        element.append(to: &bytes, indentation: indentation.map { $0 + 4 })
      }
      JSONValue.newline(indentation, &bytes)
      bytes.append(0x5d)
    case .object(let members):
      bytes.append(0x7b)
      for (index, member) in members.enumerated() {
        JSONValue.separate(index, indentation, &bytes)
        JSONValue.appendQuoted(member.key, to: &bytes)
        bytes.append(contentsOf: ": ".utf8)
        member.value.append(to: &bytes, indentation: indentation.map { $0 + 4 })
      }
      JSONValue.newline(indentation, &bytes)
      bytes.append(0x7d)
    }
  }

  private static func separate(_ index: Int, _ indentation: Int?, _ bytes: inout [UInt8]) {
    if index > 0 { bytes.append(0x2c) }
    if indentation == nil, index > 0 { bytes.append(0x20) }
    newline(indentation.map { $0 + 4 }, &bytes)
  }

  private static func newline(_ indentation: Int?, _ bytes: inout [UInt8]) {
    guard let indentation else { return }
    bytes.append(0x0a)
    bytes.append(contentsOf: repeatElement(0x20, count: indentation))
  }

  private static func appendQuoted(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(0x22)
    for byte in text.utf8 {
      switch byte {
      case 0x08: bytes.append(contentsOf: [0x5c, 0x62])
      case 0x0c: bytes.append(contentsOf: [0x5c, 0x66])
      case 0x0a: bytes.append(contentsOf: [0x5c, 0x6e])
      case 0x0d: bytes.append(contentsOf: [0x5c, 0x72])
      case 0x09: bytes.append(contentsOf: [0x5c, 0x74])
      case 0x22: bytes.append(contentsOf: [0x5c, 0x22])
      case 0x5c: bytes.append(contentsOf: [0x5c, 0x5c])
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        bytes.append(contentsOf: [0x5c, 0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
      default: bytes.append(byte)
      }
    }
    bytes.append(0x22)
  }
}
