/// Looks for the first seed that shows a mistake, over the profiles in which it is likely to show.
package struct MutantSearch: Sendable {
  /// What was found of one mutant.
  package struct Row: Sendable {
    /// The mistake.
    package var mutant: Mutant
    /// The run that showed it; nil: none did.
    package var options: RunOptions?
    /// How it showed.
    package var violation: Violation?
    /// Events of all runs up to there.
    package var events: UInt64 = 0
    /// Whether the same run without the mistake is clean.
    package var isCleanWithout = true
  }

  /// The most seeds that are tried.
  package var maximumSeeds: UInt64 = 300
  /// Virtual time of each run, in seconds.
  package var seconds: UInt64 = 1_800

  /// The defaults.
  package init() {}

  /// Runs seeds from 1 on until the mistake shows.
  package func run(_ mutant: Mutant) -> Row {
    var row = Row(mutant: mutant)
    for seed in 1...maximumSeeds {
      var options = RunOptions(seed: seed, profile: mutant.profiles[Int(seed) % mutant.profiles.count])
      options.seconds = seconds
      options.mutant = mutant
      let result = World(options).run()
      row.events += result.events
      guard let violation = result.violations.first else { continue }
      row.options = options
      row.violation = violation
      options.mutant = nil
      row.isCleanWithout = World(options).run().violations.isEmpty
      break
    }
    return row
  }
}
