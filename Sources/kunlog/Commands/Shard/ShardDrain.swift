import ArgumentParser
import Coordination
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog shard drain`.
struct ShardDrain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain", abstract: "Move all tables of a shard to the others, while they are read and written.",
    discussion: """
      From now on no new table goes there, and the cluster's manager moves those that it has to the other shards, a few at a time, \
      evenly. This command watches; Ctrl-C ends the watching, not the drain. kunlog shard undrain N takes it back: what has been \
      moved stays where it is.

      A shard whose tables do not fit on the disks of the others is not drained, unless --force says so: then what fits is moved, \
      and the rest waits until there is room.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Also where the other shards have no room for all tables.")
  var force = false

  @Flag(name: .long, help: "Ask for it and return at once.")
  var noWait = false

  @Flag(name: .long, help: "Take it back: the same as kunlog shard undrain.")
  var cancel = false

  @Option(name: .long, help: "Why, for the history.")
  var reason = ""

  @Argument(help: "The shard: its number or its name.")
  var shard: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let id = try client.image.requireShard(shard)
    guard !cancel else { return try await ShardUndrain.undrain(client, id) }
    if !force { try await requireRoom(client, id) }
    do throws(MetadataError) {
      _ = try await client.append([.shard(.drain(id, reason: reason))])
    } catch { throw CommandFailure(description: "Shard \(id) is not drained: \(error.forOperators)") }
    client.warnWithoutManager("the moves begin once one runs")
    guard !noWait else { return print("shard \(id) is being drained: kunlog shard list") }
    try await ShardDrainWatch(client, id).untilEmpty()
    print("shard \(id) is empty. To remove it: kunlog shard remove \(id)")
  }

  /// Refuses where the others cannot take what the shard has.
  @LoopActor
  private func requireRoom(_ client: MetadataClient, _ id: ShardID) async throws {
    let usages = try ShardUsages(client, cluster)
    defer { usages.close() }
    var meter = UsageMeter()
    for (shard, usage) in await usages.askAll().sorted(by: { $0.key < $1.key }) {
      meter.add(usage, of: shard, nowMilliseconds: Loop.now / 1_000_000)
    }
    var measured = meter.cluster(client.image, timeMicroseconds: Loop.wallClockMicroseconds())
    guard let place = measured.shards.firstIndex(where: { $0.id == id }), !measured.shards[place].isDraining else {
      return
    }
    measured.shards[place].isDraining = true
    // Where no other shard takes them anyway the log and the manager say it better.
    let others = measured.shards.filter { !$0.isDraining && $0.shardClass == measured.shards[place].shardClass }
    guard !others.isEmpty else { return }
    var options = RebalancePlanner.Options()
    options.evensOut = false
    let plan = RebalancePlanner.plan(measured, options)
    let left = Set(plan.unplaced)
    let unplaced = measured.tablets.filter { $0.shard == id && left.contains($0.id) }
    guard !unplaced.isEmpty else { return }
    let bytes = unplaced.reduce(UInt64(0)) { $0 &+ $1.sizeBytes }
    let rooms = others.map {
      "shard \($0.id) has room for \($0.space.map { ByteText.size($0.roomBytes) } ?? "what is not known")"
    }
    throw CommandFailure(
      description: "Shard \(id) is not drained: \(unplaced.count) of its \(client.image.tabletCounts[id] ?? 0) tablets "
        + "(\(ByteText.size(bytes))) fit on no other shard; \(rooms.joined(separator: ", ")) (kunlog shard list). Add a "
        + "shard (kunlog shard add) or free space; --force moves what fits and lets the rest wait.")
  }
}

/// `kunlog shard undrain`.
struct ShardUndrain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undrain", abstract: "Take a drain back: the shard takes tables again.",
    discussion: "What has been moved stays where it is; moves that are under way come to their end.")

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "The shard: its number or its name.")
  var shard: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    try await Self.undrain(client, try client.image.requireShard(shard))
  }

  @LoopActor
  static func undrain(_ client: MetadataClient, _ id: ShardID) async throws {
    guard client.image.shards[id]?.isDraining == true else { return print("shard \(id) is not being drained") }
    do throws(MetadataError) {
      _ = try await client.append([.shard(.undrain(id))])
    } catch { throw CommandFailure(description: "The drain of shard \(id) was not taken back: \(error.forOperators)") }
    print("shard \(id) takes tables again")
  }
}

extension Image {
  /// The shard with a number or a name.
  func requireShard(_ text: String) throws -> ShardID {
    if let details = shardDetails(text) { return ShardID(rawValue: details.shard.id) }
    let all = shardSummaries.map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
    let wasRemoved = UInt32(text).map { removedShards.contains(ShardID(rawValue: $0)) } ?? false
    throw CommandFailure(
      description: (wasRemoved ? "Shard \(text) was removed. " : "There is no shard \(text). ")
        + (all.isEmpty ? "There are no shards." : "Shards: \(all)."))
  }
}

/// Shows how the drain of a shard gets on, until it is empty.
@LoopActor
final class ShardDrainWatch {
  private let client: MetadataClient
  private let shard: ShardID
  private let total: Int
  private var shown = ""
  private var waiter: CheckedContinuation<Void, Never>?

  init(_ client: MetadataClient, _ shard: ShardID) {
    self.client = client
    self.shard = shard
    total = client.image.tabletCounts[shard] ?? 0
  }

  /// - Throws: where somebody has taken the drain back.
  func untilEmpty() async throws {
    client.observe { [weak self] _ in self?.look() }
    look()
    if !hasEnded { await withCheckedContinuation { waiter = $0 } }
    if let state = client.image.shards[shard], !state.isDraining {
      throw CommandFailure(
        description: "The drain of shard \(shard) was taken back: it has \(left) of \(total) tablets.")
    }
  }

  private var left: Int { client.image.tabletCounts[shard] ?? 0 }

  private var moves: [Migration] { client.image.migrations.open.values.filter { $0.plan.source == shard } }

  private var hasEnded: Bool {
    guard let state = client.image.shards[shard], state.isDraining else { return true }
    return left == 0 && moves.isEmpty
  }

  private func look() {
    let paused = moves.count { $0.isPaused }
    let moved = total - min(left, total)
    var text = "shard \(shard): \(moved) of \(total) tablets are elsewhere, \(moves.count) on their way"
    if paused > 0 { text += ", \(paused) paused (kunlog migration list)" }
    let kept = moves.count { $0.phase == .routed }
    if kept > 0 { text += ", \(kept) keep their source (kunlog migration complete or reverse)" }
    if text != shown { print(text) }
    shown = text
    guard hasEnded else { return }
    waiter?.resume()
    waiter = nil
  }
}

extension MetadataError {
  /// With its detail, and what to do.
  var forOperators: String {
    guard case .rejected(let rejection) = self else { return description }
    return ([description + "."] + [rejection.detail, rejection.hint].compactMap { $0 }).joined(separator: " ")
  }
}
