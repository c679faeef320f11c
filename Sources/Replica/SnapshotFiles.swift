import EventLoop
import Raft

/// A replica's snapshot files, as they lie in its directory: for checks from outside. Blocks.
package enum SnapshotFiles {
  /// One of them.
  package struct Found: Sendable {
    /// The last entry that it contains; 0 where that is not known.
    package var index: UInt64
    /// The file with the state.
    package var path: String
    package var sizeBytes: Int
    /// What is wrong with it; nil: its bytes are those that were written.
    package var problem: String?
  }

  /// What is in a replica's snapshot directory, oldest first.
  package static func inspect(_ directory: String) throws -> [Found] {
    guard FileSystem.isDirectory(directory) else { return [] }
    let names = try FileSystem.list(directory)
    var found: [Found] = []
    for name in names where name.hasSuffix(".description") {
      let path = directory + "/" + name
      guard let bytes = try? FileSystem.read(path) else { continue }
      guard let stored = SnapshotStore.described(bytes, name: name, in: directory) else {
        found.append(Found(index: 0, path: path, sizeBytes: bytes.count, problem: "it does not describe a snapshot"))
        continue
      }
      found.append(Found(index: stored.metadata.index, path: stored.path, sizeBytes: stored.sizeBytes, problem: nil))
      let last = found.count - 1
      do {
        let (size, checksum) = try SnapshotStore.measure(stored.path)
        if size != stored.sizeBytes || checksum != stored.checksum {
          found[last].problem = "its bytes are not those that were written"
        }
      } catch let error as FileError where error.number == 2 {
        found[last].problem = "the file is missing"
      }
    }
    for name in names where name.hasSuffix(".snapshot") {
      let path = directory + "/" + name
      guard !found.contains(where: { $0.path == path }), FileSystem.exists(path) else { continue }
      found.append(
        Found(
          index: 0, path: path, sizeBytes: (try? FileSystem.size(path)) ?? 0,
          problem: "no description of it is whole, so it is not used"))
    }
    return found.sorted { $0.index < $1.index }
  }
}
