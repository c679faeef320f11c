import EventLoop
import Glibc

/// How far something has come, on standard error: a bar, a rate and the time that is left. Nothing where that is no terminal.
@LoopActor
final class ProgressBar {
  private let what: String
  private let isShown: Bool
  private let start = Loop.now
  private var shownAt: UInt64 = 0
  private var isDirty = false

  /// - Parameter what: what is counted, in the plural.
  init(_ what: String) {
    self.what = what
    isShown = isatty(2) == 1
  }

  /// - Parameters:
  ///   - fraction: how much of the whole is done, 0 to 1.
  ///   - count: how many are done.
  func update(fraction: Double, count: Int) {
    guard isShown, Loop.now > shownAt + 100_000_000 else { return }
    shownAt = Loop.now
    isDirty = true
    let seconds = Double(Loop.now - start) / 1_000_000_000
    StandardStream.error.write("\r" + Self.line(what, fraction: fraction, count: count, seconds: seconds) + "\u{1b}[K")
  }

  /// Takes the bar away.
  func finish() {
    if isDirty { StandardStream.error.write("\r\u{1b}[K") }
    isDirty = false
  }

  /// The line that is shown after so many seconds.
  nonisolated static func line(_ what: String, fraction: Double, count: Int, seconds: Double) -> String {
    let fraction = min(max(fraction, 0), 1)
    let filled = Int(fraction * 30)
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 30 - filled)
    let rate = seconds > 0 ? Double(count) / seconds : 0
    var line = "[\(bar)] \(Int(fraction * 100))%  \(count) \(what)  \(Int(rate))/s"
    if fraction > 0.001, seconds > 0.5 {
      let left = Int((seconds / fraction - seconds).rounded(.up))
      line += "  \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
    }
    return line
  }
}
