import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import RPC

/// Reads records that are there, from the meta node that a client follows.
enum LogHistory {
  /// Gives the records from an index on (nil: from the oldest) to the body, until it returns false or the present is reached;
  /// says on standard error where older ones than are kept were asked for. Each record is checked against the chain.
  /// - Throws: where the chain is broken.
  /// - Parameter isQuiet: says nothing of what is not kept any more.
  @LoopActor
  static func read(
    _ client: MetadataClient, tls: TLSConfiguration, from: UInt64?, isQuiet: Bool = false,
    _ body: @LoopActor (Record) throws -> Bool
  ) async throws {
    // What is still to come is no part of the history; a meta node would wait for it.
    if let from, from > client.image.index { return }
    guard let endpoint = client.followed ?? client.configuration.endpoints.first else { return }
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    defer { channel.close() }
    var request = MetadataSubscription.Request()
    request.afterIndex = from.map { $0 > 0 ? $0 - 1 : 0 } ?? 0
    request.readsArchive = true
    request.endsAtPresent = true
    let subscription = MetadataSubscription(request, on: channel)
    defer { subscription.cancel() }
    var previous: Record?
    while let message = try await subscription.next() {
      switch message {
      case .bookmark, .heartbeat, .image: break
      case .record(let record):
        if previous == nil, record.previousIndex > request.afterIndex, !isQuiet {
          StandardStream.error.write("records up to \(record.previousIndex) are not kept any more\n")
        }
        if let previous, record.previousHash != previous.hash || record.previousIndex != previous.index {
          throw LogDamaged(
            description: "The log's chain is broken between records \(previous.index) and \(record.index).")
        }
        previous = record
        guard try body(record) else { return }
      }
    }
  }
}

extension LogHistory {
  /// Gives each record after an index to the body as it is committed, until it returns false: every one once and in order, at another
  /// meta node where the one that is followed fails.
  @LoopActor
  static func follow(
    _ client: MetadataClient, after index: UInt64, _ body: @LoopActor (Record) throws -> Bool
  ) async throws {
    for try await change in client.records(from: .after(index)) {
      guard let record = change.record else {
        StandardStream.error.write("records up to \(change.after.index) are not kept any more\n")
        continue
      }
      guard try body(record) else { return }
    }
  }
}

/// The log is not what was written.
struct LogDamaged: Error, CustomStringConvertible {
  let description: String
}
