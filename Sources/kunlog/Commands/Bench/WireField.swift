/// Finds fields in a protobuf message without decoding the rest of it.
enum WireField {
  /// Calls the body with the bytes of each field at the path: a number for each level, of messages but for the last.
  static func each(
    _ path: ArraySlice<UInt64>, in bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    guard let wanted = path.first else { return body(bytes) }
    var rest = bytes[...]
    while let key = varint(&rest) {
      switch key & 7 {
      case 0: guard varint(&rest) != nil else { return }
      case 1: rest = rest.dropFirst(8)
      case 2:
        guard let length = varint(&rest), length <= rest.count else { return }
        let content = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(length)))
        rest = rest.dropFirst(Int(length))
        if key >> 3 == wanted { each(path.dropFirst(), in: content, body) }
      case 5: rest = rest.dropFirst(4)
      default: return
      }
    }
  }

  private static func varint(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = bytes.popFirst(), shift < 64 {
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
