import ArgumentParser
import FoundationEssentials
import Glibc
import MetadataClient

/// The data directory of a quick start: `cluster.json` (the layout), `certificates/`, `run/` (process ids), `log/`, and a
/// directory per process.
struct QuickstartDirectory: Sendable {
  var path: String

  init(path: String) {
    self.path = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  /// Where a quick start keeps its data when nobody says otherwise.
  static var standardPath: String {
    (ProcessInfo.processInfo.environment["HOME"] ?? "/tmp") + "/.kunlog/quickstart"
  }

  var layoutFile: String { path + "/cluster.json" }
  var certificates: String { path + "/certificates" }
  var authorityFile: String { certificates + "/ca.pem" }
  func certificateFile(_ name: String) -> String { certificates + "/\(name).pem" }
  func keyFile(_ name: String) -> String { certificates + "/\(name).key" }
  func dataDirectory(_ name: String) -> String { path + "/" + name }
  func logFile(_ name: String) -> String { path + "/log/\(name).log" }
  func pidFile(_ name: String) -> String { path + "/run/\(name).pid" }
  /// The meta nodes as they were heard of last, where they are no longer those of the layout.
  var metaEndpointsFile: String { path + "/meta-nodes" }
  /// Exists while every process of the cluster has been ready since the supervisor's start.
  var readyFile: String { path + "/run/ready" }
  /// Exists once every process of the cluster was ready for the first time: a node that has no data later has lost it.
  var begunFile: String { path + "/begun" }
  var hasBegun: Bool { access(begunFile, F_OK) == 0 }
  /// The same for a process that was added later.
  func begunFile(_ name: String) -> String { path + "/begun-\(name)" }
  /// Says that it has data from now on.
  func noteBegun(_ name: String) throws { try Data().write(to: URL(filePath: begunFile(name))) }
  func hasBegun(_ process: ProcessLayout) -> Bool {
    hasBegun && (process.isAdded != true || access(begunFile(process.name), F_OK) == 0)
  }

  /// The layout of an existing quick start; nil where there is none yet.
  func loadLayout() throws -> ClusterLayout? {
    guard let data = FileManager.default.contents(atPath: layoutFile) else { return nil }
    let layout: ClusterLayout
    do {
      layout = try JSONDecoder().decode(ClusterLayout.self, from: data)
    } catch {
      throw ValidationError("\(layoutFile) cannot be read (\(error)). Restore it, or start anew with --fresh.")
    }
    guard layout.format == ClusterLayout.currentFormat else {
      throw ValidationError(
        "\(path) was made by another version of Kunlog (format \(layout.format), this one reads "
          + "\(ClusterLayout.currentFormat)). Use that version, another --data, or --fresh to erase it.")
    }
    return layout
  }

  /// The layout of a quick start that must exist.
  func requireLayout() throws -> ClusterLayout {
    guard let layout = try loadLayout() else {
      throw ValidationError("\(path) holds no quick start. Start one there: kunlog quickstart --data \(path)")
    }
    return layout
  }

  /// Addresses of meta nodes: those that were heard of last, and those that the cluster began with.
  func metaEndpoints() throws -> [MetadataEndpoint] {
    let began = try requireLayout().processes(role: "meta").map { MetadataEndpoint(host: $0.host, port: $0.port) }
    let known = EndpointFile.read(metaEndpointsFile)
    return known + began.filter { !known.contains($0) }
  }

  func save(_ layout: ClusterLayout) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(layout).write(to: URL(filePath: layoutFile), options: .atomic)
  }

  func createFolders() throws {
    for folder in [path, certificates, path + "/run", path + "/log"] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    chmod(path, 0o700)
  }

  /// Where the files of removed processes are kept, for whoever wants to look at them; nothing reads them.
  var removedFolder: String { path + "/removed" }

  /// Moves a process's files there. Answers where they are; nil: there were none.
  func putAside(_ name: String) throws -> String? {
    let manager = FileManager.default
    try? manager.removeItem(atPath: begunFile(name))
    guard manager.fileExists(atPath: dataDirectory(name)) else { return nil }
    try manager.createDirectory(atPath: removedFolder, withIntermediateDirectories: true)
    var place = "\(removedFolder)/\(name)"
    var number = 1
    while manager.fileExists(atPath: place) {
      number += 1
      place = "\(removedFolder)/\(name)-\(number)"
    }
    try manager.moveItem(atPath: dataDirectory(name), toPath: place)
    return place
  }

  /// Erases what a quick start left there. A directory that holds anything else is not touched.
  func erase() throws {
    let manager = FileManager.default
    guard manager.fileExists(atPath: path) else { return }
    let entries = try manager.contentsOfDirectory(atPath: path)
    guard entries.isEmpty || entries.contains("cluster.json") else {
      throw ValidationError("\(path) is not a quick start's directory; --fresh erases only those. Name another --data.")
    }
    for entry in entries { try manager.removeItem(atPath: path + "/" + entry) }
  }

  /// The process id in a pid file, where that process still lives and is Kunlog's.
  func runningProcess(_ name: String) -> Int32? {
    guard let data = FileManager.default.contents(atPath: pidFile(name)),
      let pid = Int32(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)), pid > 1,
      kill(pid, 0) == 0,
      let commandLine = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
    else { return nil }
    let words = commandLine.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    // A pid can be used again by another program: the data directory is in the command line of each of ours.
    return words.contains { $0 == path || $0.hasPrefix(path + "/") } ? pid : nil
  }

  func writePID(_ pid: Int32, name: String) throws {
    try Data("\(pid)\n".utf8).write(to: URL(filePath: pidFile(name)), options: .atomic)
  }

  func removePID(_ name: String) { unlink(pidFile(name)) }
}
