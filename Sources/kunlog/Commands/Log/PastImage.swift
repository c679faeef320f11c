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

  /// The image as it was.
  /// - Throws: for moments in the future, before the first record, or before what the meta nodes keep.
  @LoopActor
  static func read(_ client: MetadataClient, _ cluster: ClusterOptions, at moment: Moment) async throws -> PastImage {
    try moment.check(present: client.image.index)
    let image: Image
    do throws(MetadataError) { image = try await client.image(at: moment.history) } catch {
      throw CommandFailure(description: "The metadata of then cannot be had: \(error).")
    }
    let tls = try cluster.tls()
    guard image.index > 0 else {
      var first = "The log holds no record yet."
      try await LogHistory.read(client, tls: tls, from: nil, isQuiet: true) { record in
        first =
          "The log begins at index \(record.index), at \(AuditTime.text(record.timeMicroseconds)): nothing was before."
        return false
      }
      throw CommandFailure(description: first)
    }
    var time: Int64?
    try await LogHistory.read(client, tls: tls, from: image.index, isQuiet: true) { record in
      if record.index == image.index { time = record.timeMicroseconds }
      return false
    }
    return PastImage(image: image, timeMicroseconds: time)
  }
}

extension Moment {
  /// The same as the client has it.
  var history: HistoryMoment {
    switch self {
    case .index(let index): .index(index)
    case .time(let time): .time(microseconds: time)
    }
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
