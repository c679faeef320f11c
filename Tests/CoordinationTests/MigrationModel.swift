// Long file: a model is one world, whose parts see each other.
import Coordination
import Metadata
import SQLTypes

/// A tablet that moves from shard to shard while it is written and read: managers, both shards and the metadata log with its real
/// decisions, with messages that come late, twice or never, and managers and leaders that die at every step.
struct MigrationModel {
  /// Mistakes that others have made, or that are near.
  enum Mutant: CaseIterable {
    /// A write that had been let in before the fence is logged after it.
    case lateWrite
    /// The route moves before the target has all up to the fence.
    case routesEarly
    /// Rows that come twice are there twice.
    case appliesTwice
    /// The target keeps what was copied when the migration fails.
    case leavesOrphan
    /// The source goes on refusing writes after a failure.
    case leavesFence
    /// The source goes on answering reads until it has heard of the route.
    case readsLate
    /// The source lifts a fence by metadata that are older than it.
    case liftsByOldMetadata
    /// A leader serves by metadata that are older than its tablets.
    case servesByOldMetadata
    /// The snapshot and the changes since do not join, and nobody compares.
    case losesChangesAfterSnapshot
    /// On the way back the route moves before the source has all up to the fence.
    case reversesEarly
    /// The source's copy follows the target from when it begins to, not from where the two were alike.
    case followsFromNow
    /// A shard whose fence has stood for long lifts it without asking the log.
    case liftsAlone
    /// Nobody lifts the fence of a manager that is gone.
    case neverExpires
  }

  private enum Entry: Equatable {
    case row(Int)
    case fence
    case lift
  }
  private struct Fence { var attempt: UInt32, index: Int, reads = false, metadataIndex: UInt64 }
  private struct Arrival {
    var token: [UInt8], position: Int, isLoaded = false
    /// The migration on whose way back it is.
    var follows: MigrationID?
  }
  private struct Shard {
    /// Durable and replicated.
    var log: [Entry] = [.lift]
    /// Entries before it are there no more.
    var compacted = 0
    var rows: [Int] = []
    var exists = false
    var fence: Fence?
    var arrival: Arrival?
    /// Snapshots die with their node: the rows, by the token that the log knows them by.
    var snapshots: [[UInt8]: (index: Int, rows: [Int])] = [:]
    /// The metadata that the leader has consumed.
    var image: Image
    /// What another replica, that may lead next, has consumed.
    var earlier: Image?
    var hasLeader = true
    /// Replicated: the metadata by which tablets came and went. A leader that has older ones does not serve.
    var metadataIndex: UInt64 = 0
    /// Since when the leader has seen the cut that it sees now.
    var cut: (attempt: UInt32, since: UInt64)?
    /// Writes of a mutant, let in and not logged.
    var inFlight: [Int] = []
  }
  private struct Manager {
    var epoch: UInt64
    var driver = MigrationModel.makeDriver()
    var migration: MigrationID?
  }
  private enum Message {
    case step(manager: Int, MigrationDriver.Step, number: Int, Migration, metadataIndex: UInt64)
    case answer(manager: Int, MigrationDriver.Input)
    case append(manager: Int, epoch: UInt64, [MigrationCommand])
    case report(epoch: UInt64, MigrationCommand)
    case expire(MigrationID, attempt: UInt32)
  }

  /// Messages take long here.
  private static func makeDriver() -> MigrationDriver {
    var limits = MigrationDriver.Limits()
    limits.lagMilliseconds = 1000
    limits.cutMilliseconds = 800
    limits.triesPerStep = 3
    limits.followMilliseconds = 30
    limits.followReportMilliseconds = 100
    return MigrationDriver(limits: limits)
  }

  private static let tablet = TabletID(rawValue: 1)
  private let mutant: Mutant?
  private var draw: Draw
  private var now: UInt64 = 0
  private var image = Image()
  private var shards: [ShardID: Shard] = [:]
  private var managers: [Int: Manager] = [:]
  private var acting = 0
  private var messages: [Message] = []
  /// The metadata log is slow until then.
  private var slowUntil: UInt64 = 0
  private var lastRow = 0
  private var tokens: UInt8 = 0
  private var acknowledged: [Int] = []
  /// What was looked at last.
  private var checked = (owner: ShardID(rawValue: 0), rows: 0, acknowledged: 0)
  private(set) var violations: [String] = []
  private(set) var outcomes: [MigrationOutcome: Int] = [:]
  private(set) var faults = 0
  private(set) var retries = 0

