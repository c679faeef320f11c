import EventLoop
import LogStore
import Metadata
import MetadataClient
import Raft
import SegmentedLog
import Testing

@testable import MetadataService

@Suite(.serialized) struct VerifyTests {
  /// What an audit says of a stopped node.
  private func audit(_ directory: String) throws -> (result: HistoryAudit.Result, findings: [LogFinding]) {
    let collected = Collected()
    let audit = HistoryAudit(
      dataDirectory: directory, isRunning: false, onFinding: { collected.findings.append($0) }, onProgress: { _ in })
    return (try audit.run(), collected.findings)
  }

  /// Unchecked: an audit calls back on the thread that runs it.
  private final class Collected: @unchecked Sendable {
    var findings: [LogFinding] = []
  }

  private static func small(_ configuration: inout MetaNodeConfiguration) {
    configuration.segmentBytes = 4096
    configuration.imageDistance = 20
  }

  /// A stopped node's directory with log, archive, snapshots and images.
  @LoopActor
  private func withStoppedNode(
    records: Int, _ body: @escaping @Sendable (_ directory: String, _ head: LogHead) throws -> Void
  ) async throws {
    try await withMetaCluster(1, keptEntries: 10, adjust: Self.small) { cluster in
      let client = try await cluster.bootstrapped()
      try await HistoryTests.fill(cluster, client, records: records)
      _ = try await cluster.nodes[0]?.takeSnapshot()
      let head = try await client.head()
      let archive = cluster.directory + "/meta1/metadata/log/archive"
      try await cluster.eventually {
        ((try? FileSystem.list(archive)) ?? []).contains { $0.hasSuffix(".image") }
      }
      await cluster.stop(0)
      // Other tests share the loop.
      let worker = WorkerThread(name: "verify")
      defer { worker.shutdown() }
      let directory = cluster.directory + "/meta1"
      try await worker.run { try body(directory, head) }
    }
  }

  /// A kind of file that is kept, and what of it is checked.
  private struct Kept: Sendable {
    var folder: String
    var suffix: String
    var flips: Int
    /// Bytes before it can be made again, and nobody reads them but to begin.
    var firstByte = 0
  }

  /// Every kind, however small its files are beside the others'.
  private static let kept = [
    Kept(folder: "/metadata/log", suffix: "", flips: 300),
    Kept(folder: "/metadata/log/archive", suffix: ".log", flips: 300),
    Kept(folder: "/metadata/log/archive", suffix: ".image", flips: 100),
    Kept(folder: "/metadata/snapshots", suffix: "", flips: 200),
    Kept(folder: "/metadata", suffix: "record-tree", flips: 100, firstByte: 4096),
  ]

  @Test func everyOneOfAThousandFlippedBitsIsFound() async throws {
    try await withStoppedNode(records: 50) { directory, head in
      let (result, findings) = try audit(directory)
      #expect(findings == [])
      #expect(result.head == head)
      #expect(result.records == 51)
      #expect(result.comparedSnapshots >= 2)
      var random = SystemRandomNumberGenerator()
      var flipped = 0
      for kept in Self.kept {
        var files: [(path: String, bytes: [UInt8])] = []
        for name in try FileSystem.list(directory + kept.folder).sorted() where name.hasSuffix(kept.suffix) {
          let path = directory + kept.folder + "/" + name
          guard !FileSystem.isDirectory(path), name != "lock", name != "reserve" else { continue }
          // What was being written at the stop is nothing that is kept.
          guard !name.hasSuffix(".temporary") else { continue }
          files.append((path, try FileSystem.read(path)))
        }
        let total = files.reduce(0) { $0 + $1.bytes.count - kept.firstByte }
        try #require(total > 0, "no \(kept.suffix) in \(kept.folder)")
        for _ in 0..<kept.flips {
          var place = Int.random(in: 0..<total, using: &random)
          let number = files.firstIndex { file in
            let checked = file.bytes.count - kept.firstByte
            if place < checked { return true }
            place -= checked
            return false
          }
          let file = files[try #require(number)]
          place += kept.firstByte
          var damaged = file.bytes
          damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
          try FileSystem.write(file.path, damaged)
          var isFound = true
          do { isFound = !(try audit(directory).findings.isEmpty) } catch {
            // It says that it is no log at all.
          }
          try FileSystem.write(file.path, file.bytes)
          #expect(isFound, "byte \(place) of \(file.path), \(file.bytes[place]) became \(damaged[place])")
          flipped += 1
        }
      }
      #expect(flipped == 1000)
      #expect(try audit(directory).findings == [])
    }
  }

  @Test func aForgedRecordIsFoundAlthoughItsChecksumIsRight() async throws {
    try await withStoppedNode(records: 60) { directory, _ in
      let disk = try FileDisk(existing: directory + "/metadata/log")
      var inspection = try LogInspection(disk: disk, isRunning: false)
      while try inspection.scanNext() != nil {}
      let run = inspection.positions.runs[1]
      let path = try #require(inspection.place(of: run.firstIndex)).path
      let codec = RecordCodec(identity: inspection.identity, segment: run.segment)
      var bytes = try FileSystem.read(path)
      let offset = Int(run.offsets[0])
      let found = try #require(bytes.withUnsafeBytes { codec.decode($0, at: offset) })
      guard case .entry(var entry) = found.record else {
        Issue.record("no entry")
        return
      }
      // The principal, who asked: the first letter of "tester".
      let name = try #require(
        entry.payload.indices.first { entry.payload[$0...].starts(with: Array("tester".utf8)) })
      entry.payload[name] = UInt8(ascii: "b")
      var forged: [UInt8] = []
      codec.encode(.entry(entry), batchOffset: found.batchOffset, to: &forged)
      bytes.replaceSubrange(offset..<(offset + forged.count), with: forged)
      try FileSystem.write(path, bytes)
      let findings = try audit(directory).findings
      let next = run.firstIndex + 1
      #expect(findings.first?.index == next)
      #expect(
        findings.first?.what
          == "it does not continue record \(run.firstIndex): the hash that it names is another")
    }
  }

  @Test func aRunningClusterIsVerifiedNodeByNode() async throws {
    try await withMetaCluster(3, keptEntries: 30, adjust: Self.small) { cluster in
      let client = try await cluster.bootstrapped()
      try await HistoryTests.fill(cluster, client, records: 210)
      let head = try await client.head()
      for endpoint in cluster.endpoints {
        let answer = try await client.verify(endpoint, through: client.image.index)
        #expect(answer.findings == [])
        #expect(answer.head == head)
        #expect(answer.records == 211)
        #expect(answer.imageDigest == HistoryAudit.digest(client.image))
      }
      // A bit in the archive of one of them.
      let archive = cluster.directory + "/meta2/metadata/log/archive"
      let name = try #require(try FileSystem.list(archive).sorted().first { $0.hasSuffix(".log") })
      var bytes = try FileSystem.read(archive + "/" + name)
      bytes[1000] ^= 16
      try FileSystem.write(archive + "/" + name, bytes)
      let answer = try await client.verify(cluster.endpoints[1], through: client.image.index)
      #expect(answer.findingsCount > 0)
      #expect(answer.findings.first?.path.hasSuffix("archive/" + name) == true)
      #expect(try await client.verify(cluster.endpoints[0], through: client.image.index).findingsCount == 0)
    }
  }
}

