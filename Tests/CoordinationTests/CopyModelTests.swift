import Coordination
import Metadata
import Testing

@Suite("Mirror tables that get copies and lose them while they are written") struct CopyModelTests {
  @Test func `All copies have what was acknowledged, every read sees it, and nothing is left`() {
    var changes: [String: Int] = [:]
    var commits = 0
    for seed in 1...60 as ClosedRange<UInt64> {
      var model = CopyModel(seed: seed)
      model.run(steps: 4000)
      #expect(model.violations == [], "seed \(seed)")
      changes.merge(model.changes) { $0 + $1 }
      commits += model.commits
    }
    #expect(
      changes["added, completed", default: 0] > 200 && changes["dropped, completed", default: 0] > 200
        && changes["added, rolled back", default: 0] > 10 && commits > 2000, "\(changes) \(commits)")
  }

  @Test(arguments: CopyModel.Mutant.allCases)
  func `Each mistake is found`(_ mutant: CopyModel.Mutant) {
    for seed in 1...300 as ClosedRange<UInt64> {
      var model = CopyModel(seed: seed, mutant: mutant)
      model.run(steps: 4000)
      if !model.violations.isEmpty { return }
    }
    Issue.record("\(mutant) was not found")
  }

  @Test func `A copy that is dropped is cut, routed and cleaned up, and copied never`() {
    var options = MigrationOptions()
    options.dropsCopy = true
    let id = MigrationID(rawValue: 7)
    let plan = MigrationPlan(
      id: id, tabletID: TabletID(rawValue: 1), source: ShardID(rawValue: 2), target: ShardID(rawValue: 1), epoch: 4,
      options: options)
    var migration = Migration(plan: plan, startedIndex: 10)
    var driver = MigrationDriver()
    #expect(
      driver.step(.log(migration, epoch: 4), now: 0)
        == [.append([.advance(id, attempt: 0, .cutWrites)])])
    migration.phase = .writesCut
    #expect(driver.step(.log(migration, epoch: 4), now: 10) == [.run(.fence(reads: false), number: 1)])
    #expect(
      driver.step(.done(1, MigrationDriver.StepResult(shardIndex: 33)), now: 20)
        == [.run(.fence(reads: true), number: 2)])
    #expect(
      driver.step(.done(2, MigrationDriver.StepResult(shardIndex: 33)), now: 30) == [
        .append([
          .advance(id, attempt: 0, .route(epoch: 4, shardIndex: 33, rowsChecksum: [], followFrom: 0)),
          .advance(id, attempt: 0, .finish),
        ])
      ])
    // Where the cut lasts too long the copy serves again, and the next attempt begins with the cut.
    var late = MigrationDriver()
    _ = late.step(.log(migration, epoch: 4), now: 0)
    guard case .append(let commands)? = late.step(.tick, now: 3000).first,
      case .retry(id, attempt: 0, resumesAt: .planned, _)? = commands.first
    else {
      Issue.record("the cut does not end")
      return
    }
  }
}
