import EventLoop
import Metadata

extension MetadataClient {
  /// How far a consumer of this cluster's log is, kept in a file. The client must be ready.
  /// - Throws: `refused` where the file belongs to a consumer of another cluster, or holds no position; `unavailable` where
  ///   it cannot be read.
  package func position(in path: String) throws(MetadataError) -> ConsumerPosition {
    guard let clusterID = image.clusterID ?? configuration.clusterID else {
      throw .unavailable("it is not known yet which cluster this is")
    }
    return try ConsumerPosition(path, clusterID)
  }
}

/// How far a consumer is, in a small file that is whole at any time. A consumer acknowledges a record when what it does with it
/// is done, and after a restart begins with the one that follows: what it had done without acknowledging it comes again, so
/// that every record is consumed at least once.
@LoopActor
package final class ConsumerPosition {
  private static let kind = "kunlog-consumer"
  private static let maximumBytes = 4096

  package let path: String
  /// The last record that was acknowledged; nil: the consumer is new.
  package private(set) var index: UInt64?
  private let clusterID: ClusterID
  private let worker = WorkerThread(name: "consumer-position", isBackground: true)
  private var wanted: UInt64 = 0
  private var isWriting = false
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  init(_ path: String, _ clusterID: ClusterID) throws(MetadataError) {
    self.path = path
    self.clusterID = clusterID
    guard FileSystem.exists(path) else { return }
    let text: String
    do throws(FileError) {
      text = try FileSystem.size(path) > Self.maximumBytes ? "" : FileSystem.readText(path)
    } catch { throw .unavailable("the position cannot be read: \(error)") }
    let words = text.split(whereSeparator: \.isWhitespace)
    guard words.count == 3, words[0] == Self.kind, let index = UInt64(words[2]), text.last == "\n" else {
      throw .refused("\(path) holds no position: remove it to begin anew")
    }
    guard words[1] == Self.text(clusterID) else {
      throw .refused("\(path) is the position of a consumer of cluster \(words[1]), this is \(Self.text(clusterID))")
    }
    self.index = index
  }

  /// Keeps the index; returns when it is on the disk. What is acknowledged while the disk writes is written together.
  /// - Throws: `unavailable` where the file cannot be written.
  package func acknowledge(_ index: UInt64) async throws(MetadataError) {
    wanted = max(wanted, index)
    while (self.index ?? 0) < index {
      guard !isWriting else {
        await withUnsafeContinuation { waiters.append($0) }
        continue
      }
      isWriting = true
      let target = wanted
      let (path, bytes) = (path, Array("\(Self.kind) \(Self.text(clusterID)) \(target)\n".utf8))
      var failure: MetadataError?
      do {
        try await worker.run { try FileSystem.atomicReplace(path, bytes) }
        self.index = target
      } catch { failure = .unavailable("the position cannot be kept: \(error)") }
      isWriting = false
      let waiting = waiters
      waiters = []
      for waiter in waiting { waiter.resume() }
      if let failure { throw failure }
    }
  }

  /// Ends the thread that writes.
  package func close() { worker.shutdown() }

  private static func text(_ id: ClusterID) -> String {
    id.rawValue.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }
}
