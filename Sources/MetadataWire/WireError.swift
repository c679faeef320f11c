import Metadata

/// Why bytes are not what they should be. A peer's or a disk's fault, never a reason to trap.
package enum WireError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Not a message of the protocol, or one with a field missing or out of range.
  case malformed(String)
  /// Written by a newer program: to go on would be to misread history.
  case unknownEvent
  case unknownCommand
  /// The cluster is at this feature level, above the program's.
  case featureLevel(UInt32)
  /// The same of an image.
  case unknownPart
  /// The bytes are whole messages, but not those that were written.
  case corrupt(String)

  /// Whether a newer program would know better.
  package var isOutdated: Bool {
    switch self {
    case .unknownEvent, .unknownPart, .featureLevel: true
    case .malformed, .unknownCommand, .corrupt: false
    }
  }

  package var description: String {
    switch self {
    case .featureLevel(let level): FeatureLevel.outdatedText(level)
    case .malformed(let what): "malformed \(what)"
    case .unknownEvent:
      "an event that this program does not know (it understands feature level \(FeatureLevel.current)): the cluster has been "
        + "upgraded; run a newer version of kunlog"
    case .unknownPart:
      "an image with a part that this program does not know (it understands feature level \(FeatureLevel.current)): the "
        + "cluster has been upgraded; run a newer version of kunlog"
    case .unknownCommand: "a command that this program does not know"
    case .corrupt(let what): "corrupt \(what)"
    }
  }
}
