import ArgumentParser

/// `kunlog bench`: the client's half of `tools/bench`, which starts the servers, alternates the rounds and reports.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure a running cluster (tools/bench does the rest).",
    subcommands: [BenchMeta.self, BenchWatch.self])
}

/// `kunlog bench meta`: load on a metadata log, or on an etcd beside it.
struct BenchMeta: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "meta", abstract: "Measure a metadata log, or etcd with the same client.",
    subcommands: [
      BenchCertificates.self, BenchPrepare.self, BenchLoad.self, BenchProbe.self, BenchSubscribers.self,
      BenchReach.self, BenchCatalog.self, BenchHistory.self, BenchRoutes.self,
    ])
}
