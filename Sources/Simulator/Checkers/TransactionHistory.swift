import Coordination
import Metadata

/// What transactions did, what their clients were told, and what became of them on each shard (reliability.md, 13): looked at
/// when it happens as far as that shows anything, and at the end of the run as a whole.
struct TransactionHistory {
  enum Status {
    case running
    /// COMMIT was asked for.
    case committing
    case acknowledged
    /// Its client was told that it is rolled back, or has asked for that.
    case refused
    /// Its session ended before COMMIT.
    case vanished
    /// Its session ended while it was being committed: nobody was told anything.
    case unknown
  }

  /// Cells that a transaction saw, of one moment as far as its isolation says so.
  struct Read {
    var group: Int
    var cell: Int
    var list: [UInt32]
    /// How many of its elements the transaction had appended itself by then.
    var own: Int
  }

  struct Entry {
    var name: TransactionName
    var status = Status.running
    var isRepeatableRead: Bool
    var isCluster: Bool
    var written: Set<Int> = []
    var id: GlobalTransactionID?
    var preparedOn: Set<Int> = []
    var committedOn: Set<Int> = []
    var abortedOn: Set<Int> = []
    var appends: [(cell: Int, element: UInt32)] = []
    var reads: [Read] = []
    var balances: [Int: Int64] = [:]
    var groups = 0
    /// What everybody knew of each list when it began.
    var floors: [Int: Int]
    var committingAt: UInt64 = 0
  }

  private(set) var entries: [Entry] = []
  private var places: [TransactionName: Int] = [:]
  /// The transaction that appends each element, by element.
  private var owners: [Int] = []
  /// Elements whose commit was told, by list, in the order in which that happened.
  private var told: [Int: [UInt32]] = [:]
  /// The first decision on each transaction, and when it was committed.
  private(set) var decisions: [GlobalTransactionID: (outcome: TransactionOutcome, at: UInt64)] = [:]
  /// Since when they are decided and not resolved.
  private(set) var unresolved: [GlobalTransactionID: UInt64] = [:]

  // Of the run.
  private(set) var acknowledgedCount: UInt64 = 0
  /// Of those, over several shards.
  private(set) var distributedCount: UInt64 = 0
  private(set) var lastDistributed: UInt64 = 0
  /// When COMMIT over several shards was asked for, and how long that took until it was told, in microseconds.
  private var distributedCommits: [(at: UInt64, microseconds: UInt64)] = []
  private(set) var snapshotCount: UInt64 = 0
  var failures: [ShardAnswer.Failure: UInt64] = [:]
  var doubts: UInt64 = 0

  var result: TransactionResult {
    var result = TransactionResult()
    result.begun = UInt64(entries.count)
    result.committed = acknowledgedCount
    result.distributed = distributedCount
    result.snapshots = snapshotCount
    result.doubts = doubts
    result.deadlocks = failures[.deadlock] ?? 0
    result.conflicts = failures[.serialization] ?? 0
    return result
  }

  // MARK: What sessions do

  mutating func begin(_ transaction: SimulatedTransaction) {
    places[transaction.name] = entries.count
    entries.append(
      Entry(
        name: transaction.name, isRepeatableRead: transaction.isRepeatableRead, isCluster: transaction.isCluster,
        floors: transaction.isRepeatableRead ? told.mapValues(\.count) : [:]))
  }

  mutating func nextElement() -> UInt32 {
    owners.append(-1)
    return UInt32(owners.count - 1)
  }

  mutating func appends(_ name: TransactionName, _ element: UInt32, to cell: Int) {
    guard let place = places[name] else { return }
    owners[Int(element)] = place
    entries[place].appends.append((cell, element))
  }

  mutating func wrote(_ name: TransactionName, on shard: Int) { change(name) { $0.written.insert(shard) } }
  mutating func committing(_ name: TransactionName, at time: UInt64) {
    change(name) {
      $0.status = .committing
      $0.committingAt = time
    }
  }
  mutating func named(_ name: TransactionName, _ id: GlobalTransactionID) { change(name) { $0.id = id } }
  mutating func lost(_ name: TransactionName) {
    change(name) { $0.status = $0.status == .committing ? .unknown : .vanished }
  }

  private mutating func change(_ name: TransactionName, _ body: (inout Entry) -> Void) {
    if let place = places[name] { body(&entries[place]) }
  }

  /// Its client is told that it is committed.
  mutating func acknowledged(_ name: TransactionName, at time: UInt64) -> String? {
    guard let place = places[name] else { return nil }
    let entry = entries[place]
    entries[place].status = .acknowledged
    acknowledgedCount += 1
    for (cell, element) in entry.appends { told[cell, default: []].append(element) }
    guard let id = entry.id else {
      return entry.committedOn == entry.written ? nil : "\(name) is told to be committed, and is not"
    }
    distributedCount += 1
    lastDistributed = time
    distributedCommits.append((entry.committingAt, time - entry.committingAt))
    return decisions[id]?.outcome == .commit ? nil : "\(id) is told to be committed, the log has not decided so"
  }

