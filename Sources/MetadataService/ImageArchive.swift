import EventLoop
import Logging
import Metadata
import SegmentedLog

/// Images that are kept along the archive, so that no image of the past is far from one: a file each,
/// `<index>-<latest time>.image` beside the archived segments, in the form of a snapshot.
///
/// They are as good as the records from which they can be made again: one that is damaged is set aside and replaced, one whose
/// records are gone goes too.
@LoopActor
final class ImageArchive {
  /// An image in a file.
  struct Kept: Sendable, Equatable {
    var index: UInt64
    /// No record up to it bears a later time; 0 where that is not known.
    var latestTimeMicroseconds: Int64
    var sizeBytes: Int

    var name: String { Self.padded(index) + "-" + Self.padded(time) + ".image" }
    private var time: UInt64 { UInt64(max(0, latestTimeMicroseconds)) }

    init(index: UInt64, latestTimeMicroseconds: Int64, sizeBytes: Int) {
      self.index = index
      self.latestTimeMicroseconds = latestTimeMicroseconds
      self.sizeBytes = sizeBytes
    }

    /// nil for the names of other files.
    init?(name: String, sizeBytes: Int) {
      guard name.hasSuffix(".image") else { return nil }
      let parts = name.dropLast(6).split(separator: "-")
      guard parts.count == 2, let index = UInt64(parts[0]), let time = Int64(parts[1]) else { return nil }
      self.init(index: index, latestTimeMicroseconds: time, sizeBytes: sizeBytes)
    }

    private static func padded(_ value: UInt64) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, 20 - digits.count)) + digits
    }
  }

  /// Where they lie; a file is looked for in one after the other, new ones go to the first.
  nonisolated let directories: [String]
  /// The latest last.
  private(set) var kept: [Kept] = []

  private let distance: UInt64
  private let distanceBytes: Int
  private let worker = WorkerThread(name: "metadata-images", isBackground: true)
  private let logger = Logger(label: "metadata-history")
  private var bytesSinceLast = 0
  private var isOpen = false
  private var isWriting = false

  /// - Parameters:
  ///   - distance: about how many entries lie between two of them at most.
  ///   - distanceBytes: about how many bytes of records do.
  nonisolated init(directories: [String], distance: UInt64 = 50_000, distanceBytes: Int = 64 * 1024 * 1024) {
    self.directories = directories
    self.distance = distance
    self.distanceBytes = distanceBytes
  }

  /// Looks which there are.
  func open() async throws {
    kept = try await worker.run { [directories] in try Self.list(directories) }
    isOpen = true
  }

  func close() {
    isOpen = false
    worker.shutdown()
  }

  private nonisolated static func list(_ directories: [String]) throws -> [Kept] {
    try FileSystem.createDirectory(directories[0])
    var found: [UInt64: Kept] = [:]
    for directory in directories {
      for name in (try? FileSystem.list(directory)) ?? [] {
        let path = directory + "/" + name
        if name.hasSuffix(".image.new") { try? FileSystem.remove(path) }
        guard let image = Kept(name: name, sizeBytes: (try? FileSystem.size(path)) ?? 0) else { continue }
        found[image.index] = image
      }
    }
    return found.values.sorted { $0.index < $1.index }
  }

  /// Told after records were applied: keeps the image where the last one is far enough behind.
  func applied(_ image: Image, sizeBytes: Int) {
    bytesSinceLast += sizeBytes
    guard isOpen, !isWriting, isDue(image.index) else { return }
    keep(image)
  }

  private func isDue(_ index: UInt64) -> Bool {
    if let last = kept.last, last.index >= index {
      // Older records again, after a restart: only what is missing.
      let before = kept.last { $0.index <= index }?.index ?? 0
      let after = kept.first { $0.index >= index }?.index ?? .max
      return index - before >= distance && after - index >= distance
    }
    return index - (kept.last?.index ?? 0) >= distance || bytesSinceLast >= distanceBytes
  }

  /// Writes an image.
  func keep(_ image: Image) {
    isWriting = true
    bytesSinceLast = 0
    var made = Kept(index: image.index, latestTimeMicroseconds: image.tree.latestTimeMicroseconds, sizeBytes: 0)
    let (name, directory) = (made.name, directories[0])
    worker.run(
      { () -> Result<Int, any Error> in
        Result {
          let temporary = directory + "/" + name + ".new"
          try FileSystem.createDirectory(directory)
          do {
            try ImageFile.write(image, to: temporary)
            try FileSystem.rename(temporary, directory + "/" + name)
          } catch {
            // A disk that is full needs every byte.
            try? FileSystem.remove(temporary)
            throw error
          }
          return try FileSystem.size(directory + "/" + name)
        }
      },
      then: { [weak self] result in
        guard let self else { return }
        self.isWriting = false
        switch result {
        case .success(let size):
          made.sizeBytes = size
          self.kept.removeAll { $0.index == made.index }
          self.kept.append(made)
          self.kept.sort { $0.index < $1.index }
        case .failure(let error): self.logger.error("no image was kept along the archive: \(error)")
        }
      })
  }

  /// Forgets those from which no record leads on any more.
  func prune(before firstEntry: UInt64) {
    let gone = kept.filter { $0.index + 1 < firstEntry }
    guard !gone.isEmpty else { return }
    kept.removeAll { $0.index + 1 < firstEntry }
    worker.post { [directories] in
      for image in gone { Self.remove(image.name, directories) }
    }
  }

  /// Reads one; throws where it is damaged or gone, after it was set aside.
  func read(_ image: Kept) async throws -> Image {
    do {
      return try await worker.run { [directories] in
        var failure: any Error = FileError("open", directories[0] + "/" + image.name, number: 2)
        for directory in directories where FileSystem.exists(directory + "/" + image.name) {
          do { return try ImageFile.read(directory + "/" + image.name) } catch { failure = error }
        }
        throw failure
      }
    } catch let error as ImageFile.Damaged {
      kept.removeAll { $0 == image }
      worker.post { [directories] in Self.remove(image.name, directories) }
      throw error
    }
  }

  private nonisolated static func remove(_ name: String, _ directories: [String]) {
    for directory in directories { try? FileSystem.remove(directory + "/" + name) }
  }
}
