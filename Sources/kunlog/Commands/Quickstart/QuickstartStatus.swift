import ArgumentParser
import EventLoop
import FoundationEssentials

/// `kunlog quickstart status --data DIR [--json]`: which processes run. What they are doing is `kunlog cluster status`.
struct QuickstartStatus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the processes of a quick start.")

  @OptionGroup var location: QuickstartLocation

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  struct Report: Codable {
    struct Process: Codable {
      var role: String
      var name: String
      /// nil where it does not run.
      var pid: Int32?
      var ports: [String: Int]
      /// "running" (it accepts connections), "starting", or "stopped".
      var state: String
    }
    var data: String
    var processes: [Process]
  }

  func run() async throws {
    let directory = location.directory
    let layout = try directory.requireLayout()
    var report = Report(data: directory.path, processes: [])
    for process in layout.processes {
      let pid = directory.runningProcess(process.name)
      var ports = ["grpc": process.port]
      ports["postgres"] = process.postgresPort
      ports["metrics"] = process.metricsPort
      let accepts =
        pid == nil
        ? false : await QuickstartGrowth.accepts(host: process.host, port: process.postgresPort ?? process.port)
      report.processes.append(
        Report.Process(
          role: process.role, name: process.name, pid: pid, ports: ports,
          state: pid == nil ? "stopped" : accepts ? "running" : "starting"))
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      print(Self.table(report))
    }
  }

  static func table(_ report: Report) -> String {
    var table = TextTable(header: ["name", "role", "state", "pid", "ports"])
    for process in report.processes {
      table.add([
        process.name, process.role, process.state, process.pid.map(String.init) ?? "",
        process.ports.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
      ])
    }
    return table.text
  }
}
