import ArgumentParser
import EventLoop
import Glibc
import Metadata
import MetadataAudit
import MetadataClient
import MetadataLog
import RPC
import SQLTypes

/// `kunlog meta backup`: the metadata, and its history, in one file.
struct MetaBackup: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Write the metadata and its history into a file.",
    discussion: """
      The cluster goes on meanwhile: the backup is that of one index. It holds the state there and every record that led to it, \
      and is read again and checked before it gets its name. It holds the verifiers of passwords: keep it as safe as the cluster.
      Rows are not in it: they are the shards'. See docs/audit.md.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Only the state, without the records that led to it.")
  var withoutHistory = false

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The file, which must not be there yet; or a directory, where it is named after cluster and index.")
  var path: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let tls = try cluster.tls()
    try await client.catchUp()
    let image = client.image
    guard let clusterID = image.clusterID, image.index > 0 else {
      throw CommandFailure(description: "The log holds no cluster yet: there is nothing to back up.")
    }
    let path = self.path(image)
    guard !FileSystem.exists(path) else {
      throw CommandFailure(description: "\(path) exists. A backup overwrites nothing: name another file.")
    }
    var after: UInt64?
    if !withoutHistory { after = try await historyStart(client, tls) }
    let header = MetadataBackup.Header(
      clusterID: clusterID, clusterName: image.clusterName, index: image.index, hash: image.hash,
      term: try await term(client, tls), historyAfter: after, timeMicroseconds: Loop.wallClockMicroseconds(),
      principal: "operator")
    let temporary = "\(path).partial-\(getpid())"
    do {
      try await write(temporary, header, image, client, tls)
      // What is kept is what can be read.
      let contents = try BackupFile.read(temporary)
      try FileSystem.rename(temporary, path)
      let report = BackupReport(path, contents, sizeBytes: try FileSystem.size(path))
      StandardStream.output.write((json ? JSONDocument.text(report) : report.text) + "\n")
    } catch {
      try? FileSystem.remove(temporary)
      throw error
    }
  }

  private func path(_ image: Image) -> String {
    guard FileSystem.isDirectory(path) else { return path }
    let name = image.clusterName.map { $0.isLetter || $0.isNumber ? $0 : "-" }
    return (path.hasSuffix("/") ? path : path + "/") + "kunlog-\(String(name))-\(image.index).backup"
  }

  /// The record before the first that is kept; 0 where all are.
  @LoopActor
  private func historyStart(_ client: MetadataClient, _ tls: TLSConfiguration) async throws -> UInt64? {
    var after: UInt64?
    try await LogHistory.read(client, tls: tls, from: nil) { record in
      after = record.previousIndex
      return false
    }
    return after
  }

  @LoopActor
  private func term(_ client: MetadataClient, _ tls: TLSConfiguration) async throws -> UInt64 {
    guard let endpoint = client.followed ?? client.configuration.endpoints.first else { return 1 }
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    defer { channel.close() }
    return try await MetadataStatus.ask(channel, timeoutMilliseconds: 5_000).term
  }

  @LoopActor
  private func write(
    _ temporary: String, _ header: MetadataBackup.Header, _ image: Image, _ client: MetadataClient,
    _ tls: TLSConfiguration
  ) async throws {
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("create", temporary) }
    defer { close(descriptor) }
    func put(_ bytes: [UInt8]) throws {
      var done = 0
      while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw FileError("write", temporary) }
        done += count
      }
    }
    var writer = MetadataBackup.Writer()
    try put(writer.begin(header))
    var snapshot = ImageSnapshot.Writer(image)
    while let piece = try snapshot.next() { try put(writer.image(piece)) }
    if let after = header.historyAfter {
      let progress = ProgressBar("records")
      defer { progress.finish() }
      var count = 0
      var last = after
      try await LogHistory.read(client, tls: tls, from: after + 1, isQuiet: true) { record in
        guard record.index <= image.index else { return false }
        guard record.previousIndex == last else {
          throw CommandFailure(
            description: "Records after \(last) were dropped from the archive meanwhile. Give the command again.")
        }
        last = record.index
        count += 1
        if let bytes = try writer.add(record) { try put(bytes) }
        progress.update(fraction: Double(last - after) / Double(image.index - after), count: count)
        return last < image.index
      }
    }
    try put(writer.end())
    guard fsync(descriptor) == 0 else { throw FileError("sync", temporary) }
  }
}

/// What a backup is of, and that it is whole.
struct BackupReport: Codable, Sendable {
  var file: String
  var sizeBytes: Int
  var clusterID: String
  var clusterName: String
  var index: UInt64
  var hash: String
  var records: UInt64
  /// The first record's predecessor; nil: no history.
  var historyAfter: UInt64?
  var madeAt: String
  /// The history is whole, and its fold is the state.
  var isProven: Bool
  var checksum: String

  enum CodingKeys: String, CodingKey {
    case file, index, hash, records, checksum
    case sizeBytes = "size_bytes"
    case clusterID = "cluster_id"
    case clusterName = "cluster_name"
    case historyAfter = "history_after"
    case madeAt = "made_at"
    case isProven = "is_proven"
  }

  init(_ path: String, _ contents: MetadataBackup.Contents, sizeBytes: Int) {
    file = path
    self.sizeBytes = sizeBytes
    clusterID = contents.header.clusterID.hexadecimal
    clusterName = contents.header.clusterName
    index = contents.header.index
    hash = "\(contents.header.hash)"
    records = contents.records
    historyAfter = contents.header.historyAfter
    madeAt = AuditTime.text(contents.header.timeMicroseconds)
    isProven = contents.isProven
    checksum = ByteaText.hexadecimal(contents.checksum)
  }

  /// For people.
  var text: String {
    let history =
      historyAfter.map { after in
        after == 0
          ? "all \(records) records from the first on; their fold is the state"
          : "\(records) records after \(after); older ones are not kept any more"
      } ?? "none"
    return """
      \(file): \(sizeBytes) bytes, whole
      cluster   \(clusterName) (\(clusterID))
      index     \(index), made \(madeAt)
      hash      \(hash)
      history   \(history)
      checksum  \(checksum)
      """
  }
}
