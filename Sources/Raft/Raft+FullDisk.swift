/// A disk without space. What was taken before is still written (the log has space in reserve for that, and for terms and
/// votes); more is not taken. So the node steps down, votes and answers, and goes on by itself when there is space again.
extension Raft {
  /// Why a node that does not lead declines what only a leader does.
  var notLeading: Refusal { isDiskFull && leaderID == nil ? .diskFull : .notLeader(leaderID) }

  mutating func setDiskFull(_ isFull: Bool) {
    guard isFull != isDiskFull else { return }
    isDiskFull = isFull
    if isFull {
      if role == .leader {
        handOver()
      } else if role != .follower {
        becomeFollower(term: hardState.term, leader: nil)
      }
    } else {
      electionDeadline = configuration.voters == [id] ? now : now + electionWait()
    }
  }
}
