/// A node's clock: monotonic, as the real one is, but with a rate of its own, and it may jump ahead or stand still.
struct NodeClock {
  // Local time at `anchor`, in microseconds.
  private var local: UInt64
  private var anchor: UInt64
  // Local microseconds per 1024 of true time.
  private(set) var rate: UInt64 = 1024

  init(at time: UInt64, local: UInt64) {
    self.local = local
    anchor = time
  }

  func milliseconds(at time: UInt64) -> UInt64 { (local + (time - anchor) * rate / 1024) / 1000 }

  /// When the clock will show a time; `.max` where it stands still.
  func time(atMilliseconds milliseconds: UInt64, now: UInt64) -> UInt64 {
    guard rate > 0 else { return .max }
    let current = local + (now - anchor) * rate / 1024
    guard milliseconds < 1 << 40 else { return .max }
    let wanted = milliseconds * 1000
    return wanted <= current ? now : now + (wanted - current) * 1024 / rate + 1
  }

  mutating func setRate(_ rate: UInt64, at time: UInt64) {
    local += (time - anchor) * self.rate / 1024
    anchor = time
    self.rate = rate
  }

  mutating func jump(by microseconds: UInt64) { local += microseconds }
}
