import EventLoop

/// How a copy makes way for statements: by the delay that they meet, as a background transfer does (RFC 6817, LEDBAT). After each piece it
/// looks how late this node's loop is; who waits for the loop, or for a processor, waits as long. The later it is, the longer the copy
/// rests; never so long that it would not end.
enum CopyPacer {
  /// What a loop is late by where it has little to do, in microseconds.
  static let toleratedMicroseconds = 1500
  /// How much longer than the delay a rest is.
  static let factor = 30
  /// The longest rest, in milliseconds.
  static let longestRest = 150

  /// How long to rest where the loop is late by so much; in milliseconds.
  static func restMilliseconds(afterDelayOf microseconds: Int) -> Int {
    min(longestRest, max(0, microseconds - toleratedMicroseconds) * factor / 1000)
  }

  /// Rests after a piece, where others are late.
  @LoopActor
  static func rest() async throws {
    let begun = Loop.now
    try await loopSleep(milliseconds: 1)
    let rest = restMilliseconds(afterDelayOf: Int((Loop.now - begun) / 1000) - 1000)
    if rest > 0 { try await loopSleep(milliseconds: rest) }
  }
}
