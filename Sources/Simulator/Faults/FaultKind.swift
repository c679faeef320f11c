/// What can go wrong, one by one (reliability.md). A run has a random subset of these, each with a random frequency.
package enum FaultKind: UInt8, CaseIterable, Sendable {
  // Network: with each message.
  case drop, duplicate, replay, delay
  // Network: for a while.
  case split, oneWay, bridge, slowLink, halfOpen, reset
  // Disk.
  case slowDisk, stalledDisk, hungDisk, fullDisk, writeError, syncError, bitRot, lostWrite, misdirectedWrite, oldBackup
  case blankDisk, readError, swappedFile, missingFile, foreignDisk
  // Process.
  case crash, crashLoop, pause, powerCut, slowApply
  // Time.
  case clockJump, clockDrift, clockFreeze
  // Membership.
  case membership, transfer, changedAddress
  // Subscribers.
  case stalledSubscriber, reconnectStorm, wrongIndex
  // Operation.
  case snapshot, forcedQuorum
  // Programs of several versions.
  case version
  // Compute nodes, shards and the manager.
  case computeCrash, computePause, shardCrash, shardDeposed, shardPause, shardStall, shardBusy, managerCrash,
    managerPause
  // One of them hears nothing of the metadata log for a while.
  case stalledFeed
  // A read of one moment takes as long as the cut of a move, between one shard and the next.
  case lateRead

  /// Those that befall transactions over several shards only.
  static let ofTransactions: [FaultKind] = [
    .computeCrash, .computePause, .shardCrash, .shardDeposed, .shardPause, .shardStall, .shardBusy, .managerCrash,
    .managerPause, .stalledFeed, .lateRead,
  ]

  /// The name in options and tables.
  package var name: String {
    switch self {
    case .drop: "drop"
    case .duplicate: "duplicate"
    case .replay: "replay"
    case .delay: "delay"
    case .split: "split"
    case .oneWay: "one-way"
    case .bridge: "bridge"
    case .slowLink: "slow-link"
    case .halfOpen: "half-open"
    case .reset: "reset"
    case .slowDisk: "slow-disk"
    case .stalledDisk: "stalled-disk"
    case .hungDisk: "hung-disk"
    case .fullDisk: "full-disk"
    case .writeError: "write-error"
    case .syncError: "sync-error"
    case .bitRot: "bit-rot"
    case .lostWrite: "lost-write"
    case .misdirectedWrite: "misdirected-write"
    case .oldBackup: "old-backup"
    case .blankDisk: "blank-disk"
    case .readError: "read-error"
    case .swappedFile: "swapped-file"
    case .missingFile: "missing-file"
    case .foreignDisk: "foreign-disk"
    case .crash: "crash"
    case .crashLoop: "crash-loop"
    case .pause: "pause"
    case .powerCut: "power-cut"
    case .slowApply: "slow-apply"
    case .clockJump: "clock-jump"
    case .clockDrift: "clock-drift"
    case .clockFreeze: "clock-freeze"
    case .membership: "membership"
    case .transfer: "transfer"
    case .changedAddress: "changed-address"
    case .stalledSubscriber: "stalled-subscriber"
    case .reconnectStorm: "reconnect-storm"
    case .wrongIndex: "wrong-index"
    case .snapshot: "snapshot"
    case .forcedQuorum: "forced-quorum"
    case .version: "version"
    case .computeCrash: "compute-crash"
    case .computePause: "compute-pause"
    case .shardCrash: "shard-crash"
    case .shardDeposed: "shard-deposed"
    case .shardPause: "shard-pause"
    case .shardStall: "shard-stall"
    case .shardBusy: "shard-busy"
    case .managerCrash: "manager-crash"
    case .managerPause: "manager-pause"
    case .stalledFeed: "stalled-feed"
    case .lateRead: "late-read"
    }
  }

  /// Whether it is drawn anew for each message; the others come at times of their own.
  var isPerMessage: Bool {
    switch self {
    case .drop, .duplicate, .replay, .delay: true
    default: false
    }
  }

  /// The mean time between two of them, in seconds, where the profile's frequency is the usual one.
  var usualIntervalSeconds: UInt64 {
    switch self {
    case .drop, .duplicate, .replay, .delay: 0
    // It comes with cuts only.
    case .lateRead: 0
    case .split, .oneWay, .bridge: 40
    case .slowLink, .halfOpen: 45
    case .reset: 15
    case .slowDisk, .stalledDisk: 30
    case .hungDisk, .fullDisk: 150
    case .writeError, .syncError, .readError: 120
    case .bitRot, .lostWrite, .misdirectedWrite, .oldBackup, .blankDisk: 240
    case .swappedFile, .missingFile, .foreignDisk: 300
    case .crash: 60
    case .crashLoop: 240
    case .pause: 45
    case .powerCut: 240
    case .slowApply: 60
    case .clockJump, .clockDrift, .clockFreeze: 60
    case .membership: 60
    case .transfer: 40
    case .stalledSubscriber, .wrongIndex: 60
    case .reconnectStorm: 90
    case .snapshot: 60
    case .changedAddress: 150
    case .forcedQuorum: 900
    case .version: 45
    case .computeCrash, .shardCrash, .shardDeposed, .shardPause, .computePause, .stalledFeed: 30
    case .shardStall, .shardBusy: 40
    case .managerCrash, .managerPause: 60
    }
  }
}

/// Kinds of fault, as bits.
package struct FaultKinds: OptionSet, Sendable, Hashable {
  package let rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// One kind.
  package init(_ kind: FaultKind) { self.init(rawValue: 1 << UInt64(kind.rawValue)) }

  /// Several kinds.
  package init(_ kinds: [FaultKind]) {
    self.init(rawValue: kinds.reduce(0) { $0 | 1 << UInt64($1.rawValue) })
  }

  /// All kinds.
  package static let all = FaultKinds(FaultKind.allCases)

  /// The kinds, in the order of their declaration.
  package var kinds: [FaultKind] { FaultKind.allCases.filter { contains(FaultKinds($0)) } }
}
