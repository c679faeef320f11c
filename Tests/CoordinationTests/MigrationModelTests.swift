import Coordination
import Metadata
import Testing

@Suite("Tablets that move, while messages are lost and managers and leaders die") struct MigrationModelTests {
  @Test func `No row is lost or doubled, one shard owns the tablet, all migrations end, nothing is left`() {
    var outcomes: [MigrationOutcome: Int] = [:]
    var (faults, retries) = (0, 0)
    for seed in 1...40 as ClosedRange<UInt64> {
      var model = MigrationModel(seed: seed)
      model.run(steps: 2500)
      #expect(model.violations == [], "seed \(seed)")
      outcomes.merge(model.outcomes) { $0 + $1 }
      faults += model.faults
      retries += model.retries
    }
    // The model must reach both ends, often, and the way back.
    #expect(
      outcomes[.completed, default: 0] > 60 && outcomes[.rolledBack, default: 0] > 10
        && outcomes[.reversed, default: 0] > 20 && faults > 2000 && retries > 10,
      "\(outcomes) \(faults) \(retries)")
  }

  @Test(arguments: MigrationModel.Mutant.allCases)
  func `Each mistake is found`(_ mutant: MigrationModel.Mutant) {
    for seed in 1...600 as ClosedRange<UInt64> {
      var model = MigrationModel(seed: seed, mutant: mutant)
      model.run(steps: 2500)
      if !model.violations.isEmpty { return }
    }
    Issue.record("\(mutant) was not found")
  }
}
