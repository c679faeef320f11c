@testable import Raft

/// How effects, messages and entries read in a trace.
enum TraceText {
  static func text(_ entry: Entry) -> String {
    let place = "\(entry.index)/\(entry.term)"
    switch entry.kind {
    case .command: return "\(place) \(String(decoding: entry.payload, as: UTF8.self))"
    case .noOp: return "\(place) -"
    case .configuration:
      return "\(place) \(Configuration(encoded: entry.payload).map(text) ?? "malformed")"
    }
  }

  static func text(_ entries: [Entry]) -> String { "[" + entries.map(text).joined(separator: ", ") + "]" }

  static func text(_ configuration: Configuration) -> String {
    var parts = ["voters " + configuration.voters.map(String.init).joined(separator: " ")]
    if configuration.isJoint {
      parts.append("leaving " + configuration.outgoingVoters.map(String.init).joined(separator: " "))
    }
    let disks = configuration.members.filter { $0.disk != 0 }
    if !disks.isEmpty { parts.append("disks " + disks.map { "\($0.id):\($0.disk)" }.joined(separator: " ")) }
    if !configuration.learners.isEmpty {
      parts.append("learners " + configuration.learners.map(String.init).joined(separator: " "))
    }
    return "{" + parts.joined(separator: "; ") + "}"
  }

  static func text(_ body: Message.Body) -> String {
    switch body {
    case .preVoteRequest(let index, let term): return "preVoteRequest last \(index)/\(term)"
    case .preVoteResponse(let isGranted): return "preVoteResponse \(isGranted ? "granted" : "refused")"
    case .voteRequest(let index, let term, let isTransfer):
      return "voteRequest last \(index)/\(term)\(isTransfer ? " transfer" : "")"
    case .voteResponse(let isGranted): return "voteResponse \(isGranted ? "granted" : "refused")"
    case .appendRequest(let request):
      return "append after \(request.previousIndex)/\(request.previousTerm) commit \(request.commitIndex) "
        + "round \(request.round) \(text(request.entries))"
    case .promiseRecalled(let position): return "promiseRecalled \(position.index)/\(position.term)"
    case .promiseKept: return "promiseKept"
    case .promiseQuestion: return "promiseQuestion"
    case .promiseAnswer(_, let position): return "promiseAnswer \(position.index)/\(position.term)"
    case .appendAccepted(let match, let round): return "appendAccepted match \(match) round \(round)"
    case .appendRejected(let previous, let hint, let term, let round):
      return "appendRejected after \(previous) hint \(hint)/\(term) round \(round)"
    case .heartbeatRequest(let commit, let round): return "heartbeat commit \(commit) round \(round)"
    case .heartbeatResponse(let round): return "heartbeatResponse round \(round)"
    case .commitAdvanced(let commit): return "commitAdvanced \(commit)"
    case .timeoutNow: return "timeoutNow"
    case .readIndexRequest(let id): return "readIndexRequest \(id)"
    case .foreignDisk(let recorded): return "foreignDisk recorded \(recorded)"
    case .readIndexResponse(let id, let index): return "readIndexResponse \(id) \(index.map { "\($0)" } ?? "none")"
    }
  }

  static func text(_ metadata: SnapshotMetadata) -> String {
    "\(metadata.index)/\(metadata.term) \(text(metadata.configuration))"
  }

  static func text(_ effect: Effect) -> String {
    switch effect {
    case .writeHardState(let state, let sequence):
      return "write #\(sequence) term \(state.term) vote \(state.vote.map { "\($0)" } ?? "none")"
    case .writeEntries(let entries, let sequence): return "write #\(sequence) \(text(entries))"
    case .installSnapshot(let metadata, let sequence): return "write #\(sequence) snapshot \(text(metadata))"
    case .compact(let metadata, let through, let sequence):
      return "write #\(sequence) compact through \(through) snapshot \(text(metadata))"
    case .writePromise(let position, let sequence):
      return "write #\(sequence) promise \(position.index)/\(position.term)"
    case .send(let message, let after):
      return "send \(message.to) term \(message.term) \(text(message.body))" + (after > 0 ? " once #\(after)" : "")
    case .apply(let index): return "apply through \(index)"
    case .accepted(let first, let count, let term): return "accepted \(count) from \(first)/\(term)"
    case .refused(let reason): return "refused \(reason)"
    case .roleChanged(let role, let term, let leader):
      return "role \(role.rawValue) term \(term) leader \(leader.map { "\($0)" } ?? "none")"
    case .membersChanged(let members, let index): return "members \(text(members)) by \(index)"
    case .readEntries(let follower, _, let from, let through, _): return "read \(from)-\(through) for \(follower)"
    case .sendSnapshot(let member, _): return "send \(member) snapshot"
    case .readReady(let id, let index): return "read \(id) ready at \(index)"
    case .readRefused(let id, let reason): return "read \(id) refused \(reason)"
    case .transferAbandoned(let member): return "transfer to \(member) abandoned"
    case .foreignDisk(let recorded): return "foreign disk, recorded \(recorded)"
    case .peerFault(let peer, let what): return "fault of \(peer): \(what)"
    }
  }
}
