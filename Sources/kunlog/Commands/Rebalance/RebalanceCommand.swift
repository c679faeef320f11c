import ArgumentParser
import Coordination
import EventLoop
import Metadata
import MetadataClient

/// `kunlog rebalance`.
struct RebalanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebalance", abstract: "Even shards out: say which tables should move, and move them.",
    discussion: """
      Counts the bytes of each table and partition, and its reads and writes, which are measured for a moment (--seconds). Nothing is \
      moved where no two shards differ by more than 30 % of the mean, or where no table is small enough to make them more even.

      Tables go to shards of their class first (shard_class, cold_after; docs/scale-out.md), and are evened out among those.

      --automatic on lets the cluster's manager do it by itself, with averages over half a minute, some moves at a time \
      (--migrations).
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Say what would be moved, and why (this is what it does unless told otherwise).")
  var plan = false

  @Flag(name: .long, help: "Move it.")
  var apply = false

  @Flag(name: .long, help: "With --apply: ask for the moves and return at once.")
  var noWait = false

  @Option(name: .long, help: "How long reads and writes are counted.")
  var seconds = 2.0

  @Option(name: .long, help: "on or off: whether the cluster's manager evens shards out by itself.")
  var automatic: Switch?

  @Option(name: .long, help: "How many moves the manager plans at a time, 1 to 64.")
  var migrations: Int?

  enum Switch: String, ExpressibleByArgument { case on, off }

  /// What a move copies at most per second (docs/scale-out.md).
  private static let bytesPerSecond = 48_000_000.0
  private static let movesShown = 40

  func validate() throws {
    guard !(plan && apply) else { throw ValidationError("--plan says what --apply does: give one of them.") }
    guard apply || !noWait else { throw ValidationError("--no-wait goes with --apply.") }
    guard (0.1...600).contains(seconds) else { throw ValidationError("--seconds is between 0.1 and 600.") }
    guard migrations.map({ (1...64).contains($0) }) ?? true else {
      throw ValidationError("--migrations is between 1 and 64.")
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    if automatic != nil || migrations != nil {
      try await configure(client)
      guard plan || apply else { return }
    }
    let time = Loop.wallClockMicroseconds()
    let measured = try await measure(client, timeMicroseconds: time)
    let rebalance = RebalancePlanner.plan(measured, options(client.image))
    var classifier = ShardClassifier(client.image, timeMicroseconds: time)
    show(rebalance, measured, client.image, &classifier)
    guard apply, !rebalance.moves.isEmpty else { return }
    let ids = try await ask(client, rebalance, &classifier)
    client.warnWithoutManager("the moves begin once one runs")
    guard !noWait else { return }
    try await MigrationWatch(client, ids).untilEnded()
  }

  private func options(_ image: Image) -> RebalancePlanner.Options {
    var options = RebalancePlanner.Options()
    options.maximumMoves = MigrationTable.maximumOpen - image.migrations.open.count
    return options
  }

  @LoopActor
  private func configure(_ client: MetadataClient) async throws {
    var commands: [Command] = []
    if let automatic { commands.append(.setSetting(name: RebalanceSettings.automaticName, value: automatic.rawValue)) }
    if let migrations { commands.append(.setSetting(name: RebalanceSettings.migrationsName, value: "\(migrations)")) }
    do throws(MetadataError) { _ = try await client.append(commands) } catch {
      throw CommandFailure(description: "The settings were not changed: \(error)")
    }
    let settings = RebalanceSettings(client.image)
    print(
      "automatic rebalancing is \(settings.isAutomatic ? "on" : "off"), \(settings.maximumMigrations) moves at a time")
  }

  /// Asks all leaders twice.
  @LoopActor
  private func measure(_ client: MetadataClient, timeMicroseconds: Int64) async throws -> RebalanceCluster {
    let usages = try ShardUsages(client, cluster)
    defer { usages.close() }
    var meter = UsageMeter()
    for round in 0..<2 {
      if round > 0 { try await loopSleep(milliseconds: Int(seconds * 1000)) }
      let all = await usages.askAll()
      for shard in client.image.shards.keys.sorted() {
        guard let usage = all[shard] else {
          throw CommandFailure(
            description: "No leader of shard \(shard) answers: without it nobody knows what it has. "
              + "See kunlog cluster status.")
        }
        meter.add(usage, of: shard, nowMilliseconds: Loop.now / 1_000_000)
      }
    }
    return meter.cluster(client.image, timeMicroseconds: timeMicroseconds)
  }

  // MARK: What is shown

  private func show(
    _ plan: RebalancePlan, _ cluster: RebalanceCluster, _ image: Image, _ classifier: inout ShardClassifier
  ) {
    var table = TextTable(header: ["shard", "class", "tablets", "size", "reads+writes/s", "share", "", "afterwards"])
    for (before, after) in zip(plan.before, plan.after) {
      table.add([
        "\(before.shard)" + (before.isDraining ? " (draining)" : ""), before.shardClass, "\(before.tablets)",
        ByteText.size(before.sizeBytes),
        "\(Int(before.load.rounded()))", Self.percent(before.share), "->",
        "\(after.tablets) tablets, \(ByteText.size(after.sizeBytes)), \(Self.percent(after.share))",
      ])
    }
    print(table.text)
    for shard in cluster.shards where plan.full.contains(shard.id) {
      guard let space = shard.space else { continue }
      print(
        "shard \(shard.id) gets nothing more, it has no room: a replica of it has \(ByteText.free(space)) free, of which "
          + "\(ByteText.size(space.keptBytes)) stay free")
    }
    if !plan.unplaced.isEmpty {
      print(
        "\(plan.unplaced.count) tablets fit on no other shard of their class: add one (kunlog shard add), or free space"
      )
    }
    for homeless in plan.homeless {
      print(
        "\(homeless.tablets) tablets belong to class \(homeless.shardClass), of which no shard takes any: they stay where they "
          + "are. To add one: kunlog shard add --class \(homeless.shardClass)")
    }
    guard !plan.moves.isEmpty else {
      guard plan.full.isEmpty, plan.unplaced.isEmpty else { return print("nothing can be moved") }
      return print(
        "nothing to move: no two shards of a class differ by more than 30 % of the mean, or no table would make them "
          + "more even")
    }
    for move in plan.moves.prefix(Self.movesShown) {
      let why =
        switch move.reason {
        case .drain: "shard \(move.source) is drained"
        case .even: "shard \(move.source) has more than its share"
        case .gather: "the rest of its table group is there"
        case .shardClass: classifier.reason(for: move.tablet)
        }
      print(
        "\(image.tableName(of: move.tablet) ?? "?") (tablet \(move.tablet)): shard \(move.source) -> \(move.target), "
          + "\(ByteText.size(move.sizeBytes)), \(Int(move.load.rounded()))/s: \(why)")
    }
    if plan.moves.count > Self.movesShown { print("… and \(plan.moves.count - Self.movesShown) more") }
    let duration = Double(plan.sizeBytes) / Self.bytesPerSecond + Double(plan.moves.count) * 0.5
    print(
      "\(plan.moves.count) moves, \(ByteText.size(plan.sizeBytes)), about \(Int(duration.rounded(.up))) s"
        + (apply ? "" : ". To do it: kunlog rebalance --apply"))
  }

  private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

  /// One record for all.
  @LoopActor
  private func ask(_ client: MetadataClient, _ plan: RebalancePlan, _ classifier: inout ShardClassifier) async throws
    -> [MigrationID]
  {
    var commands: [Command] = []
    for move in plan.moves {
      let reason = move.reason == .shardClass ? classifier.reason(for: move.tablet) : "rebalance"
      commands.append(
        .migration(
          .plan(
            move.tablet, target: move.target, epoch: client.image.tablets[move.tablet]?.epoch, maximumRetries: nil,
            reason: reason)))
    }
    do throws(MetadataError) {
      let result = try await client.append(commands)
      return result.events.compactMap { if case .migration(.planned(let plan)) = $0 { plan.id } else { nil } }
    } catch {
      throw CommandFailure(description: "The moves were not begun: \(error)")
    }
  }
}