  /// Its client knows that nothing of it remains.
  mutating func refused(_ name: TransactionName) -> String? {
    guard let place = places[name] else { return nil }
    entries[place].status = .refused
    if let id = entries[place].id, decisions[id]?.outcome == .commit {
      return "\(id) is told to be rolled back, the log has decided to commit"
    }
    return entries[place].committedOn.isEmpty ? nil : "\(name) is told to be rolled back, and is committed"
  }

  /// How many elements of the lists everybody knows of at this moment.
  func floors(_ cells: [Int]) -> [Int: Int] {
    cells.reduce(into: [:]) { $0[$1] = told[$1]?.count }
  }

  mutating func read(_ transaction: SimulatedTransaction, _ scope: ReadScope) -> String? {
    guard let place = places[transaction.name] else { return nil }
    // One moment: of a shard for a statement or a REPEATABLE READ transaction; of all, where that was asked for.
    let isWhole = scope.isOneMoment
    entries[place].groups += 1
    let number = entries[place].groups * 10
    var balances = transaction.isRepeatableRead ? entries[place].balances : [:]
    for (cell, value, shard) in scope.values {
      switch value {
      case .balance(let balance): balances[cell] = balance
      case .list(let list):
        let group = (transaction.isRepeatableRead ? 0 : number) + (isWhole ? 9 : shard)
        let own = Set(entries[place].appends.filter { $0.cell == cell }.map(\.element))
        let read = Read(group: group, cell: cell, list: list, own: list.filter(own.contains).count)
        if transaction.isRepeatableRead, let before = entries[place].reads.first(where: { $0.cell == cell }),
          before.list.dropLast(before.own) != list.dropLast(read.own)
        {
          return "\(transaction.name) sees \(before.list) in list \(cell), then \(list), in REPEATABLE READ"
        }
        entries[place].reads.append(read)
        let floor = (transaction.isRepeatableRead ? entries[place].floors : scope.floors)[cell] ?? 0
        let seen = Set(list)
        if let missing = told[cell]?.prefix(floor).first(where: { !seen.contains($0) }) {
          return "\(transaction.name) does not see element \(missing) of list \(cell), whose commit was told before"
        }
      }
    }
    guard isWhole, transaction.written.isEmpty else { return nil }
    if transaction.isRepeatableRead { entries[place].balances = balances }
    guard balances.count == Cells.accountCount else { return nil }
    snapshotCount += 1
    let total = balances.values.reduce(0, +)
    return total == Cells.total
      ? nil : "\(transaction.name) sees a total of \(total), it is \(Cells.total) at all times"
  }

  /// The time that all but one in fifty commits over several shards took, and one at least, of those since a time; 0: there were
  /// too few. Who asks a member first that is gone for good waits once.
  func commitMicroseconds(since time: UInt64) -> UInt64 {
    let all = distributedCommits.lazy.filter { $0.at >= time }.map(\.microseconds).sorted()
    return all.count < 20 ? 0 : all[min(all.count - 2, all.count * 98 / 100)]
  }

  // MARK: What the logs say

  /// A record of the metadata log was committed.
  mutating func recorded(_ event: TransactionEvent, at time: UInt64) {
    switch event {
    case .decided(let id, let outcome, _):
      decisions[id] = (outcome, time)
      unresolved[id] = time
    case .resolved(let id): unresolved[id] = nil
    case .settled: break
    }
  }

  mutating func committedAlone(_ name: TransactionName, on shard: Int) -> String? {
    guard let place = places[name] else { return nil }
    entries[place].committedOn.insert(shard)
    if let problem = unwanted(entries[place]) { return problem }
    return entries[place].written.count > 1 ? "\(name) commits on shard \(shard + 1) alone" : nil
  }

  mutating func prepared(name: TransactionName, _ id: GlobalTransactionID, on shard: Int) -> String? {
    guard let place = places[name] else { return nil }
    entries[place].preparedOn.insert(shard)
    return entries[place].id == id ? nil : "\(name) prepares under the name \(id), which is another's"
  }

  mutating func finished(
    name: TransactionName, _ id: GlobalTransactionID, _ outcome: TransactionOutcome, on shard: Int
  ) -> String? {
    guard let place = places[name] else { return nil }
    let decision = decisions[id]?.outcome
    guard outcome == .commit else {
      entries[place].abortedOn.insert(shard)
      return decision == .commit ? "\(id) aborts on shard \(shard + 1), the log has decided to commit" : nil
    }
    entries[place].committedOn.insert(shard)
    guard decision == .commit else {
      return "\(id) commits on shard \(shard + 1), the log \(decision == nil ? "has not decided" : "decided to abort")"
    }
    if let problem = unwanted(entries[place]) { return problem }
    guard entries[place].abortedOn.isEmpty else { return "\(id) commits on one shard and aborts on another" }
    return entries[place].preparedOn == entries[place].written ? nil : "\(id) commits, not all shards had prepared"
  }