  init(seed: UInt64, mutant: Mutant? = nil) {
    self.mutant = mutant
    draw = Draw(seed: seed)
    let cluster = ClusterDraft(
      id: ClusterID(rawValue: [UInt8](repeating: 1, count: 16)), name: "model", roleName: "abc", roleVerifier: nil)
    append([.createCluster(cluster)])
    append([
      .registerNode(
        NodeDefinition(id: NodeID(rawValue: 9), role: .manager, name: "m", host: "localhost", port: 9))
    ])
    for number in 1...2 {
      let id = NodeID(rawValue: UInt64(number))
      append([
        .registerNode(NodeDefinition(id: id, role: .storage, name: "s\(number)", host: "localhost", port: number))
      ])
      append([.createShard(ShardDraft(replicas: [id]))])
    }
    image.tablets[Self.tablet] = TabletDefinition(
      id: Self.tablet, tableID: ObjectID(rawValue: 20000), shardID: ShardID(rawValue: 1))
    for number in 1...2 as ClosedRange<UInt32> { shards[ShardID(rawValue: number)] = Shard(image: image) }
    shards[ShardID(rawValue: 1)]!.exists = true
    elect()
  }

  /// Turmoil, then calm in which all must end.
  mutating func run(steps: Int) {
    for _ in 0..<steps where violations.isEmpty { step(isCalm: false) }
    for id in shards.keys.sorted() { shards[id]!.hasLeader = true }
    // For a while there is no manager: service goes on all the same.
    managers = [:]
    for _ in 0..<1500 where violations.isEmpty { step(isCalm: true) }
    for id in shards.keys.sorted() { consume(id) }
    if violations.isEmpty, shards[owner]!.fence != nil {
      violations.append("the fence at shard \(owner) stays while there is no manager")
    }
    elect()
    for migration in image.migrations.open.keys { append([.migration(.resume(migration))]) }
    for _ in 0..<3000 where violations.isEmpty && !image.migrations.open.isEmpty {
      step(isCalm: true)
      if let rest = image.migrations.open.values.first, rest.phase == .routed, rest.wayBack?.isRequested == false {
        append([.migration(.complete(rest.plan.id))])
      }
    }
    for id in shards.keys.sorted() { consume(id) }
    guard violations.isEmpty else { return }
    if let open = image.migrations.open.values.first { violations.append("\(open.text) does not end") }
    for (id, shard) in shards.sorted(by: { $0.key < $1.key }) {
      let owns = owner == id
      if shard.exists != owns { violations.append("shard \(id) \(owns ? "lacks its tablet" : "has an orphan")") }
      if shard.fence != nil { violations.append("a fence is left at shard \(id)") }
      if shard.arrival != nil { violations.append("an arrival is left at shard \(id)") }
    }
  }

  private var owner: ShardID { image.tablets[Self.tablet]!.shardID }

  private mutating func step(isCalm: Bool) {
    now += 5
    switch draw.next(100) {
    case ..<3 where !isCalm: plan()
    case ..<4 where !isCalm: if draw.chance(30) { operate() }
    case ..<5 where !isCalm:
      if draw.chance(40) { elect() }
      if draw.chance(10) { managers = [:] }
    case ..<6 where !isCalm: if draw.chance(50) { toggle() }
    case ..<25: if !isCalm || draw.chance(5) { write() } else { consumeOne() }
    case ..<32: read()
    case ..<45: consumeOne()
    case ..<55: tick()
    default: deliver(isCalm: isCalm)
    }
    check()
  }

  // MARK: What happens

  private mutating func plan() {
    guard image.migrations.open.isEmpty else { return }
    let target = ShardID(rawValue: owner.rawValue == 1 ? 2 : 1)
    var options = MigrationOptions()
    options.keepsSource = draw.chance(60)
    options.isVerified = draw.chance(70)
    append([
      .migration(.plan(Self.tablet, target: target, epoch: nil, maximumRetries: 3, reason: "", options: options))
    ])
  }

