import EventLoop

/// Addresses of meta nodes in a small file, one `host:port` per line. A hint and no more: a file that is missing or damaged is
/// as good as empty, one that cannot be written is left as it is.
package enum EndpointFile {
  private static let maximumEntries = 64

  /// The addresses in the file.
  package static func read(_ path: String) -> [MetadataEndpoint] {
    guard let size = try? FileSystem.size(path), size <= 64 * 1024, let text = try? FileSystem.readText(path) else {
      return []
    }
    return text.split(separator: "\n").prefix(maximumEntries).compactMap { MetadataEndpoint(String($0)) }
  }

  /// Replaces the file where it says something else.
  package static func write(_ endpoints: [MetadataEndpoint], to path: String) {
    let kept = Array(endpoints.prefix(maximumEntries))
    guard !kept.isEmpty, kept != read(path) else { return }
    try? FileSystem.atomicReplace(path, Array(kept.map { $0.description + "\n" }.joined().utf8))
  }
}
