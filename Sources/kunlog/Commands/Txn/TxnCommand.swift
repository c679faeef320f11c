import ArgumentParser
import Coordination
import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageWire

/// `kunlog txn`: transactions at this moment.
struct TxnCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "txn", abstract: "Look at transactions: who is active, prepared or in doubt, and who waits for whom.",
    subcommands: [TxnList.self, TxnShow.self, TxnResolve.self])

  /// What all shards whose leaders answer say, and the shards that do not.
  @LoopActor
  static func gather(
    _ client: MetadataClient, _ cluster: ClusterOptions
  ) async throws -> (shards: [ShardID: ShardTransactions], silent: [ShardID]) {
    guard let clusterID = client.image.clusterID else { throw CommandFailure(description: "There is no cluster yet.") }
    let (image, tls) = (client.image, try cluster.tls())
    var channels: [NodeID: RPCChannel] = [:]
    defer { for channel in channels.values { channel.close() } }
    var shards: [ShardID: ShardTransactions] = [:]
    var silent: [ShardID] = []
    for shard in image.shards.values.sorted(by: { $0.id < $1.id }) {
      let answer = await ShardTransactions.ask(
        shard.id, of: clusterID, replicas: shard.replicas, timeoutMilliseconds: 2_000
      ) { id in
        guard let node = image.nodes[id] else { return nil }
        let channel = channels[id] ?? RPCChannel(host: node.host, port: node.port, tls: tls)
        channels[id] = channel
        return channel
      }
      if let answer { shards[shard.id] = answer } else { silent.append(shard.id) }
    }
    return (shards, silent)
  }

  static func warn(_ silent: [ShardID]) {
    guard !silent.isEmpty else { return }
    let names = silent.map { "\($0)" }.joined(separator: ", ")
    StandardStream.error.write("no leader answers at shard \(names): its transactions are not listed\n")
  }
}

/// A transaction as JSON.
struct TransactionDocument: Encodable {
  var transaction: String?
  var gtid: String?
  var state: String
  var ageMilliseconds: UInt64
  var shards: [UInt32]
  var waitsFor: [String]
  var decisionIndex: UInt64?

  init(_ report: TransactionReport) {
    transaction = report.name.isEmpty ? nil : report.name
    gtid = report.id.map { "\($0)" }
    state = report.state.rawValue
    ageMilliseconds = report.ageMilliseconds
    shards = report.shards.map(\.rawValue)
    waitsFor = report.waitsFor
    decisionIndex = report.decisionIndex
  }
}

