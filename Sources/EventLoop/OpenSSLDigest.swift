import COpenSSL

/// Digests by OpenSSL, which uses the processor's own instructions for them.
package enum OpenSSLDigest {
  /// SHA-256 of two pieces, one after the other, into 32 bytes. Any thread.
  package static func sha256(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ result: UnsafeMutableRawBufferPointer
  ) {
    precondition(result.count >= 32, "a digest of SHA-256 has 32 bytes")
    let isDone = kunlog_SHA256(
      first.baseAddress, first.count, second.baseAddress, second.count,
      result.baseAddress?.assumingMemoryBound(to: UInt8.self))
    precondition(isDone == 1, "OpenSSL cannot compute SHA-256")
  }
}
