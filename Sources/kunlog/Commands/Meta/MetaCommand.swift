import ArgumentParser

/// `kunlog meta`: runs a meta node, or looks after the group of meta nodes.
struct MetaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "meta", abstract: "Run a meta node, or look after the group of them.",
    discussion: """
      To replace a node, start the new one with an empty directory and --join, and then, from anywhere:
        kunlog meta member replace 1 --with 4=10.0.0.4:6001 --endpoints …
      """,
    subcommands: [
      MetaRun.self, MetaStatus.self, MetaMember.self, MetaTransfer.self, MetaRecover.self, MetaBackup.self,
      MetaRestoreCommand.self, MetaImage.self,
    ], defaultSubcommand: MetaRun.self)
}
