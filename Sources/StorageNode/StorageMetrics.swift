import EventLoop
import Metadata
import Metrics
import ProtocolStorage
import StorageEngine

/// What became of the requests of compute nodes.
@LoopActor
final class ExecuteStatistics {
  /// How a request ended.
  enum Result: Int, CaseIterable {
    case ok
    /// With an error of SQL.
    case failed
    /// Another replica leads.
    case notLeader
    /// It was planned before a tablet moved or changed.
    case staleRoute
    /// Nobody waited for it any more.
    case gone

    var label: String {
      switch self {
      case .notLeader: "not_leader"
      case .staleRoute: "stale_route"
      default: "\(self)"
      }
    }
  }

  private(set) var reads = [UInt64](repeating: 0, count: Result.allCases.count)
  private(set) var writes = [UInt64](repeating: 0, count: Result.allCases.count)
  private(set) var readLatency = Histogram()
  private(set) var writeLatency = Histogram()

  /// By tablet; those that are gone are left in until the process ends.
  private(set) var uses: [TabletID: (reads: UInt64, writes: UInt64)] = [:]

  nonisolated init() {}

  /// Counts the tablets that a request has read and written.
  func used(_ fragments: [Kunlog_Storage_V1_Fragment]) {
    for fragment in fragments {
      for (place, reference) in fragment.tablets.enumerated() {
        let tablet = TabletID(rawValue: reference.tabletID)
        if fragment.isWrite && place == 0 {
          uses[tablet, default: (0, 0)].writes &+= 1
        } else {
          uses[tablet, default: (0, 0)].reads &+= 1
        }
      }
    }
  }

  func ended(isWrite: Bool, _ result: Result, startedAt: UInt64) {
    let nanoseconds = Loop.now - min(startedAt, Loop.now)
    if isWrite {
      writes[result.rawValue] &+= 1
      if result == .ok { writeLatency.record(nanoseconds) }
    } else {
      reads[result.rawValue] &+= 1
      if result == .ok { readLatency.record(nanoseconds) }
    }
  }
}

extension StorageService {
  /// Requests, transactions and tablets, for those who watch the process.
  func metrics() async -> MetricSet {
    var set = MetricSet()
    let executes = "Requests of compute nodes to read or write, by how they ended."
    for result in ExecuteStatistics.Result.allCases {
      let label = ("result", result.label)
      set.counter(
        "kunlog_storage_executes_total", executes, statistics.reads[result.rawValue], ("kind", "read"), label)
      set.counter(
        "kunlog_storage_executes_total", executes, statistics.writes[result.rawValue], ("kind", "write"), label)
    }
    let seconds = "From the arrival of a request to read or write to the end of its answer, of those that went well."
    set.histogram("kunlog_storage_execute_seconds", seconds, statistics.readLatency, ("kind", "read"))
    set.histogram("kunlog_storage_execute_seconds", seconds, statistics.writeLatency, ("kind", "write"))
    set.gauge("kunlog_storage_requests_in_progress", "Requests to read or write that are at work.", requestsAtWork)
    set.gauge("kunlog_storage_open_transactions", "Transactions that are open at this leader.", transactions.count)
    set.counter(
      "kunlog_storage_committed_transactions_total", "Transactions that this replica has applied.",
      machine.committedTransactions)
    set.gauge(
      "kunlog_storage_prepared_transactions",
      "Transactions over several shards that wait for their decision at this leader.",
      prepared.all.count)
    set.counter(
      "kunlog_storage_in_doubt_transactions_total",
      "Transactions over several shards that this leader asked the metadata log to abort.", prepared.inDoubtCount)
    set.gauge("kunlog_storage_is_leader", "Whether this replica leads its shard and serves.", machine.isLeader)
    set.gauge(
      "kunlog_storage_schema_index", "Up to which record of the metadata log the tablets' schema goes.",
      machine.isLeader ? reconciler.consumedIndex : machine.state.metadataIndex)
    moves.addMetrics(to: &set)
    let tablets = await engine.statistics()
    set.gauge("kunlog_storage_tablets", "Tablets of this replica.", tablets.tablets)
    set.gauge("kunlog_storage_tablets_size_bytes", "Files of the tablets.", tablets.sizeBytes)
    if let space = try? FileSystem.space(configuration.dataDirectory) {
      set.gauge(
        "kunlog_storage_disk_free_bytes", "Free for this node on the file system of its data.", space.freeBytes)
      set.gauge("kunlog_storage_disk_total_bytes", "The file system of this node's data.", space.totalBytes)
    }
    return set
  }
}

extension StorageNode {
  /// What those who watch the process are told.
  package func metrics() async -> MetricSet {
    var set = await service?.metrics() ?? MetricSet()
    set.gauge(
      "kunlog_storage_shard_info", "The shard that this node serves; always 1.", 1,
      ("shard", "\(configuration.shardID)"))
    if let replica { set.add(replica.metrics) }
    set.add(server.metrics)
    return set
  }

  /// Why this node is of no use to its shard now; nil: it is.
  package var unreadiness: String? {
    if isWaitingForSpace { return "the disk of \(configuration.engineDirectory) is full" }
    guard port != 0, let status = replicaStatus else { return "log and tablets are being opened" }
    if status.isDiskFull { return "the disk of \(configuration.dataDirectory) is full" }
    return status.leaderID == nil ? "no leader of shard \(configuration.shardID) is known" : nil
  }
}
