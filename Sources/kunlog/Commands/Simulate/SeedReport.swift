import Foundation
import Simulator

/// What the runs of several seeds have shown: a row for each, and their sum.
struct SeedReport {
  /// One run.
  struct Run: Sendable {
    var options: RunOptions
    var result: RunResult
    /// Processor time.
    var seconds: Double
  }

  let json: Bool
  private(set) var firstFailure: Run?
  private var runs = 0
  private var hash: UInt64 = 0
  private var events: UInt64 = 0
  private var faults: UInt64 = 0
  private var kinds = [UInt64](repeating: 0, count: FaultKind.allCases.count)
  private var violations = 0
  private var overlapping = 0
  private var virtualSeconds = 0.0
  private var seconds = 0.0
  private var appends: UInt64 = 0
  private var reads: UInt64 = 0
  private var delivered: UInt64 = 0
  private var transactions = TransactionResult()
  private var moves = MoveResult()

  init(json: Bool) { self.json = json }

  func begin() {
    guard !json else { return }
    say(
      """
      seed       profile      trace hash            events    faults  at once  appends   reads  terms  members  restarts  \
      p50 ms  p99 ms     speed
      """)
  }

  mutating func add(_ run: Run) {
    let result = run.result
    runs += 1
    hash = (hash ^ result.traceHash) &* 0x9FB2_1C65_1E98_DF25
    hash ^= hash >> 29
    events += result.events
    faults += result.faultCount
    for (position, count) in result.faults.enumerated() { kinds[position] += count }
    violations += result.violations.count
    if result.overlap >= 2 { overlapping += 1 }
    virtualSeconds += Double(result.microseconds) / 1e6
    seconds += run.seconds
    appends += result.appends
    reads += result.reads
    delivered += result.delivered
    transactions.add(result.transactions)
    moves.add(result.moves)
    if !result.violations.isEmpty, firstFailure == nil { firstFailure = run }
    json ? printJSON(run) : printRow(run)
  }

  /// A line as soon as a run is over, into a file as well.
  private func say(_ text: String) { StandardStream.output.write(text + "\n") }

  private func printRow(_ run: Run) {
    let result = run.result
    let speed = Double(result.microseconds) / 1e6 / max(run.seconds, 1e-6)
    let columns = [
      pad("\(run.options.seed)", -9), pad(run.options.profile.rawValue, -12), hexadecimal(result.traceHash),
      pad("\(result.events)", 10), pad("\(result.faultCount)", 9), pad("\(result.overlap)", 8),
      pad("\(result.appends)", 8), pad("\(result.reads)", 7), pad("\(result.terms)", 6),
      pad("\(result.memberships)", 8), pad("\(result.restarts)", 9), pad(milliseconds(result.calmLatency50), 7),
      pad(milliseconds(result.calmLatency99), 7), pad("\(Int(speed)) ×", 9),
    ]
    say(columns.joined(separator: " "))
    for violation in result.violations { say("  VIOLATION at \(violation)") }
  }

  private func printJSON(_ run: Run) {
    let result = run.result
    let broken = result.violations.map { "\(quoted($0.description))" }.joined(separator: ",")
    say(
      "{\"seed\":\(run.options.seed),\"profile\":\"\(run.options.profile.rawValue)\","
        + "\"trace_hash\":\"\(hexadecimal(result.traceHash))\",\"events\":\(result.events),"
        + "\"faults\":\(result.faultCount),\"faults_at_once\":\(result.overlap),\"appends\":\(result.appends),"
        + "\"reads\":\(result.reads),\"delivered\":\(result.delivered)\(json(result.transactions))\(json(result.moves)),\"terms\":\(result.terms),"
        + "\"membership_changes\":\(result.memberships),\"restarts\":\(result.restarts),"
        + "\"calm_p50_us\":\(result.calmLatency50),\"calm_p99_us\":\(result.calmLatency99),"
        + "\"virtual_seconds\":\(result.microseconds / 1_000_000),\"cpu_seconds\":\(rounded(run.seconds)),"
        + "\"violations\":[\(broken)]}")
  }

  private func json(_ transactions: TransactionResult) -> String {
    guard transactions.begun > 0 else { return "" }
    return ",\"transactions\":\(transactions.begun),\"committed\":\(transactions.committed),"
      + "\"distributed\":\(transactions.distributed),\"snapshots\":\(transactions.snapshots),"
      + "\"in_doubt\":\(transactions.doubts),\"deadlocks\":\(transactions.deadlocks),"
      + "\"conflicts\":\(transactions.conflicts)"
  }

