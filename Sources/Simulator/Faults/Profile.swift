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

  /// What the profile may contain.
  var kinds: FaultKinds {
    switch self {
    case .swarm, .storm: return FaultKinds.all
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

  /// The profiles that a run over all seeds goes through in turn.
  package static let rotation: [Profile] = [
    .swarm, .storm, .network, .swarm, .disk, .process, .swarm, .time, .membership, .subscribers,
  ]

  /// The profile of a seed where none was asked for.
  package static func rotating(_ seed: UInt64) -> Profile { rotation[Int(seed % UInt64(rotation.count))] }
}
