import Raft

/// Which faults a run has, and which last at the moment.
struct FaultState {
  /// A fault that lasts.
  struct Episode {
    var kind: FaultKind
    var slot: Int = 0
    var generation: UInt16 = 0
    /// Links that it cuts or slows, as pairs of ends.
    var links: [(from: Int, to: Int)] = []
    var amount: UInt64 = 0
    var isOver = false
  }

  /// The mean time between two, in microseconds, by kind; 0: never.
  private(set) var intervals = [UInt64](repeating: 0, count: FaultKind.allCases.count)
  private(set) var trouble = Network.Trouble()
  private(set) var kinds: FaultKinds = []
  var episodes: [Episode] = []
  var active = 0
  /// How many have begun that come at times of their own.
  var begun = 0
  /// Whether faults happen now.
  var isTurmoil = true

  init(_ options: RunOptions) {
    var chance = Chance(seed: options.seed, purpose: 6)
    let possible = options.profile.kinds
    // Later kinds have draws of their own, so that runs without them stay what they were.
    var later = Chance(seed: options.seed, purpose: 8)
    for kind in FaultKind.allCases {
      let isLater = FaultKind.ofTransactions.contains(kind)
      if isLater { swap(&chance, &later) }
      defer { if isLater { swap(&chance, &later) } }
      // Drawn for every kind, so that leaving one out changes nothing for the others.
      let isChosen = chance.below(100) < (options.profile.isSwarm ? 45 : 85)
      let speed = [40, 70, 100, 100, 150, 250][chance.below(6)] as UInt64
      let weight = UInt32(chance.between(1, 10))
      guard possible.contains(FaultKinds(kind)) else { continue }
      let isForced = kind == .delay || kind == .duplicate
      guard isChosen || isForced else { continue }
      kinds.insert(FaultKinds(kind))
      if kind.isPerMessage {
        set(kind, weight)
      } else {
        intervals[Int(kind.rawValue)] = kind.usualIntervalSeconds * 1_000_000 * speed / 100
      }
    }
    // Together they hit so many of a million messages.
    scale(to: UInt32(chance.between(90_000, 200_000)))
    for kind in options.without.kinds {
      kinds.remove(FaultKinds(kind))
      if kind.isPerMessage { set(kind, 0) } else { intervals[Int(kind.rawValue)] = 0 }
    }
  }

  private mutating func set(_ kind: FaultKind, _ rate: UInt32) {
    switch kind {
    case .drop: trouble.drop = rate
    case .duplicate: trouble.duplicate = rate
    case .replay: trouble.replay = rate
    default: trouble.delay = rate
    }
  }

  private mutating func scale(to total: UInt32) {
    let sum = trouble.drop + trouble.duplicate + trouble.replay + trouble.delay
    guard sum > 0 else { return }
    trouble.drop = min(trouble.drop * total / sum, 80_000)
    trouble.duplicate = trouble.duplicate * total / sum
    trouble.replay = min(trouble.replay * total / sum, 20_000)
    trouble.delay = trouble.delay * total / sum
  }
}
