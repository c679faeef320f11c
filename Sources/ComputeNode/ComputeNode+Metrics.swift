import Metrics
import RPC

extension ComputeNode {
  /// What those who watch the process are told.
  package var metrics: MetricSet {
    var set = MetricSet()
    set.gauge("kunlog_sql_sessions", "Sessions of clients.", sessionCount)
    set.gauge(
      "kunlog_sql_connections", "Connections of clients, those included that have not logged in.",
      listener?.connectionCount ?? 0)
    set.gauge("kunlog_sql_maximum_sessions", "How many sessions there may be.", configuration.maximumSessions)
    listener?.statistics.add(to: &set)
    let lookups = "Looks into the cache of plans."
    set.counter("kunlog_sql_plan_cache_lookups_total", lookups, plans.hits, ("result", "hit"))
    set.counter("kunlog_sql_plan_cache_lookups_total", lookups, plans.misses, ("result", "miss"))
    set.gauge("kunlog_sql_plan_cache_plans", "Plans in the cache.", plans.count)
    storage.statistics.add(to: &set)
    coordinator.statistics.add(to: &set)
    set.counter(
      "kunlog_compute_deadlocks_total", "Transactions that were ended because of a deadlock over several shards.",
      deadlocks.victims)
    set.add(metadata.metrics)
    set.add(server.metrics)
    return set
  }

  /// Why clients are not served; nil: they are.
  package var unreadiness: String? {
    if isStopped { return "the node is stopping" }
    return listener == nil ? "the catalog has not been read yet" : nil
  }
}
