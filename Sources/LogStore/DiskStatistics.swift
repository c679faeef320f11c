import EventLoop
import Metrics
import Synchronization

/// What a log's disk took for what it was asked. The log's thread records, the loop reads a copy: under a lock, beside which the
/// shortest of these operations is long.
package final class DiskStatistics: Sendable {
  /// The numbers at one moment.
  package struct Values: Sendable {
    /// How long fdatasync took.
    package var syncs = Histogram()
    /// Synchronizations that took longer than `DiskStatistics.stallMilliseconds`.
    package var stalls: UInt64 = 0
    /// Bytes given to the log's files.
    package var writtenBytes: UInt64 = 0
    /// When the synchronization began that is under way.
    package var syncingSince: UInt64?
    /// Nothing yet.
    package init() {}
  }

  /// From here on a synchronization is a stall: as long as a leader may be silent.
  package static let stallMilliseconds: UInt64 = 250

  private let mutex = Mutex(Values())

  /// Nothing yet.
  package init() {}

  /// The numbers now.
  package var values: Values { mutex.withLock { $0 } }

  func wrote(_ bytes: Int) { mutex.withLock { $0.writtenBytes &+= UInt64(bytes) } }

  func beginSync(_ now: UInt64) { mutex.withLock { $0.syncingSince = now } }

  func endSync(_ began: UInt64, _ ended: UInt64) {
    mutex.withLock { values in
      values.syncingSince = nil
      values.syncs.record(ended - began)
      if ended - began >= Self.stallMilliseconds * 1_000_000 { values.stalls &+= 1 }
    }
  }
}
