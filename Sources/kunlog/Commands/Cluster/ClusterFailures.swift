import ArgumentParser
import Coordination
import EventLoop
import Metadata
import MetadataClient

/// `kunlog cluster failures`: what the manager does about nodes that do not answer.
struct ClusterFailures: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "failures", abstract: "Show which nodes have failed; say what the manager does about such.",
    discussion: """
      A node that has not answered the manager for a while is marked in the log, and marked well once it answers. Where \
      --replace-after is set, a storage node that stays away is replaced: by a node that waits for its shard (kunlog storage add \
      --spare, or one that was started with --join), in a quick start by one that its supervisor starts.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Mark a node that has not answered for so many seconds.")
  var markAfter: UInt64?

  @Option(name: .long, help: "Replace a storage node that has not answered for so many seconds; off: never.")
  var replaceAfter: ReplacePatience?

  func validate() throws {
    guard (1...86_400).contains(markAfter ?? 1) else {
      throw ValidationError("--mark-after is between 1 and 86400 seconds.")
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    var commands: [Command] = []
    if let markAfter { commands.append(.setSetting(name: FailurePolicy.Settings.markName, value: "\(markAfter)")) }
    if let replaceAfter {
      commands.append(
        .setSetting(name: FailurePolicy.Settings.replaceName, value: replaceAfter.seconds.map(String.init)))
    }
    if !commands.isEmpty { _ = try await client.append(commands) }
    let settings = FailurePolicy.Settings(client.image)
    print(
      "nodes are marked after \(settings.markSeconds) s; storage nodes are "
        + (settings.replaceSeconds.map { "replaced after \($0) s" } ?? "not replaced by themselves"))
    let failed = client.image.nodes.values.filter { $0.failure != nil }.sorted { $0.id < $1.id }
    for node in failed { print("\(node.name) (\(node.id)) has failed: \(node.failure ?? "")") }
    if failed.isEmpty { print("no node is marked as failed") }
  }
}

/// After how many seconds something is replaced, or never.
enum ReplacePatience: ExpressibleByArgument, Equatable {
  case after(UInt64)
  case off

  init?(argument: String) {
    if argument == "off" {
      self = .off
    } else if let seconds = UInt64(argument), (1...31_536_000).contains(seconds) {
      self = .after(seconds)
    } else {
      return nil
    }
  }

  /// nil: never.
  var seconds: UInt64? { if case .after(let seconds) = self { seconds } else { nil } }
}
