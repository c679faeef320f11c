import CNGHTTP2

/// Headers to be sent: names and values in one block of bytes, handed to nghttp2 as pointers into it.
struct HeaderBlock {
  private struct Entry {
    let nameBytes: Int
    let valueBytes: Int
    let isIndexed: Bool
  }

  private var bytes: [UInt8] = []
  private var entries: [Entry] = []

  init() {
    bytes.reserveCapacity(256)
    entries.reserveCapacity(10)
  }

  /// - Parameter isIndexed: false for values that change from call to call and would only fill HPACK's table.
  mutating func add(_ name: String, _ value: String, isIndexed: Bool = true) {
    bytes.append(contentsOf: name.utf8)
    bytes.append(contentsOf: value.utf8)
    entries.append(Entry(nameBytes: name.utf8.count, valueBytes: value.utf8.count, isIndexed: isIndexed))
  }

  mutating func add(_ name: String, _ value: [UInt8], isIndexed: Bool = true) {
    bytes.append(contentsOf: name.utf8)
    bytes.append(contentsOf: value)
    entries.append(Entry(nameBytes: name.utf8.count, valueBytes: value.count, isIndexed: isIndexed))
  }

  /// Adds `:path` in front: HTTP/2 wants its own headers before all others.
  mutating func insertPath(_ path: String) {
    bytes.insert(contentsOf: Array(":path".utf8) + Array(path.utf8), at: 0)
    entries.insert(Entry(nameBytes: 5, valueBytes: path.utf8.count, isIndexed: true), at: 0)
  }

  mutating func add(_ metadata: RPCMetadata) {
    for (name, value) in metadata where Self.isAllowed(name) { add(name, value, isIndexed: false) }
  }

  /// Calls the body with the headers as nghttp2 wants them; it copies what it keeps.
  func withPairs<R>(_ body: (UnsafePointer<nghttp2_nv>, Int) -> R) -> R {
    bytes.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: entries.count) { pairs in
        // nghttp2 does not write through these pointers.
        var position = UnsafeMutablePointer(mutating: bytes.baseAddress!)
        for (index, entry) in entries.enumerated() {
          let flags = entry.isIndexed ? NGHTTP2_NV_FLAG_NONE.rawValue : NGHTTP2_NV_FLAG_NO_INDEX.rawValue
          pairs.initializeElement(
            at: index,
            to: nghttp2_nv(
              name: position, value: position + entry.nameBytes, namelen: entry.nameBytes, valuelen: entry.valueBytes,
              flags: UInt8(flags)))
          position += entry.nameBytes + entry.valueBytes
        }
        return body(UnsafePointer(pairs.baseAddress!), entries.count)
      }
    }
  }

  /// Names that an application may set: HTTP's and gRPC's own are not its business, and others would be refused by a peer.
  private static func isAllowed(_ name: String) -> Bool {
    if name == "grpc-accept-encoding" { return true }
    guard !name.isEmpty, !name.hasPrefix("grpc-"), name != "te", name != "content-type", name != "connection" else {
      return false
    }
    return name.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Whether the bytes are the text's.
  func isEqual(to text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in 0..<count where self[index] != text.utf8Start[index] { return false }
    return true
  }

  /// Whether the bytes begin with the text's.
  func starts(with text: StaticString) -> Bool {
    guard count >= text.utf8CodeUnitCount else { return false }
    return UnsafeBufferPointer(rebasing: self[0..<text.utf8CodeUnitCount]).isEqual(to: text)
  }
}