  /// An operator who changes his mind.
  private mutating func operate() {
    guard let migration = image.migrations.open.values.first else { return }
    let id = migration.plan.id
    if migration.wayBack != nil {
      switch draw.next(8) {
      case 0: append([.migration(.complete(id))])
      case 1:
        append([
          .migration(.giveUpReverse(id, attempt: migration.attempt, isLost: false, reason: "asked for"))
        ])
      case 2:
        // The log goes on without those who need it.
        shards[migration.origin]!.compacted = shards[migration.origin]!.log.count
      default: append([.migration(.reverse(id, reason: "asked for"))])
      }
      return
    }
    switch draw.next(4) {
    case 0: append([.migration(.fail(id, reason: "asked for"))])
    case 1: append([.migration(.pause(id, reason: "asked for"))])
    default: append([.migration(.resume(id))])
    }
  }

  /// Another manager acts; the one before does not know yet.
  private mutating func elect() {
    faults += 1
    append([.manager(.elect(NodeID(rawValue: 9), after: image.manager.epoch))])
    if draw.chance(50) { managers[acting] = nil }
    acting += 1
    managers[acting] = Manager(epoch: image.manager.epoch)
  }

  /// A leader dies, or another takes its place. What was not replicated is gone.
  private mutating func toggle() {
    faults += 1
    if draw.chance(30) { slowUntil = now + 500 + UInt64(draw.next(2500)) }
    let id = ShardID(rawValue: UInt32(1 + draw.next(2)))
    shards[id]!.hasLeader = draw.chance(30)
    if draw.chance(50), let earlier = shards[id]!.earlier {
      shards[id]!.image = earlier
      tidy(id)
    }
    shards[id]!.inFlight = []
    shards[id]!.cut = nil
    if draw.chance(40) { shards[id]!.snapshots = [:] }
  }

  private mutating func consumeOne() { consume(ShardID(rawValue: UInt32(1 + draw.next(2)))) }

  /// The leader reads the metadata, and does what they make necessary.
  private mutating func consume(_ id: ShardID) {
    guard shards[id]!.hasLeader else { return }
    if draw.chance(30) { shards[id]!.earlier = shards[id]!.image }
    shards[id]!.image = image
    tidy(id)
  }

  private mutating func tidy(_ id: ShardID) {
    var shard = shards[id]!
    defer { shards[id] = shard }
    let image = shard.image
    let isOwner = image.tablets[Self.tablet]!.shardID == id
    let migration = image.migrations.open(of: Self.tablet)
    if let fence = shard.fence, isOwner, mutant == .liftsByOldMetadata || image.index >= fence.metadataIndex,
      migration?.isCutting(attempt: fence.attempt) != true, mutant != .leavesFence
    {
      shard.fence = nil
      shard.log.append(.lift)
    }
    if isOwner, image.index >= shard.metadataIndex, migration == nil || migration?.origin == id { shard.arrival = nil }
    if migration?.isCutting(attempt: migration!.attempt) != true || shard.cut?.attempt != migration!.attempt {
      shard.cut = nil
    }
    let isKept = image.isKept(Self.tablet, on: id)
    let isOrphan = mutant == .leavesOrphan && shard.arrival != nil
    guard shard.exists, !isOwner, !isKept, !isOrphan else { return }
    // A leader whose metadata are older than those by which the tablet came leaves it alone.
    guard image.index >= shard.metadataIndex else { return }
    shard.metadataIndex = image.index
    shard.exists = false
    shard.rows = []
    shard.fence = nil
    shard.arrival = nil
  }

  /// A cut has lasted: the shard asks the log to end it.
  private mutating func watchCut(_ id: ShardID) {
    guard shards[id]!.hasLeader, let migration = shards[id]!.image.migrations.open(of: Self.tablet),
      migration.origin == id, migration.isCutting(attempt: migration.attempt)
    else { return }
    guard let cut = shards[id]!.cut, cut.attempt == migration.attempt else {
      shards[id]!.cut = (migration.attempt, now)
      return
    }
    guard now >= cut.since + 1200, mutant != .neverExpires else { return }
    shards[id]!.cut!.since = now
    if mutant == .liftsAlone {
      shards[id]!.fence = nil
    } else {
      messages.append(.expire(migration.plan.id, attempt: migration.attempt))
    }
  }

  private mutating func tick() {
    for id in shards.keys.sorted() { watchCut(id) }
    for id in shards.keys.sorted() where !shards[id]!.hasLeader && draw.chance(20) { shards[id]!.hasLeader = true }
    for number in managers.keys.sorted() {
      look(number)
      input(.tick, to: number)
    }
  }

