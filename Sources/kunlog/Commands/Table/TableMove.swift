import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog table move`.
struct TableMove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "move", abstract: "Move tables or partitions to another shard, while they are read and written.",
    discussion: """
      Rows are copied, what changes meanwhile is taken over, both sides are compared, and the route moves: for that moment, some \
      ten milliseconds, statements wait; none fails. Transactions that keep a table locked for longer than a quarter of a second at \
      that moment are rolled back (40001).

      The cluster's manager does it: this command only asks for it and watches. Ctrl-C ends the watching, not the move; \
      kunlog migration list shows it, kunlog migration abort ends it.

      A shard that has no room for the tables is refused, also with --dry-run: the fullest of its replicas decides.

      Tables of a table group (CREATE TABLE … WITH (tablegroup = g)) move together: --group g.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "The shard to move to: its number or its name.")
  var to: String

  @Flag(name: .long, help: "Say what would be moved, and move nothing.")
  var dryRun = false

  @Flag(name: .long, help: "Ask for the move and return at once.")
  var noWait = false

  @Option(name: .long, help: "How often a step that failed is tried again before the move is undone.")
  var retries = MigrationPlan.standardRetries

  @OptionGroup var how: MoveOptions

  @Option(name: .long, help: "Why, for the history.")
  var reason = ""

  @Option(
    name: .long,
    help: "All tables of a table group; with tables or partitions: what stands together with these.")
  var group: String?

  @Argument(
    help: "Tables: NAME, SCHEMA.NAME, or an id. A partitioned table stands for all of its partitions.")
  var tables: [String] = []

  private struct Planned {
    var tablet: TabletDefinition
    var name: String
  }

  func validate() throws {
    guard !tables.isEmpty || group != nil else {
      throw ValidationError("Name the tables to move, or their table group (--group).")
    }
    _ = try tables.map(reference)
  }

  private func reference(_ table: String) throws -> ObjectReference {
    do throws(ObjectReference.Malformed) { return try ObjectReference(words: ["table", table]) } catch {
      throw ValidationError(error.description)
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let image = client.image
    let shard = try image.requireShard(to)
    guard image.shards[shard]?.isDraining != true else {
      throw CommandFailure(
        description: "Shard \(shard) is being drained: it takes no tablets. Name another one, or take the drain back: "
          + "kunlog shard undrain \(shard).")
    }
    let planned = try self.group.map { try plan($0, image, to: shard) } ?? plan(image, to: shard)
    for move in planned {
      let verb = dryRun ? "would move" : "moves"
      print("\(verb) \(move.name) (tablet \(move.tablet.id)) from shard \(move.tablet.shardID) to shard \(shard)")
    }
    let usages = try ShardUsages(client, cluster)
    defer { usages.close() }
    try await usages.requireRoom(for: planned.map(\.tablet), at: shard)
    guard !dryRun else { return }
    let ids = try await ask(client, planned, shard)
    client.warnWithoutManager("the move begins once one runs")
    guard !noWait else { return }
    try await MigrationWatch(client, ids).untilEnded()
  }

  /// What there is to move; those that are there already are left out.
  @LoopActor
  private func plan(_ image: Image, to shard: ShardID) throws -> [Planned] {
    var planned: [Planned] = []
    for name in tables {
      let reference = try reference(name)
      if ["pg_catalog", "information_schema", "kunlog"].contains(reference.schema) {
        throw CommandFailure(
          description:
            "\(reference.schema).\(reference.name) is a system table: it is on no shard, and cannot be moved.")
      }
      guard let details = image.tableDetails(reference) else {
        let near = image.tablesLike(reference)
        throw CommandFailure(
          description: "There is no table \(reference.schema).\(reference.name)."
            + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?"))
      }
      let tablets = details.tablets.compactMap { image.tablets[TabletID(rawValue: $0.id)] }
      for move in try plan(tablets, of: details.table.name, image, to: shard)
      where !planned.contains(where: { $0.tablet.id == move.tablet.id }) {
        planned.append(move)
      }
    }
    return planned
  }

  private func plan(
    _ tablets: [TabletDefinition], of name: String, _ image: Image, to shard: ShardID
  ) throws -> [Planned] {
    guard tablets.contains(where: { $0.shardID != shard }) else {
      throw CommandFailure(
        description: tablets.isEmpty
          ? "\(name) has no partitions yet: there is nothing to move." : "\(name) is on shard \(shard) already.")
    }
    return try tablets.filter { $0.shardID != shard }.map { tablet in
      if let known = image.migrations.open(of: tablet.id) {
        guard !known.isResting else {
          throw CommandFailure(
            description: "The source of the last move of \(name) is kept still: \(known.text). "
              + "Let it go (kunlog migration complete \(known.plan.id)), or take the table back: kunlog migration reverse "
              + "\(known.plan.id).")
        }
        throw CommandFailure(
          description: "\(name) is being moved already: \(known.text). "
            + "Wait for its end (kunlog migration show \(known.plan.id)), or end it: kunlog migration abort "
            + "\(known.plan.id).")
      }
      return Planned(tablet: tablet, name: image.tableName(of: tablet.id) ?? "\(tablet.tableID)")
    }
  }

  /// The tablets of a table group, or of those places of it at which the named tables are.
  private func plan(_ group: String, _ image: Image, to shard: ShardID) throws -> [Planned] {
    guard image.tablesOfGroup[group] != nil else {
      let known = image.tablesOfGroup.keys.sorted().joined(separator: ", ")
      throw CommandFailure(
        description: "There is no table group \(group). "
          + (known.isEmpty ? "No table names one: CREATE TABLE … WITH (tablegroup = g)." : "Groups: \(known)."))
    }
    var places = image.places(of: group)
    if !tables.isEmpty {
      var named: Set<GroupPlace> = []
      for name in tables {
        guard let details = image.tableDetails(try reference(name)) else {
          throw CommandFailure(description: "There is no table \(name).")
        }
        let own = details.tablets.compactMap { image.groupPlace(of: TabletID(rawValue: $0.id)) }
        guard own.allSatisfy({ $0.group == group }), !own.isEmpty else {
          throw CommandFailure(description: "\(details.table.name) is not in table group \(group).")
        }
        named.formUnion(own)
      }
      places = places.filter(named.contains)
    }
    return try plan(places.flatMap(image.tablets), of: "table group \(group)", image, to: shard)
  }

  /// One record for all.
  @LoopActor
  private func ask(_ client: MetadataClient, _ planned: [Planned], _ shard: ShardID) async throws -> [MigrationID] {
    do throws(MetadataError) {
      let result = try await client.append(
        planned.map {
          .migration(
            .plan(
              $0.tablet.id, target: shard, epoch: $0.tablet.epoch, maximumRetries: retries, reason: reason,
              options: how.options))
        })
      return result.events.compactMap { if case .migration(.planned(let plan)) = $0 { plan.id } else { nil } }
    } catch {
      throw CommandFailure(description: "The move was not begun: \(error.forOperators)")
    }
  }
}