@Suite(.serialized) struct ArchiveFolderTests {
  @Test func anArchiveFolderThatIsGoneCostsNothingAndCatchesUp() async throws {
    let folder = "/tmp/kunlog-archive-tests-\(UInt64.random(in: 0...UInt64.max))"
    try FileSystem.createDirectory(folder)
    defer { try? FileSystem.remove(folder) }
    let adjust = { (configuration: inout MetaNodeConfiguration) in
      configuration.segmentBytes = 4096
      configuration.imageDistance = 40
      configuration.archiveFolder = folder
      configuration.archiveBytes = nil
    }
    try await withMetaCluster(1, keptEntries: 10, adjust: adjust) { cluster in
      let client = try await cluster.bootstrapped()
      func names() -> [String] { ((try? FileSystem.list(folder)) ?? []).sorted() }
      func status() async throws -> LogStatus { try await client.logStatus(cluster.endpoints[0]) }
      try await HistoryTests.fill(cluster, client, records: 100)
      try await cluster.eventually { names().contains { $0.hasSuffix(".log") } }
      let before = names().count
      // Gone, as an unmounted disk is.
      try FileSystem.rename(folder, folder + ".away")
      try await HistoryTests.fill(cluster, client, records: 100)
      var gone = try await status()
      while gone.archiveProblem.isEmpty || gone.backlog.files == 0 {
        try await loopSleep(milliseconds: 100)
        gone = try await status()
      }
      #expect(gone.archiveProblem.contains("cannot open " + folder) || gone.archiveProblem.contains(folder))
      try FileSystem.rename(folder + ".away", folder)
      var back = try await status()
      while !back.archiveProblem.isEmpty || back.backlog.files > 0 {
        try await loopSleep(milliseconds: 100)
        back = try await status()
      }
      #expect(names().count > before)
      #expect(back.archive.firstIndex <= 2)
      #expect(back.historyFirstIndex == 0)
      #expect(back.holds == [])
      let records = try await HistoryTests.records(cluster, node: 0)
      #expect(records.count == 201)
      var image = Image()
      for record in records.prefix(77) { image.apply(record) }
      #expect(try await client.image(at: .index(records[76].index)) == image)
      // The next start finds it there.
      await cluster.stop(0)
      try await cluster.start(0)
      try await cluster.eventually { cluster.leader != nil }
      #expect(try await HistoryTests.records(cluster, node: 0) == records)
      // The other one's connection may still wait for its next attempt.
      let again = await cluster.client(of: 0)
      #expect(try await again.verify(cluster.endpoints[0], through: client.image.index).findings == [])
    }
  }

  @Test func theArchiveKeepsToItsBound() async throws {
    let adjust = { (configuration: inout MetaNodeConfiguration) in
      configuration.segmentBytes = 4096
      configuration.archiveBytes = 20_000
    }
    try await withMetaCluster(1, keptEntries: 10, adjust: adjust) { cluster in
      let client = try await cluster.bootstrapped()
      try await HistoryTests.fill(cluster, client, records: 200)
      var status = try await client.logStatus(cluster.endpoints[0])
      while status.archive.bytes == 0 || status.archive.bytes > 20_000 || status.historyFirstIndex == 0 {
        try await loopSleep(milliseconds: 100)
        status = try await client.logStatus(cluster.endpoints[0])
      }
      let records = try await HistoryTests.records(cluster, node: 0)
      #expect(records.first?.index ?? 0 > 2)
      #expect(status.historyFirstIndex > 2)
      #expect(try await client.image(at: .index(status.historyFirstIndex)).index == status.historyFirstIndex)
      #expect(try await client.verify(cluster.endpoints[0], through: client.image.index).findings == [])
    }
  }
}
