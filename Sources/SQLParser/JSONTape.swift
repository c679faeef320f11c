/// The parser's JSON, read once into a flat list of tokens that point into its bytes: no allocation per value.
///
/// A token knows where its subtree ends, so that a field is found by hopping over its siblings. Trusts nothing: a text
/// that is not JSON has no `root`.
final class JSONTape {
  /// One value. Objects are followed by key, value, key, value …; arrays by their elements.
  struct Token {
    enum Kind: UInt8 { case object, array, string, escapedString, number, yes, no, null }
    var kind: Kind
    /// First byte: behind the opening quote of a string.
    var start: UInt32
    var lengthBytes: UInt32
    /// Index of the token after the subtree.
    var next: UInt32
  }

  /// JSON levels: a level of the tree has up to four (node, fields, list, items), and some levels come on top.
  private static let maximumDepth = 4 * SQLParser.maximumDepth + 64

  private(set) var tokens: ContiguousArray<Token> = []
  private let bytes: UnsafePointer<UInt8>
  private let count: Int
  private(set) var isTooDeep = false
  private var isValid = false

  /// Reads a NUL-terminated text, which must outlive the tape.
  init(_ json: UnsafePointer<CChar>) {
    var length = 0
    while json[length] != 0 { length += 1 }
    count = length
    bytes = UnsafeRawPointer(json).assumingMemoryBound(to: UInt8.self)
    tokens.reserveCapacity(length / 8 + 8)
    isValid = count < Int(UInt32.max) && scan()
  }

  /// The outermost value.
  var root: JSONValue? {
    isValid ? tokens.withUnsafeBufferPointer { JSONValue(tokens: $0.baseAddress!, bytes: bytes, index: 0) } : nil
  }

  /// Fills `tokens`; false where the text is not JSON or too deep.
  private func scan() -> Bool {
    var open: [Int] = []
    var at = 0
    while at < count {
      switch bytes[at] {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard open.count < Self.maximumDepth else {
          isTooDeep = true
          return false
        }
        open.append(tokens.count)
        append(bytes[at] == UInt8(ascii: "{") ? .object : .array, start: at, length: 0)
        at += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        guard let opened = open.popLast() else { return false }
        tokens[opened].next = UInt32(tokens.count)
        at += 1
      case UInt8(ascii: "\""):
        guard let end = scanString(from: at + 1) else { return false }
        at = end
      case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: " "), UInt8(ascii: "\n"):
        at += 1
      default:
        at = scanWord(from: at)
      }
    }
    return open.isEmpty && !tokens.isEmpty
  }

  private func append(_ kind: Token.Kind, start: Int, length: Int) {
    tokens.append(
      Token(kind: kind, start: UInt32(start), lengthBytes: UInt32(length), next: UInt32(tokens.count + 1)))
  }

  /// The place behind the closing quote; nil where there is none.
  private func scanString(from start: Int) -> Int? {
    var at = start
    var kind = Token.Kind.string
    while at < count {
      let byte = bytes[at]
      if byte == UInt8(ascii: "\"") {
        append(kind, start: start, length: at - start)
        return at + 1
      }
      if byte == UInt8(ascii: "\\") {
        kind = .escapedString
        at += 1
      }
      at += 1
    }
    return nil
  }

  /// A number, true, false or null.
  private func scanWord(from start: Int) -> Int {
    var at = start
    while at < count, !",}]: \n".utf8.contains(bytes[at]) { at += 1 }
    switch bytes[start] {
    case UInt8(ascii: "t"): append(.yes, start: start, length: at - start)
    case UInt8(ascii: "f"): append(.no, start: start, length: at - start)
    case UInt8(ascii: "n"): append(.null, start: start, length: at - start)
    default: append(.number, start: start, length: at - start)
    }
    return at
  }
}
