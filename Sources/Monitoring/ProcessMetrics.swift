import EventLoop
import Glibc
import Metrics

/// What every process tells of itself: time, memory, files, its event loop, its connections. Under the names that all of
/// Prometheus' clients use, where they have one.
@LoopActor
final class ProcessMetrics {
  private static let lagMilliseconds = 100
  /// RUSAGE_SELF and RUSAGE_THREAD of getrusage(2).
  private static let ofProcess: Int32 = 0
  private static let ofThread: Int32 = 1
  private let startedAt = Loop.wallClockMicroseconds()
  private var lag = Histogram()
  private var timer: LoopTimer?
  private var expected: UInt64 = 0

  /// Begins to measure how late the loop's timers are.
  func start() {
    let interval = UInt64(Self.lagMilliseconds) * 1_000_000
    expected = Loop.now + interval
    timer = LoopTimer(afterMilliseconds: Self.lagMilliseconds, repeatMilliseconds: Self.lagMilliseconds) {
      [weak self] in
      guard let self else { return }
      let now = Loop.now
      lag.record(now > expected ? now - expected : 0)
      expected = max(expected &+ interval, now)
    }
  }

  func stop() { timer?.cancel() }

  func collect() -> MetricSet {
    var set = MetricSet()
    addProcess(to: &set)
    set.histogram(
      "kunlog_loop_lag_seconds",
      "How late the event loop comes to a timer: for so long it was busy with something else.",
      lag)
    set.counter(
      "kunlog_loop_cpu_seconds_total", "Processor time of the event loop's thread.", seconds: Self.threadSeconds())
    set.counter("kunlog_loop_turns_total", "Turns of the event loop.", Loop.turns)
    let network = NetworkCounts.current
    set.gauge("kunlog_network_connections", "Open TCP connections.", network.open)
    set.counter("kunlog_network_accepted_total", "TCP connections that were accepted.", network.accepted)
    let handshakes = "Handshakes of TLS, as server and as client."
    set.counter("kunlog_tls_handshakes_total", handshakes, network.handshakes, ("result", "ok"))
    set.counter("kunlog_tls_handshakes_total", handshakes, network.failedHandshakes, ("result", "failed"))
    for (owner, seconds) in CertificateExpiry.current {
      set.gauge(
        "kunlog_tls_certificate_expiry_timestamp_seconds",
        "When the first of the certificates ends that this process uses, since 1970-01-01 UTC: its own, its authority's.",
        seconds, ("owner", owner.rawValue))
    }
    set.counter(
      "kunlog_network_received_bytes_total", "Bytes that came over TCP connections.", network.receivedBytes)
    set.counter("kunlog_network_sent_bytes_total", "Bytes that went over TCP connections.", network.sentBytes)
    return set
  }

  private func addProcess(to set: inout MetricSet) {
    var usage = rusage()
    getrusage(Self.ofProcess, &usage)
    set.counter(
      "process_cpu_seconds_total", "Processor time of the process, of user and system.", seconds: Self.seconds(usage))
    let pages = ((try? FileSystem.readText("/proc/self/statm")) ?? "").split(separator: " ").compactMap { UInt64($0) }
    let pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    set.gauge(
      "process_resident_memory_bytes", "Memory that the process holds.", (pages.dropFirst().first ?? 0) * pageBytes)
    set.gauge("process_virtual_memory_bytes", "Address space of the process.", (pages.first ?? 0) * pageBytes)
    set.gauge("process_open_fds", "Open files and sockets.", Self.openFiles())
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    set.gauge("process_max_fds", "How many files and sockets may be open.", Double(limit.rlim_cur))
    set.gauge(
      "process_start_time_seconds", "When the process started, since 1970-01-01 UTC.", Double(startedAt) / 1_000_000)
  }

  private static func threadSeconds() -> Double {
    var usage = rusage()
    getrusage(ofThread, &usage)
    return seconds(usage)
  }

  private static func seconds(_ usage: rusage) -> Double {
    Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
  }

  private static func openFiles() -> Int {
    guard let directory = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(directory) }
    // Without the directory itself, "." and "..".
    var count = -3
    while readdir(directory) != nil { count += 1 }
    return max(0, count)
  }
}
