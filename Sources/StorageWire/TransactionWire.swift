import Coordination
import EventLoop
import FoundationEssentials
import Metadata
import ProtocolStorage
import RPC

// Transactions as messages of the storage protocol, and back.

extension GlobalTransactionID {
  package init(wire: Kunlog_Storage_V1_GlobalTransaction) {
    self.init(
      coordinator: NodeID(rawValue: wire.coordinator), incarnation: wire.incarnation, sequence: wire.sequence)
  }

  package var storageWire: Kunlog_Storage_V1_GlobalTransaction {
    .with {
      $0.coordinator = coordinator.rawValue
      $0.incarnation = incarnation
      $0.sequence = sequence
    }
  }
}

extension ShardTransaction {
  package init(wire: Kunlog_Storage_V1_ShardTransaction) {
    self.init(
      name: TransactionName(Array(wire.transactionID)),
      id: wire.hasGlobalTransaction ? GlobalTransactionID(wire: wire.globalTransaction) : nil,
      participants: wire.participants.map { ShardID(rawValue: $0) }, ageMilliseconds: wire.ageMilliseconds,
      lockedTablets: wire.lockedTablets.map { TabletID(rawValue: $0) },
      wait: wire.awaitedTablet == 0
        ? nil
        : ShardTransaction.Wait(
          tablet: TabletID(rawValue: wire.awaitedTablet), blockers: wire.waitsFor.map { TransactionName(Array($0)) },
          milliseconds: wire.waitMilliseconds))
  }
}

extension ShardTransactions {
  package init(wire: Kunlog_Storage_V1_TransactionsResponse) {
    self.init(transactions: wire.transactions.map { ShardTransaction(wire: $0) }, metadataIndex: wire.metadataIndex)
  }

  /// What a shard's leader is asked.
  package static func request(
    _ shard: ShardID, of clusterID: ClusterID, onlyBlocking: Bool
  ) -> Kunlog_Storage_V1_TransactionsRequest {
    .with {
      $0.clusterID = Data(clusterID.rawValue)
      $0.shardID = shard.rawValue
      $0.onlyBlocking = onlyBlocking
    }
  }

  /// Asks a shard's replicas in turn until its leader answers; nil: none did.
  @LoopActor
  package static func ask(
    _ shard: ShardID, of clusterID: ClusterID, replicas: [NodeID], onlyBlocking: Bool = false, timeoutMilliseconds: Int,
    channel: (NodeID) -> RPCChannel?
  ) async -> ShardTransactions? {
    let request = request(shard, of: clusterID, onlyBlocking: onlyBlocking)
    for replica in replicas {
      guard let channel = channel(replica),
        let response = try? await channel.unary(
          StorageMethods.transactions, request, timeoutMilliseconds: timeoutMilliseconds),
        !response.hasNotLeader
      else { continue }
      return ShardTransactions(wire: response)
    }
    return nil
  }
}
