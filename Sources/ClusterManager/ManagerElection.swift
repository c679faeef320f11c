import EventLoop
import Logging
import Metadata
import MetadataClient

/// Makes sure that one manager acts: by an epoch in the log, which every append of the acting one names. Takes the place of one
/// that resigned, was removed, or does not answer.
@LoopActor
final class ManagerElection {
  /// So long the acting manager has not answered before another takes its place.
  private static let patienceMilliseconds: UInt64 = 1500

  private let nodeID: NodeID
  private let client: MetadataClient
  private let logger = Logger(label: "manager")
  /// The epoch that this process was elected for; nil: it does not act.
  private(set) var epoch: UInt64?
  private var silentSince: UInt64?
  private(set) var elections: UInt64 = 0
  /// Told when this manager begins to act, or ends to.
  var onChange: (@LoopActor (UInt64?) -> Void)?

  init(nodeID: NodeID, client: MetadataClient) {
    self.nodeID = nodeID
    self.client = client
    client.observe { [weak self] _ in self?.look() }
  }

  /// Whether somebody else was elected meanwhile.
  private func look() {
    guard let epoch, client.image.manager.epoch != epoch || client.image.manager.nodeID != nodeID else { return }
    logger.notice("manages no longer: epoch \(epoch) has ended")
    self.epoch = nil
    onChange?(nil)
  }

  /// One round.
  /// - Parameter isServing: whether a node has answered last; nil: it has not been asked yet.
  func run(isServing: (NodeID) -> Bool?) async {
    let image = client.image
    guard epoch == nil, client.isReady, image.featureLevel >= FeatureLevel.coordination, image.nodes[nodeID] != nil
    else { return }
    if let acting = image.manager.nodeID, acting != nodeID, image.nodes[acting] != nil {
      guard isServing(acting) == false else {
        silentSince = nil
        return
      }
      silentSince = silentSince ?? Loop.now
      guard Loop.now - silentSince! >= Self.patienceMilliseconds * 1_000_000 else { return }
    }
    silentSince = nil
    do throws(MetadataError) {
      _ = try await client.append([.manager(.elect(nodeID, after: image.manager.epoch))], timeoutMilliseconds: 3000)
    } catch {
      logger.info("was not elected: \(error)")
      return
    }
    let manager = client.image.manager
    guard manager.nodeID == nodeID, manager.epoch > image.manager.epoch else { return }
    epoch = manager.epoch
    elections &+= 1
    logger.notice("manages the cluster, epoch \(manager.epoch)")
    onChange?(manager.epoch)
  }

  /// Lets another one act at once.
  func resign() async {
    guard let epoch else { return }
    self.epoch = nil
    onChange?(nil)
    _ = try? await client.append(
      AppendRequest(
        principal: client.configuration.principal, managerEpoch: epoch, commands: [.manager(.resign(epoch: epoch))]),
      timeoutMilliseconds: 1000)
  }
}
