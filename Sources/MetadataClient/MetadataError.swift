import Metadata

/// Why the metadata log did not do what it was asked.
package enum MetadataError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The decision: nothing was changed.
  case rejected(Rejection)
  /// No meta node could be reached, or none led, until the time was over. Nothing was changed.
  case unavailable(String)
  /// The answer was lost: the commands may or may not have been carried out, now or later.
  case outcomeUnknown(String)
  /// The records asked for have been compacted.
  case compacted(String)
  /// The log does not go as far as the index from which on records were asked for.
  case inFuture(String)
  /// The meta node belongs to another cluster, runs another version, or refuses this client: asking again will not help.
  case refused(String)
  /// What a meta node sent is damaged or not of this protocol.
  case malformed(String)
  /// The cluster has been upgraded beyond this program: only a newer version of kunlog helps.
  case outdated(String)
  /// Too much waits already.
  case overloaded
  /// The index was not reached in time.
  case timedOut(index: UInt64, reached: UInt64)
  /// The client has been stopped.
  case stopped

  package var description: String {
    switch self {
    case .rejected(let rejection): rejection.description
    case .unavailable(let reason): "the metadata log cannot be reached: \(reason)"
    case .outcomeUnknown(let reason): "the outcome of a change to the metadata is unknown: \(reason)"
    case .compacted(let reason): "the records have been compacted: \(reason)"
    case .inFuture(let reason): "there are no such records yet: \(reason)"
    case .refused(let reason): "the metadata log refused the request: \(reason)"
    case .malformed(let what): "a meta node sent \(what)"
    case .outdated(let reason): reason
    case .overloaded: "too many requests wait for the metadata log"
    case .timedOut(let index, let reached): "metadata index \(index) was not reached in time (now at \(reached))"
    case .stopped: "the metadata client is stopped"
    }
  }
}
