/// A value of a `JSONTape`, valid as long as the tape. Missing and mistyped fields read as their default, as the
/// parser leaves out what is zero, false or empty.
struct JSONValue {
  let tokens: UnsafePointer<JSONTape.Token>
  let bytes: UnsafePointer<UInt8>
  let index: Int

  private var token: JSONTape.Token { tokens[index] }

  private func at(_ index: Int) -> JSONValue { JSONValue(tokens: tokens, bytes: bytes, index: index) }

  /// A field of an object; nil where it is missing.
  subscript(key: StaticString) -> JSONValue? {
    guard token.kind == .object else { return nil }
    let end = Int(token.next)
    var at = index + 1
    while at + 1 < end {
      if matches(tokens[at], key) { return self.at(at + 1) }
      at = Int(tokens[at + 1].next)
    }
    return nil
  }

  private func matches(_ token: JSONTape.Token, _ key: StaticString) -> Bool {
    guard Int(token.lengthBytes) == key.utf8CodeUnitCount else { return false }
    let start = Int(token.start)
    for offset in 0..<key.utf8CodeUnitCount where bytes[start + offset] != key.utf8Start[offset] { return false }
    return true
  }

  /// The elements of an array field; empty where it is missing.
  func list(_ key: StaticString) -> [JSONValue] { self[key]?.elements ?? [] }

  /// The elements of an array.
  var elements: [JSONValue] {
    guard token.kind == .array else { return [] }
    var result: [JSONValue] = []
    var at = index + 1
    while at < Int(token.next) {
      result.append(self.at(at))
      at = Int(tokens[at].next)
    }
    return result
  }

  /// A node is an object with one field, named after its type; nil for `{}`, which stands for a null pointer.
  var node: (type: String, body: JSONValue)? {
    guard token.kind == .object, Int(token.next) > index + 2 else { return nil }
    return (at(index + 1).string, at(index + 2))
  }

  /// A string's characters; empty for anything else.
  var string: String {
    let start = Int(token.start)
    let raw = UnsafeBufferPointer(start: bytes + start, count: Int(token.lengthBytes))
    switch token.kind {
    case .string: return String(decoding: raw, as: UTF8.self)
    case .escapedString: return unescaped(raw)
    default: return ""
    }
  }

  /// A number's value; 0 for anything else.
  var integer: Int64 {
    guard token.kind == .number else { return 0 }
    var value: Int64 = 0
    var isNegative = false
    for offset in 0..<Int(token.lengthBytes) {
      let byte = bytes[Int(token.start) + offset]
      if byte == UInt8(ascii: "-") {
        isNegative = true
      } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
        value = value &* 10 &+ Int64(byte - UInt8(ascii: "0"))
      }
    }
    return isNegative ? -value : value
  }

  var isTrue: Bool { token.kind == .yes }

  // Fields by type.

  func string(_ key: StaticString) -> String { self[key]?.string ?? "" }

  /// nil where the field is missing.
  func optionalString(_ key: StaticString) -> String? { self[key]?.string }

  func integer(_ key: StaticString) -> Int64 { self[key]?.integer ?? 0 }

  func flag(_ key: StaticString) -> Bool { self[key]?.isTrue ?? false }

  /// `location`: left out where it is 0.
  var location: Int { Int(integer("location")) }

  /// The texts of a list of String nodes.
  func names(_ key: StaticString) -> [String] { list(key).map(\.name) }

  /// The text of a String node.
  var name: String { self["String"]?.string("sval") ?? "" }

  private func unescaped(_ raw: UnsafeBufferPointer<UInt8>) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(raw.count)
    var at = 0
    while at < raw.count {
      guard raw[at] == UInt8(ascii: "\\"), at + 1 < raw.count else {
        result.append(raw[at])
        at += 1
        continue
      }
      at += 2
      switch raw[at - 1] {
      case UInt8(ascii: "n"): result.append(10)
      case UInt8(ascii: "t"): result.append(9)
      case UInt8(ascii: "r"): result.append(13)
      case UInt8(ascii: "b"): result.append(8)
      case UInt8(ascii: "f"): result.append(12)
      case UInt8(ascii: "u"):
        // Only control characters, < and > are written so, hence never a surrogate.
        let digits = String(decoding: raw[at..<min(at + 4, raw.count)], as: UTF8.self)
        let scalar = UInt32(digits, radix: 16).flatMap { Unicode.Scalar($0) } ?? "\u{FFFD}"
        result.append(contentsOf: String(Character(scalar)).utf8)
        at += 4
      case let other: result.append(other)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
