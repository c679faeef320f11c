/// Names and values that travel with a call beside its messages. Names are lower case; a name that ends in `-bin` has bytes as
/// its value, any other printable ASCII.
package struct RPCMetadata: Sendable, Equatable, Sequence, ExpressibleByArrayLiteral, CustomStringConvertible {
  private struct Entry: Sendable, Equatable {
    let name: String
    /// As it stands in the header; base64 for `-bin`.
    let value: String
  }

  private var entries: [Entry] = []

  /// No metadata.
  package init() {}

  /// Names and values, in order.
  package init(arrayLiteral elements: (String, String)...) {
    for (name, value) in elements { add(name, value) }
  }

  /// Whether there is none.
  package var isEmpty: Bool { entries.isEmpty }

  /// Number of values.
  package var count: Int { entries.count }

  /// Adds a value. A character that a header cannot hold becomes `?`; to a `-bin` name the text's UTF-8 is added as bytes.
  package mutating func add(_ name: String, _ value: String) {
    let name = name.lowercased()
    if name.hasSuffix("-bin") {
      add(name, Array(value.utf8))
    } else {
      let printable = value.utf8.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
      entries.append(Entry(name: name, value: String(decoding: printable, as: UTF8.self)))
    }
  }

  /// Adds bytes; the name should end in `-bin`, and gets that ending where it does not.
  package mutating func add(_ name: String, _ bytes: [UInt8]) {
    let name = name.lowercased()
    entries.append(Entry(name: name.hasSuffix("-bin") ? name : name + "-bin", value: Base64.encode(bytes)))
  }

  /// Adds what a peer sent, as it stands in the header.
  mutating func addReceived(_ name: String, _ value: String) {
    entries.append(Entry(name: name, value: value))
  }

  /// The first value of the name; for a `-bin` name in base64.
  package subscript(name: String) -> String? {
    entries.first { $0.name == name }?.value
  }

  /// The first value of a `-bin` name; nil also where it is not base64.
  package func bytes(_ name: String) -> [UInt8]? {
    self[name].flatMap { Base64.decode($0.utf8) }
  }

  /// Names and values in order; those of `-bin` names in base64.
  package func makeIterator() -> AnyIterator<(name: String, value: String)> {
    var iterator = entries.makeIterator()
    return AnyIterator { iterator.next().map { ($0.name, $0.value) } }
  }

  /// In words.
  package var description: String {
    entries.map { "\($0.name): \($0.value)" }.joined(separator: ", ")
  }
}

/// Base64 (RFC 4648), standard alphabet. gRPC sends `-bin` values without padding and accepts both.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()

  /// Without padding.
  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var position = 0
    while position < bytes.count {
      let group = bytes[position..<min(position + 3, bytes.count)]
      var bits = 0
      for byte in group { bits = bits << 8 | Int(byte) }
      bits <<= 8 * (3 - group.count)
      for index in 0...group.count { text.append(alphabet[bits >> (18 - 6 * index) & 63]) }
      position += 3
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// With or without padding; nil where it is not base64.
  static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits = 0
    var count = 0
    var isPadded = false
    for character in text {
      if character == UInt8(ascii: "=") {
        isPadded = true
        continue
      }
      let value = values[Int(character)]
      guard value != 0xFF, !isPadded else { return nil }
      bits = (bits << 6 | Int(value)) & 0xFF_FFFF
      count += 1
      if count % 4 != 1 { bytes.append(UInt8(truncatingIfNeeded: bits >> [0, 0, 4, 2][count % 4])) }
    }
    return count % 4 == 1 ? nil : bytes
  }
}
