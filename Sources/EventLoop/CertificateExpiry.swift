/// When the certificates end that this process uses. A renewed file counts at once, as it does for the next connection.
@LoopActor
package enum CertificateExpiry {
  /// Whose certificate it is.
  package enum Owner: String, Sendable, CaseIterable {
    /// What this process shows to others.
    case own
    /// Of an authority that it trusts.
    case authority
  }

  private static var known: [String: (version: FileVersion, seconds: Double)] = [:]

  /// The first end of each owner's certificates, in seconds since 1970-01-01 UTC; none where there is no TLS, or where the files
  /// could never be read.
  package static var current: [(owner: Owner, seconds: Double)] {
    let files = TLSContext.files
    let ends: [(Owner, Double?)] = [
      (.own, files.certificates.compactMap(end).min()), (.authority, files.authorities.compactMap(end).min()),
    ]
    return ends.compactMap { owner, end in end.map { (owner, $0) } }
  }

  /// The first end of a certificate in a file: in a chain each has to be good. Where the file cannot be used, what was loaded
  /// before stays in use, and so does its end.
  private static func end(of path: String) -> Double? {
    let version = FileVersion(path)
    if let known = known[path], known.version == version { return known.seconds }
    do throws(CertificateError) {
      let left = try CertificateDetails.read(path).map(\.secondsLeft).min() ?? 0
      let end = (Double(Loop.wallClockMicroseconds()) / 1_000_000).rounded() + Double(left)
      known[path] = (version, end)
      return end
    } catch { return known[path]?.seconds }
  }
}
