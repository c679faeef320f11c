import EventLoop
import Metadata
import MetadataWire
import Replica

/// What the meta nodes replicate: the fold of the log.
///
/// The state is in memory; a restart begins with the replica's snapshot and the log after it. On the leader there is also the
/// speculative image, committed records and those in flight: what the next command is decided against.
///
/// Invariant: the speculative image continues `image`; it exists only between winning and losing the leadership, within which
/// entries are committed in the order in which they were proposed.
@LoopActor
final class MetadataMachine: StateMachine {
  /// What a record has become once it is applied.
  struct Applied: Sendable {
    let index: UInt64
  }

  enum Failure: Error, CustomStringConvertible {
    case entry(index: UInt64, WireError)
    case brokenChain(index: UInt64, previous: UInt64, known: UInt64)
    case featureLevel(UInt32)

    var description: String {
      switch self {
      case .entry(let index, let error): "entry \(index) of the metadata log: \(error)"
      case .brokenChain(let index, let previous, let known):
        "entry \(index) of the metadata log continues record \(previous) with a hash other than that of record \(known)"
      case .featureLevel(let level):
        "the cluster is at feature level \(level), this program understands \(FeatureLevel.current): run a newer version"
      }
    }
  }

  private(set) var image = Image()
  private(set) var recent: RecentRecords
  /// Committed and in flight; nil where this replica does not lead.
  private(set) var speculation: Image?
  /// The term in which this replica leads, or led last.
  private(set) var leadershipTerm: UInt64 = 0
  /// Fires when the image or the leadership has changed.
  let changes = ChangeSignal()
  private let worker = WorkerThread(name: "metadata-snapshot")

  /// The state is in memory only: all of it comes from the replica's snapshot and log.
  var appliedIndex: UInt64 { 0 }

  /// - Parameter recentBytes: how many bytes of records are kept in memory for subscribers that keep up.
  nonisolated init(recentBytes: Int) { recent = RecentRecords(limitBytes: recentBytes) }

  func apply(_ entries: [CommittedEntry]) async throws -> [Applied] {
    var outputs: [Applied] = []
    outputs.reserveCapacity(entries.count)
    for entry in entries {
      let record: Record
      do throws(WireError) {
        record = try Record(body: entry.payload, index: entry.index, term: entry.term)
      } catch { throw Failure.entry(index: entry.index, error) }
      guard record.continues(image) else {
        throw Failure.brokenChain(index: entry.index, previous: record.previousIndex, known: image.index)
      }
      image.apply(record)
      recent.append(record, body: entry.payload)
      outputs.append(Applied(index: entry.index))
    }
    guard image.featureLevel <= FeatureLevel.current else { throw Failure.featureLevel(image.featureLevel) }
    // Nothing in flight: share the committed image's memory again.
    if speculation?.index == image.index { speculation = image }
    changes.fire()
    return outputs
  }

  /// Adds a record that the leader has just appended.
  func speculate(_ record: Record) { speculation?.apply(record) }

  func leadershipChanged(isLeader: Bool, term: UInt64) {
    speculation = isLeader ? image : nil
    leadershipTerm = term
    changes.fire()
  }

  func writeSnapshot(to path: String) async throws -> UInt64 {
    let image = image
    try await worker.run { try ImageFile.write(image, to: path) }
    return image.index
  }

  func restoreSnapshot(from path: String, index: UInt64) async throws {
    image = try await worker.run { try ImageFile.read(path) }
    recent.removeAll()
    changes.fire()
  }

  func close() { worker.shutdown() }
}
