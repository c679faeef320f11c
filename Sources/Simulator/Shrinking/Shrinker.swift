/// Makes a failing run smaller while it fails in the same way: shorter, without kinds of fault, with fewer clients, and with
/// fewer faults (after Zeller and Hildebrandt's delta debugging, 2002, one dimension after the other).
package struct Shrinker {
  /// What fails so far.
  package private(set) var options: RunOptions
  /// How it fails.
  package private(set) var violation: Violation
  /// How many runs it took.
  package private(set) var runs = 0
  private let maximumRuns: Int

  /// - Parameters:
  ///   - options: a run that fails.
  ///   - violation: its first violation.
  ///   - maximumRuns: a bound of the work.
  package init(_ options: RunOptions, failsWith violation: Violation, maximumRuns: Int = 200) {
    self.options = options
    self.options.trace = nil
    self.options.stopsAtViolation = true
    // What follows shortens the run, which must not change its phases.
    self.options.cycleSeconds = options.cycleSeconds ?? min(options.seconds, 600)
    self.violation = violation
    self.maximumRuns = maximumRuns
  }

  /// Shrinks as far as it goes.
  package mutating func shrink() {
    shorten()
    removeKinds()
    reduceClients()
    reduceFaults()
    removeKinds()
    shorten()
  }

  private mutating func shorten() {
    let needed = violation.time / 1_000_000 + 1
    if needed < options.seconds { attempt { $0.seconds = needed } }
  }

  private mutating func removeKinds() {
    // Half of them at once first, then one by one.
    let all = options.profile.kinds.subtracting(options.without).kinds
    for half in [Array(all.prefix(all.count / 2)), Array(all.suffix(all.count - all.count / 2))] {
      attempt { $0.without.formUnion(FaultKinds(half)) }
    }
    for kind in all where !options.without.contains(FaultKinds(kind)) {
      attempt { $0.without.insert(FaultKinds(kind)) }
      shorten()
    }
  }

  private mutating func reduceClients() {
    for count in [1, 2, 3] where count < options.clients ?? .max {
      if attempt({ $0.clients = count }) { break }
    }
    shorten()
  }

  private mutating func reduceFaults() {
    var low = 0
    var high = min(options.maximumFaults, 4_096)
    while low < high {
      let middle = (low + high) / 2
      if attempt({ $0.maximumFaults = middle }) { high = middle } else { low = middle + 1 }
    }
    shorten()
  }

  /// Keeps the change where the run fails in the same way with it.
  @discardableResult
  private mutating func attempt(_ change: (inout RunOptions) -> Void) -> Bool {
    guard runs < maximumRuns else { return false }
    var candidate = options
    change(&candidate)
    runs += 1
    let result = World(candidate).run()
    guard let found = result.violations.first, found.invariant == violation.invariant else { return false }
    options = candidate
    violation = found
    return true
  }
}

extension RunOptions {
  /// What makes this run again, as arguments of `kunlog simulate`.
  package var arguments: String {
    var words = ["--seed \(seed)", "--profile \(profile.rawValue)", "--seconds \(seconds)"]
    if let cycleSeconds { words.append("--cycle-seconds \(cycleSeconds)") }
    if !without.isEmpty { words.append("--without " + without.kinds.map(\.name).joined(separator: ",")) }
    if let clients { words.append("--clients \(clients)") }
    if maximumFaults != .max { words.append("--faults \(maximumFaults)") }
    if let mutant { words.append("--mutant \(mutant.rawValue)") }
    return words.joined(separator: " ")
  }
}
