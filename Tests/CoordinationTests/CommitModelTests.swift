import Coordination
import Testing

@Suite("Commits over several shards, while messages are lost and processes die") struct CommitModelTests {
  @Test func `One outcome for each, none is lost, all end`() {
    var (committed, aborted, faults) = (0, 0, 0)
    for seed in 1...60 as ClosedRange<UInt64> {
      var model = CommitModel(seed: seed)
      model.run(steps: 1200)
      #expect(model.violations == [], "seed \(seed)")
      committed += model.committed
      aborted += model.aborted
      faults += model.faults
    }
    // The model must reach both outcomes, often.
    #expect(committed > 1000 && aborted > 1000 && faults > 4000, "\(committed) \(aborted) \(faults)")
  }

  @Test(arguments: CommitModel.Mutant.allCases)
  func `Each mistake is found`(_ mutant: CommitModel.Mutant) {
    for seed in 1...200 as ClosedRange<UInt64> {
      var model = CommitModel(seed: seed, mutant: mutant)
      model.run(steps: 1200)
      if !model.violations.isEmpty { return }
    }
    Issue.record("\(mutant) was not found")
  }
}
