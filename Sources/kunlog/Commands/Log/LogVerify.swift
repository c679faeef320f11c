import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient
import MetadataService
import SQLTypes
import SegmentedLog

/// `kunlog log verify`: is the history what it was?
struct LogVerify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check every byte of the log, its snapshots and its archive, on every meta node.",
    discussion: """
      On a running cluster each meta node reads what it keeps (log, archive, snapshots, images, record tree) and checks it; then \
      what they found is compared. Where the cluster of --data is stopped, or --data is a meta node's own directory, this command \
      reads the files itself. Exit status 1 where anything is not as it must be.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Where the archive of a stopped node lies, if not in its directory.")
  var archive: String?

  @Option(
    name: .long, help: "File with a head that was written down: the log must contain it ('kunlog log head --json').")
  var head: String?

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    let wanted = try head.map(HeadFile.read)
    var report = VerifyReport()
    if let data = cluster.data, cluster.endpoints == nil, let stopped = try StoppedLogs.directories(data) {
      report.nodes = try await verifyStopped(stopped)
      report.compareStopped()
      if wanted != nil { report.problems.append("a head can be looked for in a running cluster only") }
    } else {
      try await verifyRunning(&report, wanted)
    }
    StandardStream.output.write(json ? JSONDocument.text(report) + "\n" : report.text)
    if !report.isGood { throw ExitCode(1) }
  }

  // MARK: - Stopped

  @LoopActor
  private func verifyStopped(_ directories: [(name: String, path: String)]) async throws -> [VerifyReport.Node] {
    var nodes: [VerifyReport.Node] = []
    let worker = WorkerThread(name: "verify")
    defer { worker.shutdown() }
    for (name, path) in directories {
      let bar = ProgressBar("records")
      let collected = Collected()
      let audit = HistoryAudit(
        dataDirectory: path, archiveDirectory: archive, isRunning: false,
        onFinding: { finding in LoopActor.post { collected.findings.append(finding) } },
        onProgress: { progress in
          LoopActor.post {
            bar.update(
              fraction: Double(progress.bytesDone) / Double(max(1, progress.bytesTotal)), count: Int(progress.records))
          }
        })
      let start = Loop.now
      let result: HistoryAudit.Result
      do { result = try await worker.run { try audit.run() } } catch {
        bar.finish()
        throw CommandFailure(description: "\(name): \(error)")
      }
      // What the worker has posted comes before this.
      try await loopSleep(milliseconds: 1)
      bar.finish()
      nodes.append(
        VerifyReport.Node(name, result, collected.findings, seconds: Double(Loop.now - start) / 1_000_000_000))
    }
    return nodes
  }

  @LoopActor
  private final class Collected {
    var findings: [LogFinding] = []
    nonisolated init() {}
  }

  // MARK: - Running

  @LoopActor
  private func verifyRunning(_ report: inout VerifyReport, _ wanted: HeadFile?) async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let through = try await client.catchUp()
    if let wanted {
      do throws(MetadataError) {
        let found = HeadFile(try await client.head(count: wanted.count))
        if found != wanted {
          report.problems.append(
            "the log is not the one of the head that was given: with \(wanted.count) records its root is \(found.root), the "
              + "head says \(wanted.root)")
        }
      } catch { report.problems.append("the head that was given cannot be looked for: \(error)") }
    }
    let members = client.image.nodes.values.filter { $0.role == .meta }.sorted { $0.id < $1.id }
    var endpoints = members.map { (name: $0.name, endpoint: MetadataEndpoint(host: $0.host, port: $0.port)) }
    if endpoints.isEmpty { endpoints = client.configuration.endpoints.map { ($0.description, $0) } }
    let bar = ProgressBar("records")
    for (number, node) in endpoints.enumerated() {
      let start = Loop.now
      do throws(MetadataError) {
        let answer = try await client.verify(node.endpoint, through: through) { done, total, records in
          bar.update(
            fraction: (Double(number) + Double(done) / Double(max(1, total))) / Double(endpoints.count),
            count: Int(records))
        }
        report.nodes.append(
          VerifyReport.Node(node.name, answer, seconds: Double(Loop.now - start) / 1_000_000_000))
      } catch {
        report.problems.append("\(node.name) at \(node.endpoint) was not verified: \(error)")
      }
    }
    bar.finish()
    report.compareRunning()
  }
}

/// The meta nodes' own directories below that of a stopped quick start, or one itself.
enum StoppedLogs {
  /// nil where it is the directory of a quick start that runs.
  static func directories(_ data: String) throws -> [(name: String, path: String)]? {
    let root = QuickstartDirectory(path: data).path
    if FileSystem.exists(root + "/metadata/log") {
      return [(root.split(separator: "/").last.map(String.init) ?? root, root)]
    }
    var found: [(name: String, path: String)] = []
    for name in ((try? FileSystem.list(root)) ?? []).sorted() where FileSystem.exists(root + "/\(name)/metadata/log") {
      let path = root + "/" + name
      do throws(DirectoryLockError) { _ = try DirectoryLock(path) } catch {
        if case .inUse = error { return nil }
        throw ValidationError("\(error)")
      }
      found.append((name, path))
    }
    return found.isEmpty ? nil : found
  }
}
