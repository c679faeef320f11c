import COpenSSL

/// Digests by OpenSSL, which uses the processor's own instructions for them.
package enum OpenSSLDigest {
  /// SHA-256, looked up once: each look-up by name takes a lock.
  ///
  /// Unsafe: never changed after it was made, and made for use by any thread.
  nonisolated(unsafe) private static let sha256Method = EVP_MD_fetch(nil, "SHA256", nil)

  /// SHA-256 of two pieces, one after the other, into 32 bytes. Any thread.
  package static func sha256(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ result: UnsafeMutableRawBufferPointer
  ) {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    var length: UInt32 = 0
    let isDone =
      EVP_DigestInit_ex2(context, sha256Method, nil) == 1
      && EVP_DigestUpdate(context, first.baseAddress, first.count) == 1
      && EVP_DigestUpdate(context, second.baseAddress, second.count) == 1
      && EVP_DigestFinal_ex(context, result.baseAddress?.assumingMemoryBound(to: UInt8.self), &length) == 1
    precondition(isDone && length == 32, "OpenSSL cannot compute SHA-256")
  }
}
