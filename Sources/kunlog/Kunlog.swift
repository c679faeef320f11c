import ArgumentParser
import EventLoop
import Glibc
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
          ClusterCommand.self, TableCommand.self, ShardCommand.self, RebalanceCommand.self, MigrationCommands.self,
          TxnCommand.self, LogCommand.self,
          CertCommand.self,
          AccessCommand.self,
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
    FeatureLevel.current = olderLevel() ?? FeatureLevel.newest
    await main(nil)
  }

  /// Hidden, for tests of upgrades: KUNLOG_FEATURE_LEVEL makes the process behave as a program of that level, which does not know
  /// the events of later ones.
  private static func olderLevel() -> UInt32? {
    guard let text = getenv("KUNLOG_FEATURE_LEVEL"), let level = UInt32(String(cString: text)) else { return nil }
    return min(max(level, 1), FeatureLevel.newest)
  }
}
