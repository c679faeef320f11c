import Metadata

/// A transaction as one shard's leader knows it.
package struct ShardTransaction: Sendable, Equatable {
  package struct Wait: Sendable, Equatable {
    package var tablet: TabletID
    /// Names of those who hold the tablet's lock or wait before it.
    package var blockers: [TransactionName]
    package var milliseconds: UInt64
    package init(tablet: TabletID, blockers: [TransactionName], milliseconds: UInt64) {
      self.tablet = tablet
      self.blockers = blockers
      self.milliseconds = milliseconds
    }
  }
  /// As the compute node chose it.
  package var name: TransactionName
  /// Where it is prepared.
  package var id: GlobalTransactionID?
  package var participants: [ShardID]
  /// Since its first request here, or since it was prepared.
  package var ageMilliseconds: UInt64
  package var lockedTablets: [TabletID]
  package var wait: Wait?
  package init(
    name: TransactionName, id: GlobalTransactionID? = nil, participants: [ShardID] = [], ageMilliseconds: UInt64 = 0,
    lockedTablets: [TabletID] = [], wait: Wait? = nil
  ) {
    self.name = name
    self.id = id
    self.participants = participants
    self.ageMilliseconds = ageMilliseconds
    self.lockedTablets = lockedTablets
    self.wait = wait
  }
}

/// What a shard's leader says of its transactions.
package struct ShardTransactions: Sendable, Equatable {
  package var transactions: [ShardTransaction]
  /// The metadata that the shard had consumed: of later decisions this says nothing.
  package var metadataIndex: UInt64
  package init(transactions: [ShardTransaction], metadataIndex: UInt64) {
    self.transactions = transactions
    self.metadataIndex = metadataIndex
  }

  package var prepared: Set<GlobalTransactionID> { Set(transactions.compactMap(\.id)) }
}

/// A transaction of the cluster, for operators: what the shards and the log know of it, put together.
package struct TransactionReport: Sendable, Equatable {
  package enum State: String, Sendable {
    /// Open: it has written or read, and has not been committed.
    case active
    /// Open, and waiting for a lock.
    case waiting
    /// Durable on shards, and not decided yet.
    case prepared
    /// Prepared for longer than a coordinator takes: the shards ask the log to abort it.
    case inDoubt = "in doubt"
    /// The log has decided; a shard has not carried it out yet.
    case committing, aborting
    /// All shards have carried it out; the log has not forgotten it yet.
    case committed, aborted
  }

  /// From when on a prepared transaction is called in doubt.
  package static let doubtMilliseconds: UInt64 = 1000

  /// Of a `TransactionName`; empty where only the log knows it.
  package var name: String
  package var id: GlobalTransactionID?
  package var state: State
  /// Since its first request, or since it was prepared; of the shard where that is longest ago.
  package var ageMilliseconds: UInt64
  /// Where it is open or prepared; of a decided one, all participants.
  package var shards: [ShardID]
  /// Names of those that it waits for.
  package var waitsFor: [String]
  /// The record with the decision.
  package var decisionIndex: UInt64?

  /// All that there are: prepared and decided ones first, then the oldest.
  package static func all(
    _ shards: [ShardID: ShardTransactions],
    _ decisions: some Sequence<(key: GlobalTransactionID, value: OpenTransaction)>
  ) -> [TransactionReport] {
    var byName: [TransactionName: TransactionReport] = [:]
    let decided = Dictionary(uniqueKeysWithValues: decisions.map { ($0.key, $0.value) })
    for shard in shards.keys.sorted() {
      for transaction in shards[shard]!.transactions {
        // A shard's own names mean something on that shard only.
        let key =
          transaction.name.isComputeNodes
          ? transaction.name : TransactionName(transaction.name.bytes + [UInt8(truncatingIfNeeded: shard.rawValue)])
        var report =
          byName[key]
          ?? TransactionReport(
            name: "\(transaction.name)", id: nil, state: .active, ageMilliseconds: 0, shards: [], waitsFor: [])
        report.add(transaction, on: shard)
        byName[key] = report
      }
    }
    var reports = Array(byName.values)
    for place in reports.indices {
      guard let id = reports[place].id else { continue }
      guard let decision = decided[id] else {
        if reports[place].ageMilliseconds >= doubtMilliseconds { reports[place].state = .inDoubt }
        continue
      }
      reports[place].decide(decision, isCarriedOut: false)
    }
    let held = Set(reports.compactMap(\.id))
    for (id, decision) in decided where !held.contains(id) {
      var report = TransactionReport(
        name: "", id: id, state: .committed, ageMilliseconds: 0, shards: [], waitsFor: [])
      report.decide(decision, isCarriedOut: decision.participants.allSatisfy { shards[$0] != nil })
      reports.append(report)
    }
    return reports.sorted {
      ($0.id == nil ? 1 : 0, $1.ageMilliseconds, $0.name) < ($1.id == nil ? 1 : 0, $0.ageMilliseconds, $1.name)
    }
  }

  private mutating func add(_ transaction: ShardTransaction, on shard: ShardID) {
    shards.append(shard)
    ageMilliseconds = max(ageMilliseconds, transaction.ageMilliseconds)
    if let id = transaction.id {
      self.id = id
      state = .prepared
    } else if let wait = transaction.wait {
      if state == .active { state = .waiting }
      waitsFor += wait.blockers.map(\.description)
    }
  }

  private mutating func decide(_ decision: OpenTransaction, isCarriedOut: Bool) {
    shards = decision.participants
    decisionIndex = decision.index
    switch decision.outcome {
    case .commit: state = isCarriedOut ? .committed : .committing
    case .abort: state = isCarriedOut ? .aborted : .aborting
    }
  }
}