  private func unwanted(_ entry: Entry) -> String? {
    switch entry.status {
    case .refused: "\(entry.name) commits, its client was told that it is rolled back"
    case .vanished: "\(entry.name) commits, its session ended before COMMIT"
    case .running: "\(entry.name) commits, nobody has asked for that"
    case .committing, .acknowledged, .unknown: nil
    }
  }

  // MARK: As a whole

  /// Looks at all lists as they are at the end.
  func problem(_ lists: [Int: [UInt32]]) -> String? {
    var next: [UInt32: UInt32] = [:]
    var positions = [Int](repeating: -1, count: owners.count)
    for cell in lists.keys.sorted() {
      let list = lists[cell]!
      for (position, element) in list.enumerated() {
        guard positions[Int(element)] < 0 else { return "list \(cell) holds element \(element) twice" }
        positions[Int(element)] = position
        if position > 0 { next[list[position - 1]] = element }
      }
    }
    for entry in entries {
      if entry.status == .acknowledged, let lost = entry.appends.first(where: { positions[Int($0.element)] < 0 }) {
        return "element \(lost.element) of list \(lost.cell) was told to be committed by \(entry.name), and is lost"
      }
      if let problem = problem(of: entry, lists, positions) { return problem }
    }
    return circle(lists)
  }

  /// What one transaction saw.
  private func problem(of entry: Entry, _ lists: [Int: [UInt32]], _ positions: [Int]) -> String? {
    var seen: [Int: [(cell: Int, count: Int)]] = [:]
    for read in entry.reads {
      let list = read.list.dropLast(read.own)
      let final = lists[read.cell] ?? []
      guard final.starts(with: list) else {
        return "\(entry.name) sees \(read.list) in list \(read.cell), which came to be \(final)"
      }
      seen[read.group, default: []].append((read.cell, list.count))
      let isFirst = read.own == 0
      if entry.isRepeatableRead, isFirst, let own = entry.appends.first(where: { $0.cell == read.cell }),
        positions[Int(own.element)] >= 0, positions[Int(own.element)] != list.count
      {
        return
          "\(entry.name) reads \(list.count) elements of list \(read.cell), and writes after \(positions[Int(own.element)])"
      }
    }
    for group in seen.keys.sorted() {
      // What another transaction wrote is seen in all that was read of one moment, or in none.
      var isSeen: [Int: Bool] = [:]
      for (cell, count) in seen[group]! {
        for (position, element) in (lists[cell] ?? []).enumerated() {
          let owner = owners[Int(element)]
          guard owner >= 0, entries[owner].name != entry.name else { continue }
          if isSeen[owner, default: position < count] != (position < count) {
            return "\(entry.name) sees half of what \(entries[owner].name) wrote"
          }
          isSeen[owner] = position < count
        }
      }
    }
    return nil
  }

  /// Transactions that each wrote over, or read from, the one before, in a circle (Adya's G0 and G1c).
  private func circle(_ lists: [Int: [UInt32]]) -> String? {
    var edges = [[Int]](repeating: [], count: entries.count)
    for cell in lists.keys.sorted() {
      let list = lists[cell]!
      for (one, other) in zip(list, list.dropFirst()) {
        let (from, to) = (owners[Int(one)], owners[Int(other)])
        if from != to { edges[from].append(to) }
      }
    }
    for (reader, entry) in entries.enumerated() where !entry.committedOn.isEmpty {
      for read in entry.reads {
        guard let last = read.list.dropLast(read.own).last else { continue }
        let owner = owners[Int(last)]
        if owner != reader { edges[owner].append(reader) }
      }
    }
    // 0: not seen; 1: on the path; 2: done.
    var marks = [UInt8](repeating: 0, count: entries.count)
    for start in entries.indices where marks[start] == 0 {
      var path: [(place: Int, next: Int)] = [(start, 0)]
      marks[start] = 1
      while let top = path.last {
        guard top.next < edges[top.place].count else {
          marks[top.place] = 2
          path.removeLast()
          continue
        }
        path[path.count - 1].next += 1
        let place = edges[top.place][top.next]
        if marks[place] == 1 { return "\(entries[top.place].name) comes before and after \(entries[place].name)" }
        guard marks[place] == 0 else { continue }
        marks[place] = 1
        path.append((place, 0))
      }
    }
    return nil
  }
}

/// What one statement is given.
struct ReadScope {
  var values: [(cell: Int, value: Cell, shard: Int)] = []
  let floors: [Int: Int]
  /// All that it reads is of one moment, on whichever shards.
  let isOneMoment: Bool

  init(_ history: TransactionHistory, _ cells: [Int], isOneMoment: Bool) {
    floors = history.floors(cells)
    self.isOneMoment = isOneMoment
  }
}
