import EventLoop
import Metadata
import MetadataLog

/// Subscriptions with the same filter: it is asked once for all that stand at the same place, and what it leaves is
/// serialized once.
@LoopActor
final class FilterGroup {
  /// What comes next at a place, and how it is sent; nothing where the filter leaves nothing of it.
  struct Step {
    let run: RecordRun
    let messages: SealedRecords.Message?
  }

  let filter: SubscriptionFilter
  private let sealed: SealedRecords
  /// How many subscriptions it serves.
  var members = 0
  /// By the place at which they begin, for the records up to `index`.
  private var steps: [UInt64: Step] = [:]
  private var index: UInt64 = 0

  init(_ filter: SubscriptionFilter, _ sealed: SealedRecords) {
    self.filter = filter
    self.sealed = sealed
  }

  /// The step from a place that is before the last record; nil where the log has to be read.
  func step(after position: UInt64, _ state: MetadataState) throws -> Step? {
    if index != state.image.index {
      steps.removeAll(keepingCapacity: true)
      index = state.image.index
    }
    if let known = steps[position] { return known }
    guard let run = state.recent.run(after: position, filter, count: SubscriptionCursor.batchRecords) else {
      return nil
    }
    let step = Step(run: run, messages: run.elements.isEmpty ? nil : try sealed.messages(run.elements))
    steps[position] = step
    return step
  }

  /// Nobody needs the steps any more, for now.
  func rest() { steps.removeAll() }
}
