/// Linearizable reads without clocks (thesis, section 6.4): a read may be served at the commit index of its arrival, once
/// a quorum has confirmed, after that arrival, that this node leads.
///
/// Rounds make many reads share one confirmation: every request of a leader carries the current round, every answer
/// returns it, and a read waits for a round that began after it came.
struct PendingReads: Sendable {
  struct Read: Sendable {
    var id: UInt64
    var from: NodeID
    var index: UInt64
    var round: UInt64
  }
  /// Those that came before the leader's first entry was committed, and so before its commit index could be trusted.
  var untilTermCommitted: [(id: UInt64, from: NodeID)] = []
  /// Those that wait for a round, in order of rounds.
  var unconfirmed: [Read] = []
  /// The last round that was begun.
  var round: UInt64 = 0
  /// The last round that a quorum confirmed.
  var confirmedRound: UInt64 = 0

  var count: Int { untilTermCommitted.count + unconfirmed.count }

  /// Whether a read waits for a round that is not begun. Two rounds at a time: later reads share the next one.
  var wantsRound: Bool {
    guard let last = unconfirmed.last else { return false }
    return last.round > round && round - confirmedRound < 2
  }
}

extension Raft {
  mutating func readIndex(id read: UInt64, from reader: NodeID) {
    guard role == .leader else {
      if reader == id, let leader = leaderID, leader != id { return send(.readIndexRequest(id: read), to: leader) }
      return refuseRead(read, from: reader, .notLeader(leaderID))
    }
    guard reads.count < options.maximumPendingReads else { return refuseRead(read, from: reader, .overloaded) }
    guard commitIndex >= firstIndexOfTerm else { return reads.untilTermCommitted.append((read, reader)) }
    if reader == id, options.mutants.contains(.readsWithoutRound) {
      return effects.append(.readReady(id: read, index: commitIndex))
    }
    reads.unconfirmed.append(.init(id: read, from: reader, index: commitIndex, round: reads.round + 1))
  }

  mutating func admitWaitingReads() {
    guard commitIndex >= firstIndexOfTerm else { return }
    for waiting in reads.untilTermCommitted {
      reads.unconfirmed.append(
        .init(id: waiting.id, from: waiting.from, index: commitIndex, round: reads.round + 1))
    }
    reads.untilTermCommitted = []
  }

  /// Asks all members to confirm; also the heartbeat.
  mutating func startRound() {
    reads.round += 1
    for slot in progress.indices {
      let known = min(commitIndex, progress[slot].matchIndex)
      progress[slot].sentCommitIndex = max(progress[slot].sentCommitIndex, known)
      send(.heartbeatRequest(commitIndex: known, round: reads.round), to: progress[slot].id)
    }
    releaseReads()
  }

  mutating func releaseReads() {
    let confirmed = configuration.quorumValue { member in
      if member == id { return reads.round }
      return slot(of: member).map { progress[$0].confirmedRound } ?? 0
    }
    guard confirmed > reads.confirmedRound else { return }
    reads.confirmedRound = confirmed
    var done = 0
    while done < reads.unconfirmed.count, reads.unconfirmed[done].round <= confirmed {
      let read = reads.unconfirmed[done]
      if read.from == id {
        effects.append(.readReady(id: read.id, index: read.index))
      } else {
        send(.readIndexResponse(id: read.id, index: read.index), to: read.from)
      }
      done += 1
    }
    reads.unconfirmed.removeFirst(done)
  }

  mutating func refuseReads() {
    for read in reads.untilTermCommitted { refuseRead(read.id, from: read.from, .notLeader(nil)) }
    for read in reads.unconfirmed { refuseRead(read.id, from: read.from, .notLeader(nil)) }
    reads = PendingReads()
  }

  private mutating func refuseRead(_ read: UInt64, from reader: NodeID, _ reason: Refusal) {
    if reader == id {
      effects.append(.readRefused(id: read, reason))
    } else {
      send(.readIndexResponse(id: read, index: nil), to: reader)
    }
  }
}
