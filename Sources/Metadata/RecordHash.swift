import SQLTypes

/// A link of the chain that makes the log tamper-evident: a SHA-256 digest.
package struct RecordHash: Sendable, Hashable, CustomStringConvertible {
  package static let lengthBytes = 32

  // In place rather than in an array: every record has two.
  private var words: SIMD4<UInt64>

  /// What precedes the first record.
  package static let zero = RecordHash(words: SIMD4(repeating: 0))

  private init(words: SIMD4<UInt64>) { self.words = words }

  /// nil where there are not exactly 32 bytes.
  package init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == RecordHash.lengthBytes else { return nil }
    words = bytes.loadUnaligned(as: SIMD4<UInt64>.self)
  }

  /// nil where there are not exactly 32 bytes.
  package init?(_ bytes: [UInt8]) {
    guard let hash = bytes.withUnsafeBytes({ RecordHash($0) }) else { return nil }
    self = hash
  }

  /// 32 bytes.
  package var bytes: [UInt8] { withBytes { Array($0) } }

  /// Calls the body with the 32 bytes.
  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeBytes(of: words) { body($0) }
  }

  /// SHA-256 of: index and term (8 bytes each, little-endian), and the record's body as the leader encoded it (`RecordBody` in
  /// record.proto) and every replica logged it. The body names the hash of the record before.
  package static func of(index: UInt64, term: UInt64, body: [UInt8]) -> RecordHash {
    var hash = RecordHash.zero
    withUnsafeBytes(of: SIMD2(index.littleEndian, term.littleEndian)) { place in
      body.withUnsafeBytes { body in
        withUnsafeMutableBytes(of: &hash.words) { SHA256.digest(place, body, into: $0) }
      }
    }
    return hash
  }

  /// What a leaf of the record tree has, given the record's hash (RFC 9162, section 2.1.1).
  package static func leaf(_ record: RecordHash) -> RecordHash {
    var hash = RecordHash.zero
    withUnsafeBytes(of: UInt8(0)) { prefix in
      record.withBytes { record in
        withUnsafeMutableBytes(of: &hash.words) { SHA256.digest(prefix, record, into: $0) }
      }
    }
    return hash
  }

  /// What an inner node of the record tree has, given what is below it (RFC 9162, section 2.1.1).
  package static func node(_ left: RecordHash, _ right: RecordHash) -> RecordHash {
    var hash = RecordHash.zero
    withUnsafeTemporaryAllocation(byteCount: 1 + lengthBytes, alignment: 8) { head in
      head[0] = 1
      left.withBytes { UnsafeMutableRawBufferPointer(rebasing: head[1...]).copyMemory(from: $0) }
      right.withBytes { right in
        withUnsafeMutableBytes(of: &hash.words) { SHA256.digest(UnsafeRawBufferPointer(head), right, into: $0) }
      }
    }
    return hash
  }

  /// Lower-case hexadecimal.
  package var description: String { ByteaText.hexadecimal(bytes) }
}
