/// Which kinds of fault a run may have.
package enum Profile: String, CaseIterable, Sendable {
  /// A random subset of everything (Groce and others, 2012: runs that leave faults out find what runs with all of them hide).
  case swarm
  /// Everything at once.
  case storm
  case network, disk, process, time, membership, subscribers
  /// Nothing goes wrong: what a commit costs is measured.
  case calm
  /// More damage than the copies can bear: the group must halt rather than lose or invent anything.
  case ruin
  /// Transactions over several shards beside the group: a random subset of what befalls them, the group and the network.
  case transactions
  /// The same with everything at once.
  case transactionStorm = "transaction-storm"
  /// Transactions beside a group of which nothing but the leader changes.
  case commits
  /// Tablets move from shard to shard while transactions use them: a random subset of what befalls all of them.
  case moves
  /// The same with everything at once.
  case moveStorm = "move-storm"
  /// Tablets that move, beside a group of which nothing but the leader changes.
  case shuffles

  /// What the profile may contain.
  var kinds: FaultKinds {
    switch self {
    case .swarm, .storm: return FaultKinds.all.subtracting(FaultKinds(FaultKind.ofTransactions))
    case .moves, .moveStorm: return FaultKinds.all.subtracting(FaultKinds(.version))
    // What hears late of the log, and what reads during a cut, matters where tablets move.
    case .transactions, .transactionStorm:
      return Profile.moves.kinds.subtracting(FaultKinds([.stalledFeed, .lateRead]))
    case .shuffles:
      return FaultKinds([.drop, .delay, .duplicate, .replay, .oneWay, .split, .transfer] + FaultKind.ofTransactions)
    case .commits: return Profile.shuffles.kinds.subtracting(FaultKinds([.stalledFeed, .lateRead]))
    case .calm: return []
    case .network:
      return FaultKinds([.drop, .duplicate, .replay, .delay, .split, .oneWay, .bridge, .slowLink, .halfOpen, .reset])
    case .disk:
      return FaultKinds([
        .drop, .delay, .crash, .powerCut, .slowDisk, .stalledDisk, .hungDisk, .fullDisk, .writeError, .syncError,
        .bitRot, .lostWrite, .misdirectedWrite, .oldBackup, .blankDisk, .readError, .swappedFile, .missingFile,
        .foreignDisk, .snapshot,
      ])
    case .process:
      return FaultKinds([
        .drop, .duplicate, .delay, .reset, .crash, .crashLoop, .pause, .powerCut, .slowApply, .snapshot, .version,
      ])
    case .time:
      return FaultKinds([.drop, .delay, .oneWay, .split, .bridge, .pause, .clockJump, .clockDrift, .clockFreeze])
    case .membership:
      return FaultKinds([
        .drop, .duplicate, .delay, .split, .oneWay, .crash, .membership, .transfer, .changedAddress, .snapshot,
        .forcedQuorum,
      ])
    case .subscribers:
      return FaultKinds([
        .drop, .delay, .crash, .split, .snapshot, .stalledSubscriber, .reconnectStorm, .wrongIndex, .slowApply,
      ])
    case .ruin:
      return FaultKinds([
        .drop, .delay, .crash, .powerCut, .bitRot, .lostWrite, .misdirectedWrite, .swappedFile, .missingFile, .slowDisk,
      ])
    }
  }

  /// Whether compute nodes run transactions over several shards.
  package var hasTransactions: Bool {
    self == .transactions || self == .transactionStorm || self == .commits || hasMoves
  }

  /// Whether tablets move meanwhile.
  package var hasMoves: Bool { self == .moves || self == .moveStorm || self == .shuffles }

  /// Whether a run has about half of the kinds only.
  var isSwarm: Bool { self == .swarm || self == .transactions || self == .moves }

  /// The profiles that a run over all seeds goes through in turn.
  package static let rotation: [Profile] = [
    .swarm, .storm, .network, .swarm, .disk, .process, .swarm, .time, .membership, .subscribers,
  ]

  /// The profile of a seed where none was asked for.
  package static func rotating(_ seed: UInt64) -> Profile { rotation[Int(seed % UInt64(rotation.count))] }
}
