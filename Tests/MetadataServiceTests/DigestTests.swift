import EventLoop
import Metadata
import Testing

@Suite struct DigestTests {
  @Test func openSSLsDigestIsTheOneInSwift() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for length in [0, 1, 63, 64, 65, 300] {
      var hasher = SHA256()
      hasher.update(Array(bytes.prefix(length)))
      var digest = [UInt8](repeating: 0, count: 32)
      bytes.withUnsafeBytes { bytes in
        let cut = length / 3
        digest.withUnsafeMutableBytes {
          OpenSSLDigest.sha256(
            UnsafeRawBufferPointer(rebasing: bytes[..<cut]), UnsafeRawBufferPointer(rebasing: bytes[cut..<length]), $0)
        }
      }
      #expect(digest == hasher.finish())
    }
  }
}