  /// A manager sees what the log says.
  private mutating func look(_ number: Int) {
    // One that was deposed hears of it, sooner or later.
    if managers[number]!.epoch != image.manager.epoch, draw.chance(5) { managers[number] = nil }
    guard managers[number] != nil else { return }
    guard let migration = image.migrations.open.values.first else { return }
    if managers[number]!.migration != migration.plan.id {
      managers[number]!.migration = migration.plan.id
      managers[number]!.driver = Self.makeDriver()
    }
    input(.log(migration, epoch: image.tablets[Self.tablet]!.epoch), to: number)
  }

  private mutating func input(_ input: MigrationDriver.Input, to number: Int) {
    guard managers[number] != nil else { return }
    for effect in managers[number]!.driver.step(input, now: now) {
      switch effect {
      case .report(let progress):
        guard let id = managers[number]!.migration, let migration = image.migrations.open[id] else { continue }
        messages.append(
          .report(epoch: managers[number]!.epoch, .report(id, attempt: migration.attempt, progress)))
      case .append(let commands):
        messages.append(.append(manager: number, epoch: managers[number]!.epoch, commands))
      case .run(let step, let name):
        guard let id = managers[number]!.migration, let migration = image.migrations.open[id] else { continue }
        messages.append(.step(manager: number, step, number: name, migration, metadataIndex: image.index))
      }
    }
  }

  private mutating func deliver(isCalm: Bool) {
    guard !messages.isEmpty else { return }
    let place = draw.next(messages.count)
    let message = messages[place]
    if case .append = message, now < slowUntil, !isCalm { return }
    if !isCalm, draw.chance(8) { faults += 1 } else { messages.remove(at: place) }
    if !isCalm, draw.chance(4) {
      faults += 1
      return lost(message)
    }
    switch message {
    case .step(let manager, let step, let number, let migration, let index):
      messages.append(.answer(manager: manager, carryOut(step, number, migration, index)))
    case .answer(let manager, let input):
      guard managers[manager] != nil else { return }
      look(manager)
      self.input(input, to: manager)
    case .append(let manager, let epoch, let commands):
      append(commands.map { .migration($0) }, epoch: epoch)
      messages.append(.answer(manager: manager, .appended))
    case .report(let epoch, let command): append([.migration(command)], epoch: epoch)
    case .expire(let id, let attempt): append([.migration(.expireCut(id, attempt: attempt, reason: "no manager"))])
    }
  }

  /// Who waits for an answer hears that there is none.
  private mutating func lost(_ message: Message) {
    switch message {
    case .step(let manager, _, let number, _, _), .answer(let manager, .done(let number, _)):
      messages.append(.answer(manager: manager, .failed(number, .transient, reason: "nobody answered")))
    case .append(let manager, _, _): messages.append(.answer(manager: manager, .appended))
    case .report, .expire: break
    case .answer: messages.append(message)
    }
  }

  // MARK: Statements

  /// By a compute node, whose metadata may be old.
  private mutating func write() {
    let route =
      draw.chance(70)
      ? image.tablets[Self.tablet]!
      : shards[ShardID(rawValue: UInt32(1 + draw.next(2)))]!.image
        .tablets[Self.tablet]!
    let plannedAt = route == image.tablets[Self.tablet] ? image.index : 0
    let id = route.shardID
    guard shards[id]!.hasLeader else { return }
    if shards[id]!.image.index < plannedAt { consume(id) }
    let shard = shards[id]!
    let known = shard.image.tablets[Self.tablet]!
    guard known.shardID == id, known.epoch <= route.epoch, shard.exists, serves(shard) else { return }
    if mutant == .lateWrite, shard.fence != nil, let row = shard.inFlight.first {
      shards[id]!.inFlight.removeFirst()
      shards[id]!.log.append(.row(row))
      shards[id]!.rows.append(row)
      acknowledged.append(row)
      return
    }
    guard shard.fence == nil else { return }
    lastRow += 1
    if mutant == .lateWrite, draw.chance(30) {
      shards[id]!.inFlight.append(lastRow)
      return
    }
    shards[id]!.log.append(.row(lastRow))
    shards[id]!.rows.append(lastRow)
    acknowledged.append(lastRow)
    if owner != id { violations.append("row \(lastRow) was written at shard \(id), which does not own the tablet") }
  }

