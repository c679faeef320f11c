import ArgumentParser

/// The one executable: a subcommand per role, and the operator's commands.
@main
struct Kunlog: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kunlog", abstract: "A sharded SQL database around one replicated, event-sourced metadata log.",
    groupedSubcommands: [
      CommandGroup(name: "To begin", subcommands: [QuickstartCommand.self]),
      CommandGroup(name: "Operators", subcommands: [ClusterCommand.self, LogCommand.self, BenchCommand.self]),
      CommandGroup(
        name: "Roles", subcommands: [MetaCommand.self, StorageCommand.self, ComputeCommand.self, ManagerCommand.self]),
    ])
}
