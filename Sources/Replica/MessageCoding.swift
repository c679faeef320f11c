import ProtocolRaft
import Raft

/// A message on the wire that makes no sense.
struct MalformedMessage: Error, Sendable, Equatable, CustomStringConvertible {
  var description: String
}

/// Between the core's messages and those of `kunlog.raft.v1`. Sender, receiver and the sender's disk are the stream's.
extension Message {
  /// As it travels. Its entries are taken from those encoded last, where they are the same.
  func wire(_ encoded: inout EncodedEntries) -> Kunlog_Raft_V1_Message {
    var wire = Kunlog_Raft_V1_Message()
    wire.term = term
    switch body {
    case .preVoteRequest(let index, let term):
      wire.preVoteRequest = .with { ($0.lastIndex, $0.lastTerm) = (index, term) }
    case .preVoteResponse(let isGranted): wire.preVoteResponse = .with { $0.isGranted = isGranted }
    case .voteRequest(let index, let term, let isTransfer):
      wire.voteRequest = .with { ($0.lastIndex, $0.lastTerm, $0.isTransfer) = (index, term, isTransfer) }
    case .voteResponse(let isGranted): wire.voteResponse = .with { $0.isGranted = isGranted }
    case .appendRequest(let request): wire.appendRequest = request.wire(&encoded)
    case .promiseRecalled(let position):
      wire.promiseRecalled = .with { ($0.lastIndex, $0.lastTerm) = (position.index, position.term) }
    case .promiseKept: wire.promiseKept = .init()
    case .promiseQuestion(let id): wire.heartbeatResponse = .with { $0.promiseQuestion = id }
    case .promiseAnswer(let id, let position):
      wire.promiseRecalled = .with { ($0.lastIndex, $0.lastTerm, $0.question) = (position.index, position.term, id) }
    case .appendAccepted(let match, let round):
      wire.appendAccepted = .with { ($0.matchIndex, $0.round) = (match, round) }
    case .appendRejected(let previous, let hint, let term, let round):
      wire.appendRejected = .with {
        ($0.previousIndex, $0.hintIndex, $0.hintTerm, $0.round) = (previous, hint, term, round)
      }
    case .heartbeatRequest(let commit, let round):
      wire.heartbeatRequest = .with { ($0.commitIndex, $0.round) = (commit, round) }
    case .heartbeatResponse(let round): wire.heartbeatResponse = .with { $0.round = round }
    case .commitAdvanced(let commit): wire.commitAdvanced = .with { $0.commitIndex = commit }
    case .timeoutNow: wire.timeoutNow = .init()
    case .readIndexRequest(let id): wire.readIndexRequest = .with { $0.id = id }
    case .readIndexResponse(let id, let index):
      wire.readIndexResponse = .with {
        $0.id = id
        if let index { $0.index = index }
      }
    case .foreignDisk(let recorded): wire.foreignDisk = .with { $0.recordedDisk = recorded }
    }
    return wire
  }

  /// From what has arrived.
  init(wire: Kunlog_Raft_V1_Message, from: NodeID, to: NodeID, fromDisk: UInt64 = 0) throws(MalformedMessage) {
    self.init(from: from, to: to, term: wire.term, body: try Body(wire: wire), fromDisk: fromDisk)
  }
}

extension Message.Body {
  fileprivate init(wire: Kunlog_Raft_V1_Message) throws(MalformedMessage) {
    switch wire.body {
    case .preVoteRequest(let body): self = .preVoteRequest(lastIndex: body.lastIndex, lastTerm: body.lastTerm)
    case .preVoteResponse(let body): self = .preVoteResponse(isGranted: body.isGranted)
    case .voteRequest(let body):
      self = .voteRequest(lastIndex: body.lastIndex, lastTerm: body.lastTerm, isTransfer: body.isTransfer)
    case .voteResponse(let body): self = .voteResponse(isGranted: body.isGranted)
    case .appendRequest(let body): self = .appendRequest(try Message.AppendRequest(wire: body))
    case .promiseRecalled(let body):
      let position = LogPosition(index: body.lastIndex, term: body.lastTerm)
      self = body.question == 0 ? .promiseRecalled(position) : .promiseAnswer(id: body.question, position)
    case .promiseKept: self = .promiseKept
    case .appendAccepted(let body): self = .appendAccepted(matchIndex: body.matchIndex, round: body.round)
    case .appendRejected(let body):
      self = .appendRejected(
        previousIndex: body.previousIndex, hintIndex: body.hintIndex, hintTerm: body.hintTerm, round: body.round)
    case .heartbeatRequest(let body): self = .heartbeatRequest(commitIndex: body.commitIndex, round: body.round)
    case .heartbeatResponse(let body):
      let question = body.promiseQuestion
      self = question == 0 ? .heartbeatResponse(round: body.round) : .promiseQuestion(id: question)
    case .commitAdvanced(let body): self = .commitAdvanced(commitIndex: body.commitIndex)
    case .timeoutNow: self = .timeoutNow
    case .readIndexRequest(let body): self = .readIndexRequest(id: body.id)
    case .readIndexResponse(let body):
      self = .readIndexResponse(id: body.id, index: body.hasIndex ? body.index : nil)
    case .foreignDisk(let body): self = .foreignDisk(recorded: body.recordedDisk)
    case nil: throw MalformedMessage(description: "a message of a kind that this version does not know")
    }
  }
}

extension Message.AppendRequest {
  fileprivate func wire(_ encoded: inout EncodedEntries) -> Kunlog_Raft_V1_AppendRequest {
    var wire = Kunlog_Raft_V1_AppendRequest()
    wire.previousIndex = previousIndex
    wire.previousTerm = previousTerm
    wire.commitIndex = commitIndex
    wire.round = round
    wire.entries = encoded.data(of: entries)
    return wire
  }

  fileprivate init(wire: Kunlog_Raft_V1_AppendRequest) throws(MalformedMessage) {
    guard wire.previousIndex <= UInt64.max / 2 else { throw MalformedMessage(description: "an index out of range") }
    self.init(
      previousIndex: wire.previousIndex, previousTerm: wire.previousTerm, commitIndex: wire.commitIndex,
      round: wire.round, entries: try EntryBatch.decode(wire.entries, after: wire.previousIndex))
  }
}

extension SnapshotOffer {
  func wire(hello: Kunlog_Raft_V1_Hello) -> Kunlog_Raft_V1_SnapshotHeader {
    .with {
      $0.hello = hello
      $0.term = term
      $0.index = metadata.index
      $0.indexTerm = metadata.term
      $0.configuration = .init(metadata.configuration.encoded())
      $0.sizeBytes = UInt64(sizeBytes)
      $0.checksum = checksum
    }
  }

  init(wire: Kunlog_Raft_V1_SnapshotHeader) throws(MalformedMessage) {
    guard let configuration = Configuration(encoded: [UInt8](wire.configuration)),
      let size = Int(exactly: wire.sizeBytes)
    else { throw MalformedMessage(description: "a snapshot without members") }
    self.init(
      from: wire.hello.from, term: wire.term,
      metadata: SnapshotMetadata(index: wire.index, term: wire.indexTerm, configuration: configuration),
      sizeBytes: size, checksum: wire.checksum)
  }
}
