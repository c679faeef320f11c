import EventLoop
import Glibc
import ProtocolRaft
import RPC
import Raft

/// Snapshots over gRPC: in chunks, at the receiver's pace, taken up where an earlier attempt ended.
extension GRPCTransport {
  private static var chunkBytes: Int { 256 * 1024 }

  package func sendSnapshot(
    _ offer: SnapshotOffer, from path: String, to member: NodeID, then: @escaping @LoopActor (Bool) -> Void
  ) {
    guard let channel = channel(to: member) else { return then(false) }
    Task { @LoopActor in
      do {
        try await self.send(offer, from: path, over: channel, to: member)
        then(true)
      } catch {
        self.logger.warning("the snapshot at entry \(offer.metadata.index) did not reach member \(member): \(error)")
        then(false)
      }
    }
  }

  private func send(_ offer: SnapshotOffer, from path: String, over channel: RPCChannel, to member: NodeID) async throws
  {
    let thread = WorkerThread(name: "send-snapshot")
    defer { thread.shutdown() }
    let (writer, reader) = channel.bidirectional(RaftService.installSnapshot)
    defer { reader.cancel() }
    try await writer.send(.with { $0.header = offer.wire(hello: hello(to: member)) })
    guard let answer = try await reader.next() else { throw RPCError(.unavailable, "the member ended the stream") }
    var offset = Int(clamping: answer.receivedBytes)
    // Opened once: the file may be replaced by a later snapshot while this one is on its way.
    let file = try await thread.run { try SnapshotFile(path: path) }
    while offset < offer.sizeBytes {
      let start = offset
      let count = min(Self.chunkBytes, offer.sizeBytes - start)
      let bytes = try await thread.run { try file.read(at: start, count: count) }
      try await writer.send(
        .with {
          $0.chunk = .with { chunk in
            chunk.offset = UInt64(start)
            chunk.data = .init(bytes)
          }
        })
      offset += count
    }
    writer.finish()
    while let answer = try await reader.next() {
      if answer.isComplete { return }
    }
    throw RPCError(.unavailable, "the member ended the stream")
  }

  func serveSnapshot(
    _ reader: RPCReader<Kunlog_Raft_V1_SnapshotRequest>, _ writer: RPCWriter<Kunlog_Raft_V1_SnapshotResponse>,
    _ context: RPCContext
  ) async throws {
    guard let first = try await reader.next(), case .header(let header) = first.part else {
      throw RPCError(.invalidArgument, "a snapshot begins with its header")
    }
    let receiver = try check(header.hello, context)
    let offer: SnapshotOffer
    do throws(MalformedMessage) { offer = try SnapshotOffer(wire: header) } catch {
      throw RPCError(.invalidArgument, error.description)
    }
    var received = try await receiver.beginSnapshot(offer)
    try await writer.send(.with { $0.receivedBytes = UInt64(received) })
    while received < offer.sizeBytes {
      guard let request = try await reader.next(), case .chunk(let chunk) = request.part else {
        throw RPCError(.invalidArgument, "the snapshot ended after \(received) of \(offer.sizeBytes) bytes")
      }
      try await receiver.receiveSnapshot(offer, [UInt8](chunk.data), at: Int(clamping: chunk.offset))
      received += chunk.data.count
    }
    try await receiver.finishSnapshot(offer)
    try await writer.send(
      .with {
        $0.receivedBytes = UInt64(received)
        $0.isComplete = true
      })
  }
}

/// A snapshot's file, open for reading; closed with its last reference.
private final class SnapshotFile: Sendable {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws(FileError) {
    self.path = path
    descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
  }

  deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

  func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let step = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, count - done, off_t(offset + done))
      }
      if step < 0, errno == EINTR { continue }
      guard step > 0 else { throw FileError("read", path, number: step == 0 ? EIO : errno) }
      done += step
    }
    return bytes
  }
}
