import Testing

@testable import Simulator

@Suite("Simulated runs")
struct SimulationTests {
  private func options(_ seed: UInt64, _ profile: Profile, seconds: UInt64) -> RunOptions {
    var options = RunOptions(seed: seed, profile: profile)
    options.seconds = seconds
    return options
  }

  @Test("The same seed gives the same run, event by event")
  func deterministic() {
    let first = World(options(11, .storm, seconds: 120)).run()
    let second = World(options(11, .storm, seconds: 120)).run()
    let other = World(options(12, .storm, seconds: 120)).run()
    #expect(first.traceHash == second.traceHash)
    #expect(first.events == second.events)
    #expect(first.faults == second.faults)
    #expect(first.traceHash != other.traceHash)
  }

  @Test("No invariant breaks under any profile", arguments: Profile.allCases)
  func clean(profile: Profile) {
    for seed in UInt64(1)...3 {
      let result = World(options(seed, profile, seconds: 100)).run()
      #expect(result.violations == [], "kunlog simulate --seed \(seed) --profile \(profile.rawValue) --seconds 100")
      #expect(result.events > 1_000)
      #expect(result.appends > 5 || profile == .ruin)
      #expect(result.faultCount > 50 || profile == .calm)
    }
  }

  @Test(
    "Transactions commit over several shards while their coordinators, participants and the log's leaders die",
    arguments: [Profile.transactions, .transactionStorm, .commits])
  func transactions(profile: Profile) {
    let run = options(21, profile, seconds: 300)
    let result = World(run).run()
    #expect(result.violations == [])
    #expect(result.transactions.distributed > 50)
    #expect(result.transactions.snapshots > 20)
    #expect(result.transactions.doubts > 0)
    #expect(result.transactions.committed > result.transactions.distributed)
    let again = World(run).run()
    #expect(again.traceHash == result.traceHash)
    #expect(World(options(21, .swarm, seconds: 60)).run().transactions.begun == 0)
  }

  @Test(
    "Tablets move from shard to shard while transactions use them, and managers and leaders die",
    arguments: [Profile.moves, .moveStorm, .shuffles])
  func moves(profile: Profile) {
    let run = options(22, profile, seconds: 300)
    let result = World(run).run()
    #expect(result.violations == [])
    #expect(result.moves.routed > 5)
    #expect(result.moves.replanned > 0)
    #expect(result.transactions.distributed > 20)
    let again = World(run).run()
    #expect(again.traceHash == result.traceHash)
    #expect(World(options(22, .commits, seconds: 100)).run().moves.planned == 0)
  }

  @Test("Without faults every append takes two round trips and a synchronization or so, and one leader stays")
  func calm() {
    let result = World(options(1, .calm, seconds: 300)).run()
    #expect(result.faultCount == 0)
    #expect(result.terms <= 2)
    #expect(result.calmLatency99 > 0)
    #expect(result.calmLatency99 < 20_000)
    #expect(result.calmSynchronizationsPerThousandCommits < 4_000)
  }

  @Test(
    "A mistake in the code under test is found",
    arguments: [
      Mutant.acknowledgesBeforeDurable, .votesBeforeDurable, .keepsSpeculation, .bookmarksAhead, .abortsAlone,
      .believesItself, .answersBeforeDecision, .losesPreparedAtFailover, .readsPastPrepared,
    ])
  func mutants(mutant: Mutant) throws {
    var search = MutantSearch()
    search.maximumSeeds = 20
    search.seconds = 300
    let row = search.run(mutant)
    let violation = try #require(row.violation, "\(mutant.rawValue) was not found")
    #expect(row.isCleanWithout)
    #expect(violation.time > 0)
  }

  @Test("A failing run is shrunk to a shorter one that fails in the same way, and is replayed by its options")
  func shrinks() throws {
    var failing = options(1, .process, seconds: 300)
    failing.mutant = .votesBeforeDurable
    let violation = try #require(World(failing).run().violations.first)
    var shrinker = Shrinker(failing, failsWith: violation, maximumRuns: 40)
    shrinker.shrink()
    #expect(shrinker.runs > 3)
    #expect(shrinker.violation.time <= violation.time)
    #expect(shrinker.options.seconds <= violation.time / 1_000_000 + 1)
    #expect(!shrinker.options.without.isEmpty)
    #expect(World(shrinker.options).run().violations.first == shrinker.violation)
    #expect(shrinker.options.arguments.hasPrefix("--seed 1 --profile process --seconds "))
    #expect(shrinker.options.arguments.hasSuffix("--mutant votes-before-durable"))
  }
}
