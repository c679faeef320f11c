import EventLoop
import Foundation

@testable import Replica

/// A list of texts in memory: the simplest state machine. An entry's output is the list's length after it.
@LoopActor
final class ListMachine: StateMachine {
  private(set) var items: [String] = []
  private(set) var appliedIndex: UInt64 = 0
  private(set) var leaderships: [Bool] = []
  private(set) var restores = 0
  var heldIndex: UInt64?

  func apply(_ entries: [CommittedEntry]) async throws -> [Int] {
    var outputs: [Int] = []
    for entry in entries {
      precondition(entry.index > appliedIndex, "an entry is applied once")
      items.append(String(decoding: entry.payload, as: UTF8.self))
      appliedIndex = entry.index
      outputs.append(items.count)
    }
    return outputs
  }

  func writeSnapshot(to path: String) async throws -> UInt64 {
    try Data(items.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
    return appliedIndex
  }

  func restoreSnapshot(from path: String, index: UInt64) async throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    items = text.isEmpty ? [] : text.components(separatedBy: "\n")
    appliedIndex = index
    restores += 1
  }

  func leadershipChanged(isLeader: Bool, term: UInt64) { leaderships.append(isLeader) }
}
