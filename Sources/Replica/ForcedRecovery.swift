import LogStore
import Raft
import SegmentedLog

/// A replica's log, opened while its process does not run, to make this member the only voter of its group. Blocks: for
/// commands, not for servers.
package final class ForcedRecovery {
  /// Whose log it is.
  package let identity: LogIdentity
  /// What is in it, as consensus sees it.
  package let recovered: Raft.Recovered
  /// What would be written; nil where the log does not know its own member.
  package let forced: ForcedConfiguration?
  /// What damage has cost the log; nil: nothing.
  package let loss: LogLoss?

  private let log: OpenedLog

  /// Opens the log in a replica's directory; nobody else can open it while this lives.
  /// - Parameter dataDirectory: as in `ReplicaConfiguration`.
  package init(dataDirectory: String) throws(LogStoreError) {
    let disk = try FileDisk(existing: dataDirectory + "/log")
    let identity = try LogIdentity(of: disk)
    var configuration = LogConfiguration(identity: identity, initialMembers: .empty)
    configuration.mayBegin = false
    log = try OpenedLog.open(configuration, on: disk)
    self.identity = log.recovered.identity
    recovered = log.recovered.forRaft
    loss = log.recovered.loss
    forced = ForcedConfiguration(of: identity.nodeID, in: recovered)
  }

  /// Writes the configuration, durably.
  package func force(_ forced: ForcedConfiguration) throws(LogStoreError) {
    let result = try log.writer.write([.hardState(forced.hardState), .entries([forced.entry])])
    guard result.isComplete else { throw .io(operation: "write to", path: "the log", errno: 28) }
  }

  /// Closes the log; it says then that it was closed whole.
  package func close() throws(LogStoreError) { try log.writer.close() }
}
