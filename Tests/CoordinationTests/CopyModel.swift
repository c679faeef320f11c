import Coordination
import Metadata
import SQLTypes

/// A mirror table that is written and read while it gets copies and loses them: writers that change one copy after another and commit them
/// together, compute nodes and leaders that know the log late, managers and leaders that die; with the log's real decisions.
struct CopyModel {
  /// Mistakes that are near.
  enum Mutant: CaseIterable {
    /// Writers do not wait for each other at the first copy.
    case locksNothing
    /// A fence is put up while transactions hold rows, which commit afterwards.
    case fencesWithHolders
    /// A copy that is about to be dropped goes on answering.
    case answersPastFence
    /// A shard does not look at the epoch by which it is asked.
    case ignoresEpochs
    /// The next leader may know less of the log than the one that lifted a fence, and serves.
    case forgetsWhyItLifted
    /// Readers do not wait for what is prepared.
    case readsAroundPrepared
  }

  private struct Hold {
    var row: Int
    /// What the statement saw at this copy.
    var seen: Int
    var isDecided = false
  }
  private struct Shard {
    var exists = false
    /// Rows, each with what was seen when it was written.
    var rows: [Int: Int] = [:]
    var log: [(row: Int, seen: Int)] = [(0, 0)]
    var holds: [Int: Hold] = [:]
    /// The writer that has the whole copy.
    var lock: Int?
    var fence: (attempt: UInt32, reads: Bool, metadataIndex: UInt64)?
    var arrival: (migration: MigrationID, position: Int)?
    var snapshots: [UInt64: (position: Int, rows: [Int: Int])] = [:]
    var image: Image
    var earlier: Image
    /// Replicated: the metadata by which the tablet came.
    var metadataIndex: UInt64 = 0
  }
  private struct Writer {
    var row: Int
    var route: TabletDefinition
    var plannedAt: UInt64
    var next = 0
  }

  private static let tablet = TabletID(rawValue: 1)
  private let mutant: Mutant?
  private var draw: Draw
  private var now: UInt64 = 0
  private var image = Image()
  /// What a compute node that is behind knows.
  private var lateImage = Image()
  private var shards: [ShardID: Shard] = [:]
  private var writers: [Int: Writer] = [:]
  private var lastWriter = 0
  private var acknowledged: Set<Int> = []
  private var driver: MigrationDriver?
  private var driven: MigrationID?
  private var running: (step: MigrationDriver.Step, number: Int)?
  /// The driver is to hear that the log has answered.
  private var hasAppended = false
  private var tokens: UInt64 = 0
  private(set) var violations: [String] = []
  private(set) var changes: [String: Int] = [:]
  private(set) var commits = 0

