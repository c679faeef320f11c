/// The disks behind the members' numbers. A vote and an acknowledgement are promises, kept on a disk: a member whose disk
/// is another one (blank, swapped) has forgotten them, and must not speak under the old number (KAFKA-14077).
///
/// So the configuration holds each member's disk, recorded by a leader when it first hears of it. Nobody counts votes or
/// acknowledgements from another disk, and a node that is known by another disk neither votes nor campaigns. What a
/// leader sends is accepted from any disk: a node that is catching up may know the members of long ago only.
extension Raft {
  /// Whether the members in force know this node by another disk.
  package var isForeignDisk: Bool {
    guard disk != 0, let recorded = configuration.disk(of: id), recorded != 0,
      !options.mutants.contains(.trustsAnyDisk)
    else { return false }
    return recorded != disk
  }

  /// False for promises that were made by another disk than the member's, and for answers of those who are no members: a
  /// removed one that has campaigned on its own must not depose a leader by its term (etcd #13196). Takes note of disks
  /// that are not known.
  mutating func isHeard(_ message: Message) -> Bool {
    guard let recorded = configuration.disk(of: message.from) else { return !message.body.isAnswer }
    guard recorded != message.fromDisk, !options.mutants.contains(.trustsAnyDisk) else { return true }
    guard recorded != 0 else {
      observedDisks[message.from] = message.fromDisk
      if role == .leader { recordDisks() }
      return true
    }
    if message.body.isFromLeader { return true }
    if reportedDisks[message.from] != message.fromDisk {
      reportedDisks[message.from] = message.fromDisk
      effects.append(.peerFault(from: message.from, "its disk is another one than that with which it joined"))
    }
    if role == .leader { send(.foreignDisk(recorded: recorded), to: message.from) }
    return false
  }

  /// As a leader: puts the disks that are known into the configuration. The quorums stay what they are, so this need not
  /// wait for other changes to be committed.
  mutating func recordDisks() {
    if disk != 0 { observedDisks[id] = disk }
    let recorded = configuration.recording(observedDisks)
    observedDisks = [:]
    if recorded != configuration { appendConfiguration(recorded) }
  }
}

extension Message.Body {
  /// Whether a leader says it.
  fileprivate var isFromLeader: Bool {
    switch self {
    case .appendRequest, .heartbeatRequest, .commitAdvanced, .timeoutNow, .promiseRecalled, .promiseAnswer,
      .readIndexResponse, .foreignDisk:
      return true
    case .preVoteRequest, .preVoteResponse, .voteRequest, .voteResponse, .appendAccepted, .appendRejected,
      .heartbeatResponse, .promiseKept, .promiseQuestion, .readIndexRequest:
      return false
    }
  }

  /// Whether it answers a leader or a candidate, and may count towards a quorum.
  fileprivate var isAnswer: Bool {
    switch self {
    case .preVoteResponse, .voteResponse, .appendAccepted, .appendRejected, .heartbeatResponse, .promiseKept:
      return true
    case .preVoteRequest, .voteRequest, .appendRequest, .heartbeatRequest, .commitAdvanced, .timeoutNow,
      .promiseRecalled, .promiseQuestion, .promiseAnswer, .readIndexRequest, .readIndexResponse, .foreignDisk:
      return false
    }
  }
}
