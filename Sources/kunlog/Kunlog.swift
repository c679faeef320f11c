import ArgumentParser
import EventLoop
import Metadata
import SegmentedLog

/// The one executable: a subcommand per role, and the operator's commands.
@main
struct Kunlog: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kunlog", abstract: "A sharded SQL database around one replicated, event-sourced metadata log.",
    groupedSubcommands: [
      CommandGroup(name: "To begin", subcommands: [QuickstartCommand.self]),
      CommandGroup(
        name: "Operators",
        subcommands: [
          ClusterCommand.self, TableCommand.self, ShardCommand.self, LogCommand.self, CertCommand.self,
          BenchCommand.self,
        ]),
      CommandGroup(name: "Development", subcommands: [SimulateCommand.self]),
      CommandGroup(
        name: "Roles", subcommands: [MetaCommand.self, StorageCommand.self, ComputeCommand.self, ManagerCommand.self]),
    ])

  static func main() async {
    // Before there is another thread: see `SHA256.accelerated`.
    SHA256.accelerated = OpenSSLDigest.sha256
    CRC32C.accelerated = HardwareChecksum.crc32c
    await main(nil)
  }
}
