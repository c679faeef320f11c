import EventLoop
import Logging
import Metadata
import Replica

/// What has become of an append to the log of facts.
package enum RecordingOutcome: Sendable {
  case recorded
  case rejected(String)
  /// It may be tried again.
  case failed(String)
}

/// Keeps the log of facts in step with a group's members: clients learn from the image whom to ask, operators from the log who
/// came and went.
///
/// The leader does it, after a change of members and whenever it begins to lead, so that a change whose leader died before it
/// was recorded is recorded by the next one.
@LoopActor
package final class MembershipRecorder<Machine: StateMachine> {
  /// What makes an image agree with the members; nothing where the log of facts cannot hold them yet. Names: for nodes that are
  /// new to it.
  package typealias Missing =
    @LoopActor (
      _ members: [ReplicaStatus.MemberStatus], _ image: Image, _ names: [UInt64: String]
    ) -> [Command]

  private let replica: Replica<Machine>
  private let image: @LoopActor () -> Image
  private let missing: Missing
  private let append: @LoopActor (_ principal: String, [Command]) async -> RecordingOutcome
  private let logger: Logger
  private var isRecording = false

  /// - Parameters:
  ///   - image: the facts, as far as they are known here.
  ///   - append: returns once `image` contains what was appended.
  package init(
    _ replica: Replica<Machine>, label: String, image: @escaping @LoopActor () -> Image, missing: @escaping Missing,
    append: @escaping @LoopActor (_ principal: String, [Command]) async -> RecordingOutcome
  ) {
    self.replica = replica
    self.image = image
    self.missing = missing
    self.append = append
    logger = Logger(label: label)
  }

  /// Begins to record what is missing, where nobody does yet.
  package func wake(principal: String) {
    guard !isRecording, replica.isLeader, !missing(replica.status.members, image(), [:]).isEmpty else { return }
    Task { @LoopActor in await self.record(principal: principal, names: [:]) }
  }

  /// Returns once the facts agree with the members, or this node does not lead any more.
  package func record(principal: String, names: [UInt64: String]) async {
    while isRecording {
      guard (try? await loopSleep(milliseconds: 10)) != nil else { return }
    }
    isRecording = true
    defer { isRecording = false }
    var last: [Command] = []
    while replica.isLeader {
      // Before it is certain that this node still leads: a member that the image names has come in before that, so that it has
      // left again where it is missing here. Somebody who leads no longer, and does not know it, records nothing.
      let image = image()
      let leads = (try? await replica.readIndex()) != nil
      let status = replica.status
      if !leads || status.isJoint || status.configurationIndex > status.appliedIndex {
        guard (try? await loopSleep(milliseconds: 20)) != nil else { return }
        continue
      }
      let commands = missing(status.members, image, names)
      guard !commands.isEmpty else { return }
      switch await append(principal, commands) {
      case .recorded:
        guard commands != last else {
          return logger.error("the members cannot be recorded in the metadata log: it does not take them over")
        }
        last = commands
      case .rejected(let reason):
        return logger.error("the members cannot be recorded in the metadata log: \(reason)")
      case .failed(let reason):
        logger.info("the members are not recorded yet: \(reason)")
        guard (try? await loopSleep(milliseconds: 200)) != nil else { return }
      }
    }
  }
}
