import ArgumentParser

/// `kunlog quickstart`: a whole cluster on this machine.
struct QuickstartCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quickstart",
    abstract: "Run a whole cluster on this machine: 3 meta, 2 shards of 3 storage, 3 compute nodes, 1 manager.",
    discussion: """
      Connect with: psql -h 127.0.0.1 -p 5401 -U abc postgres   (password abc)
      The data directory is kept; the next start finds everything again.
      """,
    subcommands: [QuickstartStart.self, QuickstartStop.self, QuickstartStatus.self],
    defaultSubcommand: QuickstartStart.self)
}

/// Where the data of a quick start lies.
struct QuickstartLocation: ParsableArguments {
  @Option(name: .long, help: "Data directory (default: ~/.kunlog/quickstart).")
  var data: String?

  var directory: QuickstartDirectory { QuickstartDirectory(path: data ?? QuickstartDirectory.standardPath) }
}