  init(seed: UInt64, mutant: Mutant? = nil) {
    self.mutant = mutant
    draw = Draw(seed: seed)
    append([
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 1, count: 16)), name: "model", roleName: "abc", roleVerifier: nil))
    ])
    for number in 1...3 {
      let id = NodeID(rawValue: UInt64(number))
      append([
        .registerNode(NodeDefinition(id: id, role: .storage, name: "s\(number)", host: "localhost", port: number))
      ])
      append([.createShard(ShardDraft(replicas: [id]))])
    }
    append([.shard(.drain(ShardID(rawValue: 3), reason: ""))])
    append([
      .createTable(
        TableDraft(
          schemaID: WellKnown.publicSchema, name: "m", ownerID: WellKnown.firstRole,
          columns: [ColumnDraft(name: "id", type: .int4)], keys: [KeyDraft(kind: .primaryKey, columns: ["id"])],
          options: ["shard": "all"]))
    ])
    lateImage = image
    for number in 1...3 as ClosedRange<UInt32> {
      shards[ShardID(rawValue: number)] = Shard(image: image, earlier: image)
    }
    for id in definition.copies { shards[id]!.exists = true }
  }

  private var definition: TabletDefinition { image.tablets[Self.tablet]! }
  private var ids: [ShardID] { shards.keys.sorted() }

  /// Turmoil, then calm in which all must end.
  mutating func run(steps: Int) {
    for _ in 0..<steps where violations.isEmpty { step(isCalm: false) }
    for id in ids where image.shards[id]!.isDraining { append([.shard(.undrain(id))]) }
    for _ in 0..<4000 where violations.isEmpty && !isAtRest { step(isCalm: true) }
    guard violations.isEmpty else { return }
    if !isAtRest { violations.append("it does not come to rest: \(image.migrations.open.values.map(\.text))") }
    for id in ids {
      let shard = shards[id]!
      if !shard.exists || shard.fence != nil || shard.arrival != nil { violations.append("shard \(id) is not clean") }
      if Set(shard.rows.keys) != acknowledged { violations.append("shard \(id) has other rows than were acknowledged") }
      if shard.rows != shards[ids[0]]!.rows { violations.append("the copies of shards 1 and \(id) differ") }
    }
  }

  private var isAtRest: Bool {
    writers.isEmpty && image.migrations.open.isEmpty && image.missingCopies.isEmpty
      && shards.values.allSatisfy { $0.holds.isEmpty && $0.image.index == image.index && $0.fence == nil }
  }

  private mutating func step(isCalm: Bool) {
    now += 5
    let id = ShardID(rawValue: UInt32(1 + draw.next(3)))
    switch draw.next(100) {
    case ..<2 where !isCalm: operate(id)
    case ..<4 where !isCalm: changeLeader(id)
    case ..<5 where !isCalm: (driver, running) = (nil, nil)
    case ..<8 where !isCalm: if draw.chance(50) { lateImage = image }
    case ..<16 where !isCalm: begin()
    case ..<45: if let writer = writers.keys.sorted().randomElement(using: &draw) { advance(writer) }
    case ..<60: finish(id)
    case ..<70: read()
    case ..<80: consume(id)
    default: manage(isCalm: isCalm)
    }
  }

  // MARK: Statements

  private mutating func begin() {
    lastWriter += 1
    let known = draw.chance(80) ? image : lateImage
    writers[lastWriter] = Writer(row: lastWriter, route: known.tablets[Self.tablet]!, plannedAt: known.index)
  }

  /// The writer goes on to the next copy, or commits.
  private mutating func advance(_ number: Int) {
    guard let writer = writers[number] else { return }
    guard writer.next < writer.route.copies.count else { return commit(number, writer) }
    let id = writer.route.copies[writer.next]
    if shards[id]!.image.index < writer.plannedAt { consume(id) }
    guard admits(id, writer.route) else { return abort(number) }
    let shard = shards[id]!
    guard shard.fence == nil || mutant == .answersPastFence && shard.fence?.reads == true else { return }
    if draw.chance(2) { return abort(number) }
    if writer.next == 0, mutant != .locksNothing {
      guard shard.lock == nil || shard.lock == number else { return }
      shards[id]!.lock = number
    }
    guard !waits(shard) else { return }
    shards[id]!.holds[number] = Hold(row: writer.row, seen: shard.rows.count)
    writers[number]!.next += 1
  }

  /// Whether something is prepared that may be acknowledged already.
  private func waits(_ shard: Shard) -> Bool {
    mutant != .readsAroundPrepared && shard.holds.values.contains { $0.isDecided }
  }

  private func admits(_ id: ShardID, _ route: TabletDefinition) -> Bool {
    let shard = shards[id]!
    guard let known = shard.image.tablets[Self.tablet], shard.image.index >= shard.metadataIndex else { return false }
    return known.isHeld(by: id) && shard.exists && (known.epoch <= route.epoch || mutant == .ignoresEpochs)
  }

  /// Prepared everywhere, decided; each shard carries it out when it hears of it.
  private mutating func commit(_ number: Int, _ writer: Writer) {
    guard writer.route.copies.allSatisfy({ shards[$0]!.holds[number] != nil }) else { return abort(number) }
    for id in writer.route.copies { shards[id]!.holds[number]!.isDecided = true }
    acknowledged.insert(writer.row)
    commits += 1
    writers[number] = nil
  }

  private mutating func abort(_ number: Int) {
    for id in ids {
      shards[id]!.holds[number] = nil
      if shards[id]!.lock == number { shards[id]!.lock = nil }
    }
    writers[number] = nil
  }

  private mutating func finish(_ id: ShardID) {
    for (number, hold) in shards[id]!.holds.sorted(by: { $0.key < $1.key }) where hold.isDecided {
      shards[id]!.rows[hold.row] = hold.seen
      shards[id]!.log.append((hold.row, hold.seen))
      shards[id]!.holds[number] = nil
      if shards[id]!.lock == number { shards[id]!.lock = nil }
    }
  }

  private mutating func read() {
    let known = draw.chance(60) ? image : lateImage
    let route = known.tablets[Self.tablet]!
    let id = route.copies[draw.next(route.copies.count)]
    if shards[id]!.image.index < known.index { consume(id) }
    let shard = shards[id]!
    guard admits(id, route), !waits(shard), mutant == .answersPastFence || shard.fence?.reads != true else { return }
    guard Set(shard.rows.keys) != acknowledged else { return }
    violations.append("a read at shard \(id) saw \(shard.rows.count) rows, not \(acknowledged.count)")
  }

  // MARK: Shards

  private mutating func operate(_ id: ShardID) {
    append([.shard(image.shards[id]!.isDraining ? .undrain(id) : .drain(id, reason: ""))])
    if let migration = image.migrations.open.values.first, draw.chance(10) {
      append([.migration(.fail(migration.plan.id, reason: "asked for"))])
    }
  }

  /// What was not prepared is gone; the next leader may know the log less well.
  private mutating func changeLeader(_ id: ShardID) {
    for (number, hold) in shards[id]!.holds where !hold.isDecided { shards[id]!.holds[number] = nil }
    if let lock = shards[id]!.lock, shards[id]!.holds[lock] == nil { shards[id]!.lock = nil }
    if draw.chance(30) { shards[id]!.snapshots = [:] }
    if draw.chance(50) { shards[id]!.image = shards[id]!.earlier }
    tidy(id)
  }

  private mutating func consume(_ id: ShardID) {
    if draw.chance(30) { shards[id]!.earlier = shards[id]!.image }
    shards[id]!.image = image
    tidy(id)
  }

  private mutating func tidy(_ id: ShardID) {
    let shard = shards[id]!
    guard let known = shard.image.tablets[Self.tablet], shard.image.index >= shard.metadataIndex else { return }
    let migration = shard.image.migrations.open(of: Self.tablet)
    let isOwner = known.isHeld(by: id)
    if let fence = shard.fence, isOwner, shard.image.index >= fence.metadataIndex,
      migration?.isCutting(attempt: fence.attempt) != true
    {
      shards[id]!.fence = nil
      if mutant != .forgetsWhyItLifted { shards[id]!.metadataIndex = max(shard.metadataIndex, shard.image.index) }
    }
    if isOwner, migration == nil || migration?.origin == id { shards[id]!.arrival = nil }
    guard shard.exists, !isOwner, !shard.image.isKept(Self.tablet, on: id) else { return }
    shards[id] = Shard(image: shard.image, earlier: shard.earlier, metadataIndex: shard.image.index)
  }

  // MARK: The manager

  private mutating func manage(isCalm: Bool) {
    guard let migration = image.migrations.open.values.first else {
      var options = MigrationOptions()
      if let missing = image.missingCopies.first {
        options.addsCopy = true
        plan(missing.shard, options)
      } else if let superfluous = image.superfluousCopies.first {
        options.dropsCopy = true
        plan(superfluous.shard, options)
      }
      return
    }
    if driver == nil || driven != migration.plan.id {
      driver = MigrationDriver()
      (driven, running, hasAppended) = (migration.plan.id, nil, false)
    }
    input(.log(migration, epoch: definition.epoch))
    guard let (step, number) = running else {
      let answer: MigrationDriver.Input = hasAppended ? .appended : .tick
      hasAppended = false
      return input(answer)
    }
    running = nil
    if !isCalm, draw.chance(5) { return input(.failed(number, .transient, reason: "nobody answered")) }
    let answer = carryOut(step, number, migration)
    // It may have been done without anybody hearing of it.
    if !isCalm, draw.chance(5) { return input(.failed(number, .transient, reason: "the answer was lost")) }
    input(answer)
  }

  private mutating func plan(_ shard: ShardID, _ options: MigrationOptions) {
    append([
      .migration(.plan(Self.tablet, target: shard, epoch: nil, maximumRetries: 3, reason: "", options: options))
    ])
  }

  private mutating func input(_ input: MigrationDriver.Input) {
    for effect in driver?.step(input, now: now) ?? [] {
      switch effect {
      case .append(let commands):
        append(commands.map { .migration($0) })
        hasAppended = true
      case .run(let step, let number): running = (step, number)
      case .report: break
      }
    }
  }

  private mutating func carryOut(
    _ step: MigrationDriver.Step, _ number: Int, _ migration: Migration
  ) -> MigrationDriver.Input {
    let here = step.shard(of: migration)
    consume(here)
    guard step.fits(migration) else { return .failed(number, .transient, reason: "it does not fit") }
    let (source, target) = (migration.plan.source, migration.plan.target)
    func done(_ position: Int, _ checksum: [UInt8] = []) -> MigrationDriver.Input {
      .done(number, MigrationDriver.StepResult(shardIndex: UInt64(position), checksum: checksum, lengthBytes: 1))
    }
    switch step {
    case .snapshot:
      tokens += 1
      shards[source]!.snapshots[tokens] = (shards[source]!.log.count, shards[source]!.rows)
      let token = (0..<32).map { UInt8(truncatingIfNeeded: $0 < 8 ? tokens >> UInt64(8 * $0) : 0) }
      var result = MigrationDriver.StepResult(
        shardIndex: UInt64(shards[source]!.log.count), checksum: token, lengthBytes: 1)
      result.nodeID = NodeID(rawValue: UInt64(source.rawValue))
      return .done(number, result)
    case .load:
      let token = migration.snapshot!.checksum.prefix(8).enumerated().reduce(0) {
        $0 | UInt64($1.1) << UInt64(8 * $1.0)
      }
      guard let snapshot = shards[source]!.snapshots[token] else {
        return .failed(number, .snapshotLost, reason: "it is gone")
      }
      shards[target]!.exists = true
      shards[target]!.metadataIndex = image.index
      (shards[target]!.rows, shards[target]!.log) = (snapshot.rows, [(0, 0)])
      shards[target]!.arrival = (migration.plan.id, snapshot.position)
      return done(snapshot.position)
    case .catchUp(let through):
      guard let arrival = shards[target]!.arrival, arrival.migration == migration.plan.id else {
        return .failed(number, .snapshotLost, reason: "the rows are not there")
      }
      let end = through == 0 ? shards[source]!.log.count : Int(through)
      for place in arrival.position..<max(arrival.position, end) {
        let entry = shards[source]!.log[place]
        guard entry.row > 0 else { continue }
        shards[target]!.rows[entry.row] = entry.seen
      }
      shards[target]!.arrival!.position = max(arrival.position, end)
      return done(shards[target]!.arrival!.position)
    case .checksumOrigin: return done(shards[source]!.log.count, sum(source))
    case .checksumFollower: return done(shards[target]!.arrival?.position ?? 0, sum(target))
    case .fence(let reads): return fence(here, reads, migration) ? done(shards[here]!.log.count) : done(0)
    case .cleanSource, .cleanTarget:
      let shard = shards[here]!
      let isLeft = shard.exists && !definition.isHeld(by: here)
      guard !isLeft, shard.fence == nil, shard.arrival == nil else {
        return .failed(number, .transient, reason: "not yet")
      }
      return done(0)
    }
  }

  /// Who holds rows commits first or is rolled back.
  private mutating func fence(_ id: ShardID, _ reads: Bool, _ migration: Migration) -> Bool {
    if mutant != .fencesWithHolders {
      finish(id)
      for number in shards[id]!.holds.keys.sorted() { abort(number) }
      if let lock = shards[id]!.lock { abort(lock) }
    }
    shards[id]!.fence = (migration.attempt, reads, image.index)
    return true
  }

  private func sum(_ id: ShardID) -> [UInt8] {
    let sum = shards[id]!.rows.sorted { $0.key < $1.key }.reduce(UInt64(14_695_981_039_346_656_037)) {
      (($0 ^ UInt64($1.key)) &* 1_099_511_628_211 ^ UInt64($1.value)) &* 1_099_511_628_211
    }
    return stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: sum >> UInt64($0)) }
  }

  private mutating func append(_ commands: [Command]) {
    guard case .success(let events) = decide(AppendRequest(principal: "model", commands: commands), image),
      !events.isEmpty
    else { return }
    let open = image.migrations.open
    image.apply(
      Record(
        index: image.index + 1, term: 1, previousIndex: image.index, timeMicroseconds: 0, principal: "model",
        events: events, previousHash: image.hash, hash: .zero))
    for (id, migration) in open {
      guard let outcome = image.migrations.ended[id]?.outcome else { continue }
      changes["\(migration.plan.options.addsCopy ? "added" : "dropped"), \(outcome.text)", default: 0] += 1
    }
  }
}

extension Draw: RandomNumberGenerator {
  mutating func next() -> UInt64 { UInt64(next(1 << 30)) << 32 | UInt64(next(1 << 30)) << 2 }
}