  private func serves(_ shard: Shard) -> Bool {
    mutant == .servesByOldMetadata || shard.image.index >= shard.metadataIndex
  }

  private mutating func read() {
    let id = ShardID(rawValue: UInt32(1 + draw.next(2)))
    let shard = shards[id]!
    guard shard.hasLeader, shard.image.tablets[Self.tablet]!.shardID == id, shard.exists, serves(shard) else { return }
    guard mutant == .readsLate || shard.fence?.reads != true, draw.chance(30) else { return }
    if shard.rows.count != acknowledged.count || Set(shard.rows) != Set(acknowledged) {
      violations.append("a read at shard \(id) saw \(shard.rows.count) rows, not \(acknowledged.count)")
    }
  }

  // MARK: Steps

  private mutating func carryOut(
    _ step: MigrationDriver.Step, _ number: Int, _ migration: Migration, _ index: UInt64
  ) -> MigrationDriver.Input {
    func failed(_ reason: String, _ kind: MigrationDriver.FailureKind = .transient) -> MigrationDriver.Input {
      .failed(number, kind, reason: reason)
    }
    let here = step.shard(of: migration)
    guard shards[here]!.hasLeader else { return failed("no leader") }
    if shards[here]!.image.index < index { consume(here) }
    guard let known = shards[here]!.image.migrations.open[migration.plan.id],
      known.attempt == migration.attempt, step.shard(of: known) == here, step.fits(known)
    else { return failed("it does not fit") }
    let (source, target) = (known.origin, known.follower)
    // What is needed of the other side.
    switch step {
    case .load, .catchUp: guard shards[source]!.hasLeader else { return failed("the source has no leader") }
    default: break
    }
    let attempt = known.attempt
    switch step {
    case .snapshot:
      tokens &+= 1
      let token = [tokens] + [UInt8](repeating: 0, count: 31)
      let position = shards[source]!.log.count
      shards[source]!.snapshots[token] = (position, shards[source]!.rows)
      return .done(
        number,
        MigrationDriver.StepResult(
          shardIndex: UInt64(position), checksum: token, lengthBytes: 1,
          nodeID: NodeID(rawValue: UInt64(source.rawValue))))
    case .load: return load(number, known)
    case .catchUp(let through): return catchUp(number, known, through: Int(through))
    case .checksumOrigin:
      return .done(
        number, MigrationDriver.StepResult(shardIndex: UInt64(shards[source]!.log.count), checksum: sum(source)))
    case .checksumFollower:
      let position = shards[target]!.arrival?.position ?? 0
      return .done(number, MigrationDriver.StepResult(shardIndex: UInt64(position), checksum: sum(target)))
    case .fence(let reads):
      if shards[source]!.fence?.attempt != attempt {
        guard !reads else { return failed("there is no fence") }
        shards[source]!.log.append(.fence)
        shards[source]!.fence = Fence(
          attempt: attempt, index: shards[source]!.log.count, metadataIndex: shards[source]!.image.index)
      }
      if reads { shards[source]!.fence!.reads = true }
      return .done(number, MigrationDriver.StepResult(shardIndex: UInt64(shards[source]!.fence!.index)))
    case .cleanSource, .cleanTarget:
      tidy(here)
      let shard = shards[here]!
      let isOwner = shard.image.tablets[Self.tablet]!.shardID == here
      let isClean = (isOwner || !shard.exists) && shard.fence == nil && shard.arrival == nil
      guard isClean || mutant == .leavesFence || mutant == .leavesOrphan else { return failed("not yet") }
      return .done(number, MigrationDriver.StepResult())
    }
  }

