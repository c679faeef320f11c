import EventLoop
import Metrics

extension MetadataClient {
  /// How well this process follows the metadata log, for those who watch it.
  package var metrics: MetricSet {
    var set = MetricSet()
    set.gauge("kunlog_metadata_index", "The last record of the metadata log that has arrived here.", image.index)
    set.gauge("kunlog_metadata_following", "Whether a meta node is followed now.", followed != nil)
    set.gauge(
      "kunlog_metadata_silence_seconds", "Since when nothing has come from a meta node; idle ones speak once a second.",
      lastHeard == 0 ? 0 : Double(Loop.now - min(lastHeard, Loop.now)) * 1e-9)
    return set
  }
}
