import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// What a meta node has found in what it keeps of the history.
package struct VerifyAnswer: Sendable {
  /// A place where something is not as it must be.
  package struct Finding: Sendable, Equatable {
    package var path: String
    /// Within the file, in bytes.
    package var offset: UInt64
    /// 0: none is concerned, or it is not known which.
    package var recordIndex: UInt64
    package var what: String
  }

  /// Those that are listed; see `findingsCount`.
  package var findings: [Finding] = []
  /// The first entry that is kept.
  package var firstIndex: UInt64 = 0
  /// The last record that was looked at.
  package var lastIndex: UInt64 = 0
  /// The head after it; nil where the node cannot tell.
  package var head: LogHead?
  /// Of the state after it; empty where the node cannot tell.
  package var imageDigest: [UInt8] = []
  package var records: UInt64 = 0
  package var bytes: UInt64 = 0
  package var findingsCount = 0
  /// Snapshots that were compared with the fold of the records.
  package var snapshots = 0
}

extension MetadataClient {
  /// Lets a meta node check everything that it keeps of the history, up to an index.
  /// - Parameter onProgress: told bytes done and in total, and records.
  package func verify(
    _ endpoint: MetadataEndpoint, through index: UInt64,
    onProgress: @LoopActor (_ done: UInt64, _ total: UInt64, _ records: UInt64) -> Void = { _, _, _ in }
  ) async throws(MetadataError) -> VerifyAnswer {
    let request = Kunlog_Metadata_V1_VerifyRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
      $0.throughIndex = index
    }
    let reader = channels.channel(endpoint).serverStream(AuditMethods.verify, request)
    defer { reader.cancel() }
    var answer = VerifyAnswer()
    var isComplete = false
    do {
      while let message = try await reader.next() {
        switch message.kind {
        case .progress(let progress): onProgress(progress.bytesDone, progress.bytesTotal, progress.records)
        case .finding(let finding):
          answer.findings.append(
            VerifyAnswer.Finding(
              path: finding.path, offset: finding.offset, recordIndex: finding.recordIndex, what: finding.what))
        case .result(let result):
          isComplete = true
          answer.firstIndex = result.firstIndex
          answer.lastIndex = result.lastIndex
          if result.hasHead { answer.head = try LogHead(wire: result.head) }
          answer.imageDigest = [UInt8](result.imageDigest)
          answer.records = result.records
          answer.bytes = result.bytes
          answer.findingsCount = Int(result.findings)
          answer.snapshots = Int(result.snapshots)
        case nil: break
        }
      }
    } catch let error as RPCError { throw MetadataError(error) } catch { throw .malformed("\(error)") }
    guard isComplete else { throw .malformed("a verification without result") }
    return answer
  }

  /// What a meta node keeps of the history.
  package func logStatus(
    _ endpoint: MetadataEndpoint, timeoutMilliseconds: Int = 3_000
  ) async throws(MetadataError) -> LogStatus {
    let request = Kunlog_Metadata_V1_LogStatusRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
    }
    do throws(RPCError) {
      let wire = try await channels.channel(endpoint).unary(
        AuditMethods.logStatus, request, timeoutMilliseconds: timeoutMilliseconds)
      return LogStatus(wire)
    } catch { throw MetadataError(error) }
  }
}

/// What a meta node keeps: log, archive, snapshots, and what holds compaction back.
package struct LogStatus: Sendable {
  /// Entries that are kept, and in how many bytes of how many files; 0 and 0: none.
  package struct Range: Sendable, Equatable {
    package var firstIndex: UInt64
    package var lastIndex: UInt64
    package var bytes: UInt64
    package var files: Int

    init(_ wire: Kunlog_Metadata_V1_LogStatusResponse.Range) {
      firstIndex = wire.firstIndex
      lastIndex = wire.lastIndex
      bytes = wire.bytes
      files = Int(wire.files)
    }
  }
  package struct Snapshot: Sendable, Equatable {
    package var index: UInt64
    package var bytes: UInt64
  }
  package struct Hold: Sendable, Equatable {
    package var what: String
    package var index: UInt64
    package var isOverruled: Bool
  }
  package var nodeID: NodeID
  package var role: String
  package var appliedIndex: UInt64
  package var log: Range
  package var archive: Range
  /// Empty: nothing is archived.
  package var archivePath: String
  package var backlog: Range
  /// Empty: the archive's folder takes what comes.
  package var archiveProblem: String
  package var archiveProblemSinceMicroseconds: Int64
  package var snapshots: [Snapshot]
  package var images: [Snapshot]
  /// From here on the state at any record can be had.
  package var historyFirstIndex: UInt64
  package var head: LogHead?
  package var provableFirstIndex: UInt64
  package var holds: [Hold]

  init(_ wire: Kunlog_Metadata_V1_LogStatusResponse) {
    nodeID = NodeID(rawValue: wire.nodeID)
    role = wire.role
    appliedIndex = wire.appliedIndex
    log = Range(wire.log)
    archive = Range(wire.archive)
    archivePath = wire.archivePath
    backlog = Range(wire.backlog)
    archiveProblem = wire.archiveProblem
    archiveProblemSinceMicroseconds = wire.archiveProblemSinceMicroseconds
    snapshots = wire.snapshots.map { Snapshot(index: $0.index, bytes: $0.bytes) }
    images = wire.images.map { Snapshot(index: $0.index, bytes: $0.bytes) }
    historyFirstIndex = wire.historyFirstIndex
    head = wire.hasHead ? try? LogHead(wire: wire.head) : nil
    provableFirstIndex = wire.provableFirstIndex
    holds = wire.holds.map { Hold(what: $0.what, index: $0.index, isOverruled: $0.overruled) }
  }
}
