import ArgumentParser
import EventLoop
import Logging
import Metadata
import Metrics
import Monitoring

/// How a node lets itself be watched: its log, and metrics over HTTP.
struct MonitoringOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "Serve /metrics (Prometheus), /healthz and /readyz over plain HTTP on this port (default: not at all).")
  var metricsPort: Int?

  @Option(name: .long, help: "The address to serve them at; what is served there everybody can read who reaches it.")
  var metricsHost = "127.0.0.1"

  @Option(name: .long, help: "The log on standard error: text, or json (one object per line).")
  var logFormat = LogFormat.text

  @Option(
    name: .long, help: "What is logged: trace, debug, info, notice, warning, error or critical, and what is graver.")
  var logLevel = Logger.Level.info

  func validate() throws {
    if let metricsPort, !(0...65535).contains(metricsPort) {
      throw ValidationError("--metrics-port is between 1 and 65535, or 0 for one that the system chooses.")
    }
  }

  /// Gives all loggers of this process their form. Before any of them is made.
  func installLog(_ node: NodeOptions, role: String) {
    NodeLog(
      format: logFormat, level: logLevel,
      node: [("node", node.name), ("node_id", "\(node.nodeID)"), ("role", role)]
    ).install()
  }

  /// Listens where that was asked for.
  @LoopActor
  func serve(_ node: NodeOptions, role: String, _ source: MonitoringSource) throws -> MonitoringServer? {
    guard let metricsPort else { return nil }
    let own = MonitoringSource(
      metrics: {
        var set = await source.metrics()
        set.gauge(
          "kunlog_node_info", "Which node this process is; always 1.", 1, ("name", node.name),
          ("node_id", "\(node.nodeID)"), ("role", role), ("cluster_id", node.clusterID))
        set.gauge(
          "kunlog_build_info", "Which program this process runs; always 1.", 1, ("version", BuildInformation.version),
          ("configuration", BuildInformation.configuration), ("swift", BuildInformation.swift))
        set.gauge("kunlog_ready", "Whether the node serves, as /readyz says.", source.unreadiness() == nil)
        return set
      }, unreadiness: source.unreadiness)
    let server = try MonitoringServer(host: metricsHost, port: metricsPort, source: own)
    Logger(label: node.name).info("metrics at http://\(metricsHost):\(server.port)/metrics")
    return server
  }
}

/// What this program is.
enum BuildInformation {
  /// Of the source.
  static let version = "0.1.0"

  static var configuration: String {
    #if DEBUG
      "debug"
    #else
      "release"
    #endif
  }

  static var swift: String {
    #if compiler(>=6.4)
      "6.4 or later"
    #elseif compiler(>=6.3)
      "6.3"
    #else
      "before 6.3"
    #endif
  }
}

extension LogFormat: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
