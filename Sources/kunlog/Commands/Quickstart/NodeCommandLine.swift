import MetadataClient

/// The command line of a quick start's process: what an operator would type to start that node by hand.
struct NodeCommandLine {
  var layout: ClusterLayout
  var directory: QuickstartDirectory

  func arguments(for process: ProcessLayout, parent: Int32) -> [String] {
    var line = [
      process.role, "--name", process.name, "--node-id", "\(process.nodeID)", "--cluster-id", layout.clusterID,
      "--listen", "\(process.host):\(process.port)",
      "--certificate", directory.certificateFile(process.name), "--key", directory.keyFile(process.name),
      "--authority", directory.authorityFile, "--parent", "\(parent)",
    ]
    if let port = process.metricsPort { line += ["--metrics-port", "\(port)", "--metrics-host", process.host] }
    if directory.hasBegun(process), process.role == "meta" || process.role == "storage" { line.append("--existing") }
    switch process.role {
    case "meta":
      line += ["--data", directory.dataDirectory(process.name)] + members(layout.processes(role: "meta"))
    case "storage":
      line += ["--data", directory.dataDirectory(process.name), "--shard", "\(process.shard ?? 0)"] + metadata
      line +=
        process.joins == true
        ? ["--join"]
        : members(layout.processes(role: "storage").filter { $0.shard == process.shard && $0.joins != true })
    case "compute":
      line += ["--data", directory.dataDirectory(process.name)] + metadata
      line += ["--postgres", "\(process.host):\(process.postgresPort ?? 0)"]
    default:
      line += metadata + ["--quickstart", directory.path]
    }
    return line
  }

  private var metadata: [String] {
    let began = layout.processes(role: "meta").map { MetadataEndpoint(host: $0.host, port: $0.port) }
    let endpoints = (try? directory.metaEndpoints()) ?? began
    return ["--metadata", endpoints.map(\.description).joined(separator: ",")]
  }

  private func members(_ processes: [ProcessLayout]) -> [String] {
    processes.flatMap { ["--member", "\($0.nodeID)=\($0.host):\($0.port)"] }
  }
}