  private func sum(_ id: ShardID) -> [UInt8] {
    guard mutant != .losesChangesAfterSnapshot else { return [] }
    let sum = shards[id]!.rows.sorted().reduce(UInt64(14_695_981_039_346_656_037)) {
      ($0 ^ UInt64($1)) &* 1_099_511_628_211
    }
    return stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: sum >> UInt64($0)) }
  }

  private mutating func load(_ number: Int, _ migration: Migration) -> MigrationDriver.Input {
    let (source, target) = (migration.plan.source, migration.plan.target)
    guard let recorded = migration.snapshot else { return .failed(number, .transient, reason: "no snapshot") }
    if shards[target]!.arrival?.token != recorded.checksum {
      guard let snapshot = shards[source]!.snapshots[recorded.checksum] else {
        return .failed(number, .snapshotLost, reason: "it is gone")
      }
      shards[target]!.exists = true
      shards[target]!.metadataIndex = max(shards[target]!.metadataIndex, shards[target]!.image.index)
      shards[target]!.rows = snapshot.rows
      shards[target]!.arrival = Arrival(token: recorded.checksum, position: snapshot.index)
    }
    shards[target]!.arrival!.isLoaded = true
    return .done(number, MigrationDriver.StepResult(shardIndex: recorded.shardIndex))
  }

  private mutating func catchUp(_ number: Int, _ migration: Migration, through: Int) -> MigrationDriver.Input {
    let (source, target) = (migration.origin, migration.follower)
    if migration.isFollowedBack { follow(migration) }
    guard let arrival = shards[target]!.arrival, arrival.isLoaded,
      migration.isFollowedBack
        ? arrival.follows == migration.plan.id && shards[target]!.exists
        : arrival.follows == nil && arrival.token == migration.snapshot?.checksum
    else {
      return .failed(number, .snapshotLost, reason: "the rows are not there")
    }
    guard arrival.position >= shards[source]!.compacted else {
      return .failed(number, .snapshotLost, reason: "the log does not go back so far")
    }
    let end = through == 0 ? shards[source]!.log.count : through
    guard end <= shards[source]!.log.count else { return .failed(number, .transient, reason: "it is not there yet") }
    if mutant == .routesEarly && migration.phase == .writesCut
      || mutant == .reversesEarly && migration.phase == .reversing
    {
      var result = MigrationDriver.StepResult(shardIndex: UInt64(end))
      result.followerIndex = UInt64(shards[target]!.log.count)
      return .done(number, result)
    }
    // It may die in the middle.
    let stop = draw.chance(10) ? arrival.position + draw.next(max(1, end - arrival.position + 1)) : end
    var position = mutant == .appliesTwice && draw.chance(20) ? max(0, arrival.position - 1) : arrival.position
    while position < stop {
      if mutant == .losesChangesAfterSnapshot, !migration.isFollowedBack,
        position == Int(migration.snapshot!.shardIndex)
      {
        position += 1
        continue
      }
      if case .row(let row) = shards[source]!.log[position] { shards[target]!.rows.append(row) }
      position += 1
    }
    shards[target]!.arrival!.position = max(position, arrival.position)
    guard position >= end else { return .failed(number, .transient, reason: "the leader died") }
    var result = MigrationDriver.StepResult(shardIndex: UInt64(position))
    result.followerIndex = UInt64(shards[target]!.log.count)
    result.logFrom = UInt64(position)
    return .done(number, result)
  }

  /// The copy that stayed follows the target, from where the two were alike.
  private mutating func follow(_ migration: Migration) {
    let id = migration.follower
    guard shards[id]!.arrival?.follows != migration.plan.id else { return }
    shards[id]!.metadataIndex = max(shards[id]!.metadataIndex, shards[id]!.image.index)
    let from =
      mutant == .followsFromNow ? shards[migration.origin]!.log.count : Int(migration.wayBack!.shardIndex)
    shards[id]!.arrival = Arrival(token: [], position: from, isLoaded: true, follows: migration.plan.id)
  }

  private mutating func append(_ commands: [Command], epoch: UInt64? = nil) {
    let request = AppendRequest(principal: "model", managerEpoch: epoch, commands: commands)
    guard case .success(let events) = decide(request, image), !events.isEmpty else { return }
    for case .migration(let event) in events { if case .retried = event { retries += 1 } }
    let open = image.migrations.open
    image.apply(
      Record(
        index: image.index + 1, term: 1, previousIndex: image.index, timeMicroseconds: 0, principal: "model",
        events: events, previousHash: image.hash, hash: .zero))
    for id in open.keys { if let outcome = image.migrations.ended[id]?.outcome { outcomes[outcome, default: 0] += 1 } }
  }

  // MARK: What must hold

  private mutating func check() {
    let rows = shards[owner]!.rows
    guard checked.owner != owner || checked.rows != rows.count || checked.acknowledged != acknowledged.count else {
      return
    }
    checked = (owner, rows.count, acknowledged.count)
    guard rows.count != acknowledged.count || Set(rows) != Set(acknowledged) else { return }
    violations.append(
      "shard \(owner) owns the tablet with \(rows.count) rows (\(Set(rows).count) different), of \(acknowledged.count)")
  }
}
