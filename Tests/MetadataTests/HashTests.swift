import Metadata
import Testing

@Suite struct HashTests {
  @Test(
    "SHA-256 gives the standard's digests",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
    ])
  func standardDigests(text: String, digest: String) {
    var hasher = SHA256()
    hasher.update(Array(text.utf8))
    #expect(RecordHash(hasher.finish())?.description == digest)
  }

  @Test func theDigestDoesNotDependOnHowTheInputIsCut() {
    let input = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var whole = SHA256()
    whole.update(input)
    let expected = whole.finish()
    for size in [1, 3, 63, 64, 65, 127, 999] {
      var hasher = SHA256()
      for start in stride(from: 0, to: input.count, by: size) {
        hasher.update(Array(input[start..<min(start + size, input.count)]))
      }
      #expect(hasher.finish() == expected)
    }
  }
}