  private func json(_ moves: MoveResult) -> String {
    guard moves.planned > 0 else { return "" }
    return ",\"moves\":\(moves.planned),\"moved\":\(moves.routed),\"completed\":\(moves.completed),"
      + "\"rolled_back\":\(moves.rolledBack),\"reversed\":\(moves.reversed),\"expired_cuts\":\(moves.expired),\"retries\":\(moves.retries),\"replanned\":\(moves.replanned)"
  }

  private func sentence(_ moves: MoveResult) -> String {
    guard moves.planned > 0 else { return "" }
    return
      "\(moves.planned) moves, \(moves.routed) routes changed, \(moves.completed) completed, \(moves.rolledBack) rolled back, \(moves.reversed) reversed, \(moves.expired) cuts ended by a shard, "
      + "\(moves.retries) attempts begun anew, \(moves.replanned) statements planned anew\n"
  }

  private func sentence(_ transactions: TransactionResult) -> String {
    guard transactions.begun > 0 else { return "" }
    return
      "\(transactions.begun) transactions, \(transactions.committed) committed (\(transactions.distributed) over several "
      + "shards), \(transactions.snapshots) reads of one moment, \(transactions.doubts) times in doubt, "
      + "\(transactions.deadlocks) deadlocks, \(transactions.conflicts) conflicts\n"
  }

  func addShrunk(_ shrinker: Shrinker) {
    let command = "kunlog simulate \(shrinker.options.arguments) --trace"
    if json {
      say("{\"replay\":\(quoted(command)),\"violation\":\(quoted(shrinker.violation.description))}")
    } else {
      say("\nAfter \(shrinker.runs) runs the shortest one that fails in the same way:\n  \(command)")
      say("  \(shrinker.violation)")
    }
  }

  func end() {
    let speed = Int(virtualSeconds / max(seconds, 1e-6))
    let perHour = virtualSeconds > 0 ? Int(Double(faults) * 3_600 / virtualSeconds) : 0
    if json {
      let byKind = FaultKind.allCases.map { "\"\($0.name)\":\(kinds[Int($0.rawValue)])" }.joined(separator: ",")
      say(
        "{\"seeds\":\(runs),\"trace_hash\":\"\(hexadecimal(hash))\",\"events\":\(events),\"faults\":\(faults),"
          + "\"violations\":\(violations),\"virtual_seconds\":\(Int(virtualSeconds)),\"cpu_seconds\":\(rounded(seconds)),"
          + "\"speed\":\(speed),\"faults_per_virtual_hour\":\(perHour),\"runs_with_faults_at_once\":\(overlapping),"
          + "\"appends\":\(appends),\"reads\":\(reads),\"delivered\":\(delivered)\(json(transactions))\(json(moves)),\"faults_by_kind\":{\(byKind)}}"
      )
      return
    }
    say("\nfaults:")
    let names = FaultKind.allCases.filter { kinds[Int($0.rawValue)] > 0 }
    for kind in names { say("  \(pad(kind.name, -20))\(pad("\(kinds[Int(kind.rawValue)])", 12))") }
    say(
      """

      \(runs) runs, \(rounded(virtualSeconds / 3_600)) virtual hours in \(rounded(seconds)) s of processor time: \
      \(speed) × real time
      \(events) events, \(faults) faults (\(perHour) per virtual hour), two or more at once in \(overlapping) runs
      \(appends) appends, \(reads) linearizable reads, \(delivered) records delivered
      \(sentence(transactions))\(sentence(moves))trace hash \(hexadecimal(hash))
      \(violations == 0 ? "no violation" : "\(violations) VIOLATIONS")
      """)
  }
}

/// Text in a column: to the right, or with a negative width to the left.
func pad(_ text: String, _ width: Int) -> String {
  let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
  return width < 0 ? text + spaces : spaces + text
}

func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

func milliseconds(_ microseconds: UInt64) -> String { String(format: "%.1f", Double(microseconds) / 1_000) }

func rounded(_ value: Double) -> String { String(format: "%.2f", value) }

/// A string as JSON has it.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case _ where scalar.value < 32: result += " "
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
