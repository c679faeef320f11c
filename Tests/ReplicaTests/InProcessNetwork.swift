import EventLoop
import Foundation
import Raft

@testable import Replica

/// Carries messages between replicas of one process; members can be cut off.
@LoopActor
final class InProcessNetwork {
  private var transports: [NodeID: InProcessTransport] = [:]
  private(set) var cut: Set<NodeID> = []

  func transport(of id: NodeID) -> InProcessTransport { InProcessTransport(id: id, network: self) }

  /// Nothing reaches the member or comes from it; the others notice at once, as with a broken connection.
  func cut(_ id: NodeID) {
    cut.insert(id)
    for (other, transport) in transports.sorted(by: { $0.key < $1.key }) where other != id {
      transport.receiver?.disconnected(from: id)
      transports[id]?.receiver?.disconnected(from: other)
    }
  }

  func heal(_ id: NodeID) {
    cut.remove(id)
    connect(id)
  }

  func add(_ transport: InProcessTransport) {
    transports[transport.id] = transport
    connect(transport.id)
  }

  func remove(_ transport: InProcessTransport) {
    guard transports[transport.id] === transport else { return }
    transports[transport.id] = nil
    for (_, other) in transports.sorted(by: { $0.key < $1.key }) { other.receiver?.disconnected(from: transport.id) }
  }

  private func connect(_ id: NodeID) {
    for (other, transport) in transports.sorted(by: { $0.key < $1.key }) where other != id && !cut.contains(other) {
      LoopActor.post {
        transport.receiver?.connected(to: id)
        self.transports[id]?.receiver?.connected(to: other)
      }
    }
  }

  func receiver(from: NodeID, to: NodeID) -> (any RaftReceiver)? {
    cut.contains(from) || cut.contains(to) ? nil : transports[to]?.receiver
  }
}

/// A replica's end of the network.
@LoopActor
final class InProcessTransport: RaftTransport {
  let id: NodeID
  private let network: InProcessNetwork
  private(set) weak var receiver: (any RaftReceiver)?
  var snapshotsSent = 0

  init(id: NodeID, network: InProcessNetwork) {
    self.id = id
    self.network = network
  }

  func start(_ receiver: any RaftReceiver) {
    self.receiver = receiver
    network.add(self)
  }

  func setMembers(_ members: [Member]) {}

  func send(_ message: Message) {
    LoopActor.post { [network] in network.receiver(from: message.from, to: message.to)?.receive(message) }
  }

  func sendSnapshot(
    _ offer: SnapshotOffer, from path: String, to member: NodeID, then: @escaping @LoopActor (Bool) -> Void
  ) {
    guard let receiver = network.receiver(from: id, to: member), let data = FileManager.default.contents(atPath: path)
    else { return then(false) }
    snapshotsSent += 1
    Task { @LoopActor in
      do {
        var offset = try await receiver.beginSnapshot(offer)
        while offset < data.count {
          let end = min(offset + 1000, data.count)
          try await receiver.receiveSnapshot(offer, Array(data[offset..<end]), at: offset)
          offset = end
        }
        try await receiver.finishSnapshot(offer)
        then(true)
      } catch { then(false) }
    }
  }

  func stop() async {
    network.remove(self)
    receiver = nil
  }
}
