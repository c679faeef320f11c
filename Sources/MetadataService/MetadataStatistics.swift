import EventLoop
import Metadata
import Metrics
import ProtocolMetadata
import RPC

/// What a meta node has answered since its process started.
@LoopActor
final class MetadataStatistics {
  /// What became of a request to append.
  enum AppendResult: Int, CaseIterable {
    /// A record was committed, or had been for the same request before.
    case appended
    /// The request was refused by what the log knows.
    case rejected
    /// Another node leads, or none.
    case notLeader
    /// The outcome is not known, or the request was none.
    case failed

    var label: String { self == .notLeader ? "not_leader" : "\(self)" }
  }

  private var appends = [UInt64](repeating: 0, count: AppendResult.allCases.count)
  /// Of requests that were decided.
  private(set) var appendLatency = Histogram()
  /// Streams of appends that are open, and that were opened.
  var openAppendStreams = 0
  var appendStreams: UInt64 = 0
  var sentRecords: UInt64 = 0
  var sentImages: UInt64 = 0
  var sentBookmarks: UInt64 = 0

  nonisolated init() {}

  /// A request was answered. On the way of each append.
  func answered(_ result: Result<Kunlog_Metadata_V1_AppendResponse, RPCError>, startedAt: UInt64) {
    guard case .success(let response) = result else { return count(.failed) }
    switch response.kind {
    case .appended: count(.appended)
    case .rejected: count(.rejected)
    case .notLeader: return count(.notLeader)
    case nil: return count(.failed)
    }
    let now = Loop.now
    appendLatency.record(now > startedAt ? now - startedAt : 0)
  }

  private func count(_ result: AppendResult) { appends[result.rawValue] &+= 1 }

  /// How often a request came to that.
  func appends(_ result: AppendResult) -> UInt64 { appends[result.rawValue] }
}

extension MetadataService {
  /// The metadata log as this node serves it, for those who watch the process.
  var metrics: MetricSet {
    var set = MetricSet()
    for result in MetadataStatistics.AppendResult.allCases {
      set.counter(
        "kunlog_meta_appends_total", "Requests to append, by what became of them.", statistics.appends(result),
        ("result", result.label))
    }
    set.histogram(
      "kunlog_meta_append_seconds",
      "From the arrival of a request to append to its answer, of those that were decided.",
      statistics.appendLatency)
    set.gauge(
      "kunlog_meta_append_streams", "Streams of appends that are open.", statistics.openAppendStreams)
    set.counter(
      "kunlog_meta_append_streams_opened_total", "Streams of appends that were opened.", statistics.appendStreams)
    let image = machine.image
    set.gauge("kunlog_meta_record_index", "The last record that this node has applied.", image.index)
    set.gauge("kunlog_meta_feature_level", "The feature level that the cluster is at.", image.featureLevel)
    set.gauge(
      "kunlog_meta_supported_feature_level", "The highest feature level that this program knows.", FeatureLevel.current)
    set.gauge(
      "kunlog_meta_cluster_info", "The cluster that this node belongs to; always 1.", 1,
      ("cluster_id", clusterID.text), ("name", image.clusterName))
    addObjects(image, to: &set)
    set.gauge("kunlog_meta_subscribers", "Subscriptions that are open.", hub.count)
    set.gauge(
      "kunlog_meta_subscriber_lag_records", "Records that the subscriber lacks that is furthest behind.",
      hub.highestLag(at: image.index))
    set.gauge(
      "kunlog_meta_lagging_subscribers", "Subscribers that lack more than 1000 records.",
      hub.lagging(by: 1000, at: image.index))
    set.gauge(
      "kunlog_meta_subscriber_held_bytes", "Bytes held for subscribers that have not taken them.", hub.heldBytes)
    set.counter("kunlog_meta_sent_records_total", "Records sent to subscribers.", statistics.sentRecords)
    set.counter("kunlog_meta_sent_images_total", "Images sent to subscribers.", statistics.sentImages)
    set.counter("kunlog_meta_sent_bookmarks_total", "Bookmarks sent to subscribers.", statistics.sentBookmarks)
    return set
  }

  private func addObjects(_ image: Image, to set: inout MetricSet) {
    let help = "Objects that the log's image holds."
    for (kind, count) in [
      ("node", image.nodes.count), ("shard", image.shards.count), ("tablet", image.tablets.count),
    ] { set.gauge("kunlog_meta_objects", help, count, ("kind", kind)) }
  }
}

extension ClusterID {
  /// 32 hexadecimal digits.
  var text: String {
    rawValue.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
