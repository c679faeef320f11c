import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// The image of some moment, and when its last record was made.
struct PastImage: Sendable {
  var image: Image
  /// Microseconds since 1970 by the leader's clock; nil where the record was not seen.
  var timeMicroseconds: Int64?

  /// The image as it was, by the records from the first on.
  /// - Throws: for moments in the future, before the first record, or before what is kept.
  @LoopActor
  static func read(_ client: MetadataClient, _ cluster: ClusterOptions, at moment: Moment) async throws -> PastImage {
    try moment.check(present: client.image.index)
    var image = Image()
    var past = PastImage(image: image)
    var first: Record?
    try await LogHistory.read(client, tls: try cluster.tls(), from: nil, isQuiet: true) { record in
      if first == nil {
        first = record
        guard record.previousIndex == 0 else { return false }
      }
      switch moment {
      case .index(let index) where record.index > index: return false
      default: break
      }
      image.apply(record)
      // Clocks of leaders may differ: the last record that is not later counts.
      if case .time(let time) = moment, record.timeMicroseconds > time { return true }
      past = PastImage(image: image, timeMicroseconds: record.timeMicroseconds)
      return true
    }
    guard let first else { throw CommandFailure(description: "The log holds no record yet.") }
    guard first.previousIndex == 0 else {
      throw CommandFailure(
        description:
          "The history begins at index \(first.index): records up to \(first.previousIndex) are not kept any more.")
    }
    guard past.image.index > 0 else {
      throw CommandFailure(
        description:
          "The log begins at index \(first.index), at \(AuditTime.text(first.timeMicroseconds)): nothing was before.")
    }
    return past
  }
}

/// `--at` of commands that read.
struct MomentOptions: ParsableArguments {
  @Option(name: .long, help: "As it was at this index of the log, or at this time: \(AuditTime.help).")
  var at: Moment?

  /// The image that is asked for: the present one, or one of the past.
  @LoopActor
  func image(_ client: MetadataClient, _ cluster: ClusterOptions) async throws -> Image {
    guard let at else { return client.image }
    return try await PastImage.read(client, cluster, at: at).image
  }
}
