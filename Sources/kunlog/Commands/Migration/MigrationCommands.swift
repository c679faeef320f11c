import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog migration`: moves of tablets from shard to shard.
struct MigrationCommands: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migration", abstract: "Look at moves from shard to shard, and pause, reverse or end them.",
    subcommands: [
      MigrationList.self, MigrationShow.self, MigrationWatchCommand.self, MigrationPause.self, MigrationResume.self,
      MigrationAbort.self, MigrationReverse.self, MigrationComplete.self,
    ])
}

/// A migration as JSON and in tables.
struct MigrationDocument: Encodable {
  var id: UInt64
  var tablet: UInt64
  /// With its schema; nil: it was dropped.
  var table: String?
  var source: UInt32
  var target: UInt32
  var state: String
  var percent: Int
  var attempt: UInt32
  var isPaused: Bool
  var remark: String
  var reason: String
  var snapshotBytes: UInt64?
  var keepsSource: Bool
  /// open, requested, lost; nil: there is none.
  var wayBack: String?
  var maximumLagMilliseconds: UInt32
  var maximumBytesPerSecond: UInt64
  var isVerified: Bool
  var bytes: UInt64?
  var totalBytes: UInt64?
  var rows: UInt64?
  var bytesPerSecond: UInt64?
  var lagMilliseconds: UInt64?
  var secondsLeft: UInt64?
  var startedIndex: UInt64
  var changedIndex: UInt64

  init(_ migration: Migration, _ image: Image) {
    let plan = migration.plan
    id = plan.id.rawValue
    tablet = plan.tabletID.rawValue
    table = image.tableName(of: plan.tabletID)
    source = plan.source.rawValue
    target = plan.target.rawValue
    state = migration.outcome?.text ?? migration.phase.text
    percent = migration.percent
    attempt = migration.attempt
    isPaused = migration.isPaused
    remark = migration.remark
    reason = plan.reason
    snapshotBytes = migration.snapshot?.lengthBytes
    keepsSource = plan.options.keepsSource
    wayBack = migration.wayBack?.text
    maximumLagMilliseconds = plan.options.maximumLagMilliseconds
    maximumBytesPerSecond = plan.options.bytesPerSecond
    isVerified = plan.options.isVerified
    let progress = migration.progress
    bytes = progress?.bytes
    totalBytes = progress?.totalBytes
    rows = progress?.rows
    bytesPerSecond = progress?.bytesPerSecond
    lagMilliseconds = progress?.lagMilliseconds
    secondsLeft = progress?.secondsLeft
    startedIndex = migration.startedIndex
    changedIndex = migration.changedIndex
  }
}

extension Image {
  /// One that is under way or among the last that have ended.
  func migration(argument: UInt64) throws -> Migration {
    let id = MigrationID(rawValue: argument)
    if let migration = migrations.open[id] ?? migrations.ended[id] { return migration }
    throw CommandFailure(
      description: id < migrations.nextID
        ? "Migration \(id) has ended long ago: kunlog log show --family migrations has its history."
        : "There is no migration \(id). See kunlog migration list.")
  }
}

/// `kunlog migration list`.
struct MigrationList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List moves that are under way, and the last ones that have ended.")

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Only those that are under way.")
  var open = false

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  private struct Document: Encodable {
    var index: UInt64
    var migrations: [MigrationDocument]
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = client.image
    var all = image.migrations.open.values.sorted { $0.plan.id < $1.plan.id }
    if !open { all += image.migrations.ended.values.sorted { $0.changedIndex > $1.changedIndex } }
    let documents = all.map { MigrationDocument($0, image) }
    StandardStream.output.write(
      (json ? JSONDocument.text(Document(index: image.index, migrations: documents)) : Self.text(documents)) + "\n")
  }

  static func text(_ migrations: [MigrationDocument]) -> String {
    guard !migrations.isEmpty else { return "no migrations" }
    var text = TextTable(header: ["id", "table", "tablet", "from", "to", "state", "%", "attempt", "remark"])
    for migration in migrations {
      text.add([
        "\(migration.id)", migration.table ?? "", "\(migration.tablet)", "\(migration.source)", "\(migration.target)",
        migration.isPaused ? "\(migration.state), paused" : migration.state, "\(migration.percent)",
        "\(migration.attempt + 1)", migration.remark,
      ])
    }
    return text.text
  }
}

/// `kunlog migration show`.
struct MigrationShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one move; kunlog log history migration ID has its history.")

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "Its number, as kunlog migration list shows it.")
  var id: UInt64

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let document = MigrationDocument(try client.image.migration(argument: id), client.image)
    guard !json else { return StandardStream.output.write(JSONDocument.text(document) + "\n") }
    var lines = ["migration \(document.id)"]
    lines.append("  table     \(document.table ?? "dropped") (tablet \(document.tablet))")
    lines.append("  from, to  shard \(document.source), shard \(document.target)")
    lines.append("  state     \(document.state)\(document.isPaused ? ", paused" : ""), \(document.percent) %")
    lines.append("  attempt   \(document.attempt + 1)")
    if let bytes = document.snapshotBytes { lines.append("  snapshot  \(bytes) bytes") }
    if let progress = client.image.migrations.open[MigrationID(rawValue: id)]?.progress {
      lines.append("  progress  \(MigrationWatch.text(progress))")
    }
    let limit = document.maximumBytesPerSecond
    lines.append(
      "  options   lag at most \(TimeArgument(milliseconds: document.maximumLagMilliseconds)), "
        + (limit == 0 ? "not throttled" : "\(SizeArgument(bytes: limit))/s at most")
        + (document.isVerified ? "" : ", not verified") + (document.keepsSource ? ", source kept" : ""))
    if let wayBack = document.wayBack { lines.append("  way back  \(wayBack)") }
    if !document.remark.isEmpty { lines.append("  remark    \(document.remark)") }
    if !document.reason.isEmpty { lines.append("  reason    \(document.reason)") }
    lines.append("  records   \(document.startedIndex) to \(document.changedIndex)")
    StandardStream.output.write(lines.joined(separator: "\n") + "\n")
  }
}

/// `kunlog migration watch`.
struct MigrationWatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow moves until they have ended.")

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "Their numbers; none: all that are under way.")
  var ids: [UInt64] = []

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    for id in ids { _ = try client.image.migration(argument: id) }
    let watched = ids.isEmpty ? client.image.migrations.open.keys.sorted() : ids.map { MigrationID(rawValue: $0) }
    guard !watched.isEmpty else { return print("no migrations are under way") }
    try await MigrationWatch(client, watched).untilEnded()
  }
}

/// What the commands have in common that change a migration.
struct MigrationChange: ParsableArguments {
  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Why, for the history.")
  var reason = "asked for by an operator"

  @Argument(help: "Its number, as kunlog migration list shows it.")
  var id: UInt64

  @LoopActor
  func run(_ command: (MigrationID) -> MigrationCommand) async throws -> MetadataClient {
    try await run({ _, id in command(id) })
  }

  /// The command may depend on what the log says. Moves of the rest of a table group get theirs in the same record.
  @LoopActor
  func run(
    _ command: (Image, MigrationID) -> MigrationCommand, group: (Migration) -> MigrationCommand? = { _ in nil }
  ) async throws -> MetadataClient {
    let client = try await cluster.connect(principal: "operator")
    do {
      try await client.catchUp()
      _ = try client.image.migration(argument: id)
      let image = client.image
      let migration = image.migrations.open[MigrationID(rawValue: id)]
      let others = migration.map(image.siblings)?.compactMap(group) ?? []
      let all = [command(image, MigrationID(rawValue: id))] + others
      _ = try await client.append(all.map { .migration($0) })
      if !others.isEmpty { print("so are \(others.count) more of its table group") }
      return client
    } catch let error as MetadataError {
      client.stop()
      throw CommandFailure(description: error.forOperators)
    } catch {
      client.stop()
      throw error
    }
  }
}

/// `kunlog migration pause`.
struct MigrationPause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Let a move rest before its next step; not while writes are cut.")

  @OptionGroup var change: MigrationChange

  @LoopActor
  func run() async throws {
    try await change.run { .pause($0, reason: change.reason) }.stop()
    print("migration \(change.id) is paused")
  }
}

/// `kunlog migration resume`.
struct MigrationResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let a paused move go on.")

  @OptionGroup var change: MigrationChange

  @LoopActor
  func run() async throws {
    try await change.run { .resume($0) }.stop()
    print("migration \(change.id) goes on")
  }
}
