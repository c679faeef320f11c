import CLibUV

/// Checksums by the processor's own instructions.
package enum HardwareChecksum {
  /// Takes bytes into a CRC-32C: the state before (not inverted), and the one after. nil where the processor has no
  /// instruction for it.
  package static var crc32c: (@Sendable (UInt32, UnsafeRawBufferPointer) -> UInt32)? {
    guard kunlog_crc32c_is_supported() != 0 else { return nil }
    return { state, bytes in kunlog_crc32c_update(state, bytes.baseAddress, UInt(bytes.count)) }
  }
}
