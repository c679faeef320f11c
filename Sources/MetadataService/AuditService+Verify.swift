import EventLoop
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import RPC
import Replica
import SegmentedLog

/// What a verification on its own thread has to say, until the stream takes it. Bounded: findings beyond a number are only counted.
@LoopActor
private final class VerifyInbox {
  static let maximumFindings = 1000
  var messages: [Kunlog_Metadata_V1_VerifyResponse] = []
  var progress: HistoryAudit.Progress?
  private var findings = 0

  nonisolated init() {}

  func take(_ finding: LogFinding) {
    findings += 1
    guard findings <= Self.maximumFindings else { return }
    messages.append(
      .with {
        $0.finding = .with {
          $0.path = finding.path
          $0.offset = UInt64(max(0, finding.offset))
          $0.recordIndex = finding.index
          $0.what = finding.what
        }
      })
  }

  func drain() -> [Kunlog_Metadata_V1_VerifyResponse] {
    var taken = messages
    messages = []
    if let progress {
      taken.append(
        .with {
          $0.progress = .with {
            $0.bytesDone = UInt64(progress.bytesDone)
            $0.bytesTotal = UInt64(progress.bytesTotal)
            $0.records = progress.records
          }
        })
    }
    progress = nil
    return taken
  }
}

extension AuditService {
  func registerVerify(at server: RPCServer) {
    server.handleStream(AuditMethods.verify) { [self] request, writer, context in
      try service.check(request.clusterID)
      try await verify(request.throughIndex, writer, context)
    }
  }

  private func verify(
    _ requested: UInt64, _ writer: RPCWriter<Kunlog_Metadata_V1_VerifyResponse>, _ context: RPCContext
  ) async throws {
    guard !isVerifying else {
      throw RPCError(.resourceExhausted, "this meta node is being verified already")
    }
    try await service.confirm()
    let applied = replica.status.appliedIndex
    guard requested <= applied else {
      throw RPCError(.invalidArgument, "index \(requested) is still to come: the log is at index \(applied)")
    }
    isVerifying = true
    defer { isVerifying = false }
    let inbox = VerifyInbox()
    let audit = HistoryAudit(
      dataDirectory: dataDirectory, archiveDirectory: archiveDirectory, isRunning: true,
      through: requested == 0 ? applied : requested,
      onFinding: { finding in LoopActor.post { inbox.take(finding) } },
      onProgress: { progress in LoopActor.post { inbox.progress = progress } })
    context.onCancel { audit.cancel() }
    let worker = WorkerThread(name: "metadata-verify", isBackground: true)
    defer { worker.shutdown() }
    var ended: Result<HistoryAudit.Result, any Error>?
    worker.run({ Result { try audit.run() } }, then: { ended = $0 })
    while true {
      let isEnd = ended != nil
      for message in inbox.drain() { try await writer.send(message) }
      if isEnd { break }
      try await loopSleep(milliseconds: 20)
    }
    let result: HistoryAudit.Result
    do { result = try ended!.get() } catch { throw RPCError(.dataLoss, "\(error)") }
    try await writer.send(
      .with {
        $0.result = .with {
          $0.nodeID = replica.configuration.nodeID
          $0.firstIndex = result.firstIndex
          if let head = result.head { $0.head = head.wire }
          $0.imageDigest = .init(result.imageDigest ?? [])
          $0.records = result.records
          $0.bytes = UInt64(result.bytes)
          $0.findings = UInt64(result.findings)
          $0.snapshots = UInt32(result.comparedSnapshots)
          $0.lastIndex = result.lastIndex
          $0.lastHash = .init(result.lastHash.bytes)
        }
      })
  }

  // MARK: - What is kept

  func registerStatus(at server: RPCServer) {
    server.handle(AuditMethods.logStatus) { [self] request, _ in
      try service.check(request.clusterID)
      return await logStatus
    }
  }

  private var logStatus: Kunlog_Metadata_V1_LogStatusResponse {
    get async {
      let status = replica.status
      let machine = service.machine
      let provable = await machine.tree?.firstProvableIndex() ?? 0
      let log = replica.logContents
      let archive = machine.archive
      return .with {
        $0.nodeID = replica.configuration.nodeID
        $0.role = status.role.rawValue
        $0.commitIndex = status.commitIndex
        $0.appliedIndex = status.appliedIndex
        $0.log = .with {
          $0.firstIndex = log.firstIndex
          $0.lastIndex = log.lastIndex
          $0.bytes = UInt64(log.bytes)
          $0.files = UInt32(log.files)
        }
        if let archive {
          $0.archive = Self.range(archive.contents)
          $0.archivePath = archive.configuration.folder ?? archive.configuration.local
          $0.backlog = Self.range(archive.backlog)
          $0.archiveProblem = archive.problem?.text ?? ""
          $0.archiveProblemSinceMicroseconds = archive.problem?.sinceMicroseconds ?? 0
        }
        $0.snapshots = replica.snapshotFiles.map { snapshot in
          .with {
            $0.index = snapshot.index
            $0.bytes = UInt64(snapshot.sizeBytes)
          }
        }
        $0.images = (machine.images?.kept ?? []).map { image in
          .with {
            $0.index = image.index
            $0.bytes = UInt64(image.sizeBytes)
          }
        }
        $0.historyFirstIndex = past.firstIndex
        if let head = machine.image.head { $0.head = head.wire }
        $0.provableFirstIndex = provable
        let overruled = replica.isHoldOverruled
        $0.holds = machine.holds.map { hold in
          .with {
            $0.what = hold.text
            $0.index = hold.index
            $0.overruled = overruled
          }
        }
      }
    }
  }

  private static func range(_ contents: ArchiveKeeper.Contents) -> Kunlog_Metadata_V1_LogStatusResponse.Range {
    .with {
      $0.firstIndex = contents.firstIndex
      $0.lastIndex = contents.lastIndex
      $0.bytes = UInt64(contents.bytes)
      $0.files = UInt32(contents.files)
    }
  }
}
