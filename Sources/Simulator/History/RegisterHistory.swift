/// What one client asked of a register, and what it was told. Times are of one clock, in microseconds.
package struct RegisterOperation: Sendable, Equatable {
  /// What was asked.
  package enum Kind: Sendable, Equatable {
    /// Set the value.
    case write(UInt64)
    /// The value that was found; 0 before the first write.
    case read(UInt64)
    /// Set the value if it is the one expected, and whether it was.
    case compareAndSet(expected: UInt64, value: UInt64, succeeded: Bool)
  }

  /// Who asked, for messages.
  package var client: UInt64
  /// What was asked, with the answer.
  package var kind: Kind
  /// When it was asked first.
  package var invokedMicroseconds: UInt64
  /// When the answer came; nil: never, it may have taken effect or not. Reads without answer need not be recorded.
  package var completedMicroseconds: UInt64?

  /// Makes an operation.
  package init(client: UInt64, kind: Kind, invokedMicroseconds: UInt64, completedMicroseconds: UInt64?) {
    self.client = client
    self.kind = kind
    self.invokedMicroseconds = invokedMicroseconds
    self.completedMicroseconds = completedMicroseconds
  }
}

/// Checks linearizability of one register without any knowledge of what happened inside (Wing and Gong, 1993, with the
/// memory of visited configurations of Lowe, 2017). Exponential at worst; histories in which few operations overlap, as
/// clients make them, take linear time. Check each key of a map by itself: linearizability is local.
package enum RegisterHistory {
  /// Whether some order of the operations explains the answers; nil when the search was given up after `limit` steps.
  package static func isLinearizable(_ operations: [RegisterOperation], limit: Int = 5_000_000) -> Bool? {
    var search = Search(operations, limit: limit)
    return search.run()
  }

  private struct Configuration: Hashable {
    var done: [UInt64]
    var value: UInt64
  }

  private struct Search {
    let operations: [RegisterOperation]
    var limit: Int
    // Visited configurations lead nowhere: asked for membership only.
    var visited: Set<Configuration> = []

    init(_ operations: [RegisterOperation], limit: Int) {
      self.operations = operations.sorted { $0.invokedMicroseconds < $1.invokedMicroseconds }
      self.limit = limit
    }

    /// Depth first, with a stack of its own: histories are longer than the machine's stack is deep.
    mutating func run() -> Bool? {
      let start = Configuration(
        done: [UInt64](repeating: 0, count: (operations.count + 63) / 64), value: 0)
      var stack: [(configuration: Configuration, first: Int)] = [(start, 0)]
      while let (configuration, from) = stack.popLast() {
        limit -= 1
        guard limit > 0 else { return nil }
        var first = from
        while first < operations.count, isDone(first, configuration) { first += 1 }
        var horizon = UInt64.max
        var end = first
        // Those that may come next: asked before any that is still to be placed was answered. The order is by question, so
        // that behind the first that was asked too late all others were as well.
        while end < operations.count, operations[end].invokedMicroseconds <= horizon {
          if !isDone(end, configuration) {
            horizon = min(horizon, operations[end].completedMicroseconds ?? .max)
          }
          end += 1
        }
        // What was never answered need not have happened.
        if horizon == .max { return true }
        for position in (first..<end).reversed() where !isDone(position, configuration) {
          guard let value = apply(operations[position], to: configuration.value) else { continue }
          var next = configuration
          next.value = value
          next.done[position / 64] |= 1 << UInt64(position % 64)
          if visited.insert(next).inserted { stack.append((next, first)) }
        }
      }
      return false
    }

    private func isDone(_ position: Int, _ configuration: Configuration) -> Bool {
      configuration.done[position / 64] & (1 << UInt64(position % 64)) != 0
    }

    /// The value after the operation; nil when its answer does not fit.
    private func apply(_ operation: RegisterOperation, to value: UInt64) -> UInt64? {
      switch operation.kind {
      case .write(let new): return new
      case .read(let found): return found == value ? value : nil
      case .compareAndSet(let expected, let new, let succeeded):
        // Without answer it is not known whether it succeeded: it did if it could.
        guard operation.completedMicroseconds != nil else { return expected == value ? new : nil }
        return (expected == value) == succeeded ? (succeeded ? new : value) : nil
      }
    }
  }
}
