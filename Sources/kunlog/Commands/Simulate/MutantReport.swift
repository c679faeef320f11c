import Simulator

/// `kunlog simulate --mutants`: which mistakes the simulator finds, and how soon.
struct MutantReport {
  let json: Bool
  let jobs: Int

  private struct Item: Sendable {
    var row: MutantSearch.Row
    var seconds: Double
  }

  /// Looks for all; whether each was found, and was the mistake's doing.
  func run() async -> Bool {
    var found = 0
    var rows: [String] = []
    if !json {
      print(
        "mutant                       origin                            found  seed  profile          events  seconds  by"
      )
    }
    let search = MutantSearch()
    await inOrder(Mutant.allCases, jobs: jobs) { mutant in
      let start = processorSeconds()
      let row = search.run(mutant)
      return Item(row: row, seconds: processorSeconds() - start)
    } then: { item in
      let isFound = item.row.options != nil && item.row.isCleanWithout
      if isFound { found += 1 }
      rows.append(document(item, isFound))
      print(json ? document(item, isFound) : line(item, isFound))
    }
    let count = Mutant.allCases.count
    if json {
      print("{\"mutants\":\(count),\"found\":\(found),\"rows\":[\(rows.joined(separator: ","))]}")
    } else {
      print("\n\(found) of \(count) found; the runs that show them are clean without them")
    }
    return found == count
  }

  private func line(_ item: Item, _ isFound: Bool) -> String {
    let row = item.row
    let options = row.options
    var text = [
      pad(row.mutant.rawValue, -28), pad(row.mutant.origin, -33), pad(isFound ? "yes" : "NO", -5),
      pad(options.map { "\($0.seed)" } ?? "-", 5), " " + pad(options?.profile.rawValue ?? "-", -12),
      pad("\(row.events)", 10), pad(rounded(item.seconds), 8), " " + (row.violation?.invariant ?? "-"),
    ].joined(separator: " ")
    if !row.isCleanWithout { text += "  (the run fails without the mistake too)" }
    return text
  }

  private func document(_ item: Item, _ isFound: Bool) -> String {
    let row = item.row
    return "{\"mutant\":\"\(row.mutant.rawValue)\",\"origin\":\(quoted(row.mutant.origin)),\"found\":\(isFound),"
      + "\"seed\":\(row.options.map { "\($0.seed)" } ?? "null"),"
      + "\"profile\":\(row.options.map { "\"\($0.profile.rawValue)\"" } ?? "null"),\"events\":\(row.events),"
      + "\"seconds\":\(rounded(item.seconds)),\"by\":\(quoted(row.violation?.invariant ?? "")),"
      + "\"replay\":\(quoted(row.options.map { "kunlog simulate \($0.arguments)" } ?? ""))}"
  }
}