/// `kunlog txn list`.
struct TxnList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List transactions that are open on a shard, prepared, or decided and not forgotten.",
    discussion: """
      States: active; waiting (for a lock); prepared (durable on its shards, the log has not decided); in doubt (prepared for more \
      than a second: its shards ask the log to abort it); committing, aborting (decided, a shard has still to carry it out); \
      committed, aborted (carried out everywhere, soon forgotten).
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "Only transactions in doubt.")
  var inDoubt = false

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  private struct Document: Encodable {
    var index: UInt64
    var transactions: [TransactionDocument]
    var silentShards: [UInt32]
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let (shards, silent) = try await TxnCommand.gather(client, cluster)
    var reports = TransactionReport.all(shards, client.image.transactions.open)
    if inDoubt { reports.removeAll { $0.state != .inDoubt } }
    guard !json else {
      let document = Document(
        index: client.image.index, transactions: reports.map { TransactionDocument($0) },
        silentShards: silent.map(\.rawValue))
      StandardStream.output.write(JSONDocument.text(document) + "\n")
      return
    }
    TxnCommand.warn(silent)
    StandardStream.output.write(Self.text(reports) + "\n")
  }

  static func text(_ reports: [TransactionReport]) -> String {
    guard !reports.isEmpty else { return "no transactions" }
    var text = TextTable(header: ["transaction", "gtid", "state", "age", "shards", "waits for", "decided by"])
    for report in reports {
      text.add([
        report.name, report.id.map { "\($0)" } ?? "", report.state.rawValue, age(report.ageMilliseconds),
        report.shards.map { "\($0)" }.joined(separator: ", "), report.waitsFor.joined(separator: ", "),
        report.decisionIndex.map { "record \($0)" } ?? "",
      ])
    }
    return text.text
  }

  static func age(_ milliseconds: UInt64) -> String {
    switch milliseconds {
    case ..<1000: "\(milliseconds) ms"
    case ..<120_000: "\(milliseconds / 1000) s"
    default: "\(milliseconds / 60_000) min"
    }
  }
}

/// A gtid as people write it: `coordinator-incarnation-sequence`.
extension GlobalTransactionID {
  init(argument: String) throws {
    let parts = argument.split(separator: "-", omittingEmptySubsequences: false).map { UInt64($0) }
    guard parts.count == 3, let node = parts[0], let incarnation = parts[1], let sequence = parts[2] else {
      throw ValidationError(
        "\(argument) is no name of a transaction over several shards: COORDINATOR-INCARNATION-SEQUENCE, as kunlog txn list "
          + "shows it.")
    }
    self.init(coordinator: NodeID(rawValue: node), incarnation: incarnation, sequence: sequence)
  }
}

/// `kunlog txn show`.
struct TxnShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show what the log and each shard know of a transaction over several shards.")

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "Its gtid, as kunlog txn list shows it.")
  var gtid: String

  func validate() throws { _ = try GlobalTransactionID(argument: gtid) }

  @LoopActor
  func run() async throws {
    let id = try GlobalTransactionID(argument: gtid)
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let (shards, silent) = try await TxnCommand.gather(client, cluster)
    var lines = ["transaction \(id)"]
    let image = client.image
    let coordinator =
      image.nodes[id.coordinator].map { "\($0.name) (node \($0.id))" } ?? "node \(id.coordinator), removed"
    lines.append("  coordinator  \(coordinator)")
    if let decision = image.transactions.open[id] {
      lines.append("  the log      \(decision.outcome), decided by record \(decision.index)")
      lines.append("  shards       \(decision.participants.map { "\($0)" }.joined(separator: ", "))")
    } else if image.transactions.isPast(id) {
      lines.append(
        "  the log      past: every shard had carried out its decision; see kunlog log show --family transactions")
    } else {
      lines.append("  the log      has not decided")
    }
    var isKnown = false
    for (shard, answer) in shards.sorted(by: { $0.key < $1.key }) {
      guard let transaction = answer.transactions.first(where: { $0.id == id }) else { continue }
      isKnown = true
      lines.append(
        "  shard \(shard)      prepared since \(TxnList.age(transaction.ageMilliseconds)), participants "
          + transaction.participants.map { "\($0)" }.joined(separator: ", ") + ", holds tablets "
          + transaction.lockedTablets.map { "\($0)" }.joined(separator: ", "))
    }
    if !isKnown { lines.append("  no shard holds it prepared" + (silent.isEmpty ? "" : ", of those that answer")) }
    TxnCommand.warn(silent)
    StandardStream.output.write(lines.joined(separator: "\n") + "\n")
  }
}

/// `kunlog txn resolve`.
struct TxnResolve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve",
    abstract: "Have the log decide a transaction that is in doubt: to abort, unless it has been decided.",
    discussion: """
      Shards do this by themselves within a second; this is for those who do not want to wait. The first decision in the log stands: \
      a transaction whose commit was decided cannot be aborted any more, and this only says so.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "Its gtid, as kunlog txn list shows it.")
  var gtid: String

  func validate() throws { _ = try GlobalTransactionID(argument: gtid) }

  @LoopActor
  func run() async throws {
    let id = try GlobalTransactionID(argument: gtid)
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let (shards, silent) = try await TxnCommand.gather(client, cluster)
    let prepared = shards.values.lazy.flatMap(\.transactions).first { $0.id == id }
    guard let participants = client.image.transactions.open[id]?.participants ?? prepared?.participants else {
      let hint = silent.isEmpty ? "" : " (no leader answers at shard \(silent.map { "\($0)" }.joined(separator: ", ")))"
      throw CommandFailure(
        description: client.image.transactions.isPast(id)
          ? "Transaction \(id) is past: every shard has carried out its decision."
          : "No shard holds transaction \(id) prepared\(hint), and the log has not decided it: there is nothing to resolve."
      )
    }
    guard let decision = try await client.decide(id, .abort, participants: participants) else {
      throw CommandFailure(description: "Transaction \(id) is past: every shard has carried out its decision.")
    }
    let outcome = decision.outcome == .commit ? "commits" : "aborts"
    print("transaction \(id) \(outcome): record \(decision.index) of the log has decided it")
  }
}
