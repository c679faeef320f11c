import ArgumentParser
import Foundation
import Simulator

/// `kunlog simulate`: the metadata group in a simulated world, from a seed.
struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run the metadata group in a simulated world full of faults, and check what must hold.",
    discussion: """
      The real consensus, log format and state machine run on a simulated clock, network and disk. Everything follows from \
      the seed: the same command gives the same run. The exit status is 1 where an invariant broke, or a mutant was not found.
      """)

  @Option(help: "The first seed.")
  var seed: UInt64 = 1
  @Option(help: "How many seeds, one after another.")
  var seeds: UInt64 = 1
  @Option(
    help:
      "Which faults there may be: \(Profile.allCases.map(\.rawValue).joined(separator: ", ")). By turns where not given."
  )
  var profile: Profile?
  @Option(help: "Virtual hours of each seed.")
  var hours: Double = 1
  @Option(help: "The same in seconds; takes precedence.")
  var seconds: UInt64?
  @Option(help: "Turmoil and calm take so many seconds together.")
  var cycleSeconds: UInt64?
  @Option(help: "Kinds of fault that are left out, separated by commas.")
  var without: FaultList?
  @Option(help: "How many clients.")
  var clients: Int?
  @Option(name: .customLong("faults"), help: "No further faults after so many (those of single messages not counted).")
  var maximumFaults: Int?
  @Option(help: "Put this mistake into the code under test.")
  var mutant: Mutant?
  @Flag(help: "Put each mistake into the code, one after another, and look for the seed that shows it.")
  var mutants = false
  @Option(help: "Runs at the same time.")
  var jobs = max(1, ProcessInfo.processInfo.activeProcessorCount)
  @Flag(help: "One JSON document per line; the last one sums up.")
  var json = false
  @Flag(help: "Tell what happens, line by line.")
  var trace = false
  @Flag(inversion: .prefixedNo, help: "Make the first failing run as small as it goes.")
  var shrink = true

  func validate() throws {
    guard seeds > 0, jobs > 0, hours > 0, hours <= 10_000, (seconds ?? 1) > 0, (cycleSeconds ?? 60) >= 10 else {
      throw ValidationError("--seeds, --jobs, --hours and --seconds are above 0, --cycle-seconds is 10 at least")
    }
    guard (1...14).contains(clients ?? 1) else { throw ValidationError("--clients is 1 to 14") }
    guard !trace || (seeds == 1 && !mutants) else { throw ValidationError("--trace tells of one run: give one seed") }
  }

  func run() async throws {
    let isGood = mutants ? await MutantReport(json: json, jobs: jobs).run() : await runSeeds()
    if !isGood { throw ExitCode(1) }
  }

  private func options(_ seed: UInt64) -> RunOptions {
    var options = RunOptions(seed: seed, profile: profile ?? .rotating(seed))
    options.seconds = seconds ?? UInt64(max(1, (hours * 3_600).rounded()))
    options.cycleSeconds = cycleSeconds
    options.without = without?.kinds ?? []
    options.clients = clients
    options.maximumFaults = maximumFaults ?? .max
    options.mutant = mutant
    if trace { options.trace = { print($0) } }
    return options
  }

  private func runSeeds() async -> Bool {
    var report = SeedReport(json: json)
    let last = seed + seeds - 1
    report.begin()
    await inOrder(seed...last, jobs: jobs) { seed in
      let options = options(seed)
      let start = processorSeconds()
      return SeedReport.Run(options: options, result: World(options).run(), seconds: processorSeconds() - start)
    } then: { run in
      report.add(run)
    }
    if let failed = report.firstFailure, let violation = failed.result.violations.first, shrink {
      var shrinker = Shrinker(failed.options, failsWith: violation)
      shrinker.shrink()
      report.addShrunk(shrinker)
    }
    report.end()
    return report.firstFailure == nil
  }
}

/// Kinds of fault in an option, separated by commas.
struct FaultList: ExpressibleByArgument {
  var kinds: FaultKinds

  init?(argument: String) {
    var kinds: FaultKinds = []
    for name in argument.split(separator: ",") {
      guard let kind = FaultKind.allCases.first(where: { $0.name == name }) else { return nil }
      kinds.insert(FaultKinds(kind))
    }
    self.kinds = kinds
  }

  static var allValueStrings: [String] { FaultKind.allCases.map(\.name) }
}

extension Profile: ExpressibleByArgument {}
extension Mutant: ExpressibleByArgument {}

/// Does work for each number, several at a time, and hands the results over in the order of the numbers.
func inOrder<Numbers: Collection, Result: Sendable>(
  _ numbers: Numbers, jobs: Int, _ work: @escaping @Sendable (Numbers.Element) -> Result, then: (Result) -> Void
) async where Numbers.Element: Sendable {
  await withTaskGroup(of: (Int, Result).self) { group in
    var rest = Array(numbers).enumerated().makeIterator()
    var waiting: [Int: Result] = [:]
    var next = 0
    func start() {
      guard let (position, number) = rest.next() else { return }
      group.addTask { (position, work(number)) }
    }
    for _ in 0..<jobs { start() }
    while let (position, result) = await group.next() {
      waiting[position] = result
      start()
      while let result = waiting.removeValue(forKey: next) {
        next += 1
        then(result)
      }
    }
  }
}

/// Processor time that this thread has used, in seconds.
func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
