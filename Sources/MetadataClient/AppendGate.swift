import EventLoop
import Metadata

/// Bounds the appends of one client that are under way: meta nodes keep the results of a client's last requests, so that of
/// requests fewer than that none is forgotten while it is retried.
@LoopActor
final class AppendGate {
  /// How many a client may have under way in a cluster of that level: half of those whose results are kept.
  static func maximumUnderWay(featureLevel: UInt32) -> Int {
    (featureLevel >= FeatureLevel.notes ? RequestTable.resultsPerClient : RequestTable.resultsPerClientAtLevel1) / 2
  }
  static let maximumWaiting = 10_000
  private var underWay = 0
  private var waiting: [UnsafeContinuation<Void, Never>] = []
  private var first = 0

  nonisolated init() {}

  func enter(featureLevel: UInt32) async throws(MetadataError) {
    if underWay < Self.maximumUnderWay(featureLevel: featureLevel) {
      underWay += 1
      return
    }
    guard waiting.count - first < Self.maximumWaiting else { throw .overloaded }
    await withUnsafeContinuation { waiting.append($0) }
  }

  /// Lets the next one in, which takes over the place.
  func leave() {
    guard first < waiting.count else {
      underWay -= 1
      return
    }
    let next = waiting[first]
    first += 1
    if first == waiting.count {
      waiting.removeAll(keepingCapacity: true)
      first = 0
    }
    next.resume()
  }
}
