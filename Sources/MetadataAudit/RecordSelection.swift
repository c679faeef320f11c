import Metadata

/// Which records, and which of their events, somebody wants to see. Empty: all.
package struct RecordSelection: Sendable {
  /// Kinds or families of events, in lower case.
  package var kinds: Set<String> = []
  package var families: Set<EventFamily> = []
  /// Who asked; a `*` at the end stands for anything.
  package var principal: String?
  /// Events that touch it, or what belongs to it.
  package var object: ObjectMatcher?
  /// By the leader's clock, microseconds since 1970; both included.
  package var since: Int64?
  package var until: Int64?

  package init() {}

  /// Whether all records pass whole.
  package var isEmpty: Bool {
    kinds.isEmpty && families.isEmpty && principal == nil && object == nil && since == nil && until == nil
  }

  /// What names stand for events: kinds and families, in lower case.
  package static let knownKinds = Set(Event.kinds.map { $0.lowercased() } + EventFamily.allCases.map(\.rawValue))

  /// The next record with only the events that are wanted; nil where none is. Records must be given in their order, from the
  /// first that is to be had, where an object is asked for.
  package mutating func take(_ record: Record) -> Record? {
    var events = Array(record.events.indices)
    if object != nil {
      let touched = Set(object!.take(record).map(\.event))
      events = events.filter(touched.contains)
    }
    if let since, record.timeMicroseconds < since { return nil }
    if let until, record.timeMicroseconds > until { return nil }
    if let principal, !Self.matches(record.principal, principal) { return nil }
    events = events.filter { position in
      let event = record.events[position]
      if !families.isEmpty, !families.contains(event.family) { return false }
      return kinds.isEmpty || kinds.contains(event.kind.lowercased()) || kinds.contains(event.family.rawValue)
    }
    guard !events.isEmpty else { return nil }
    guard events.count < record.events.count else { return record }
    var result = record
    result.events = events.map { record.events[$0] }
    return result
  }

  private static func matches(_ principal: String, _ pattern: String) -> Bool {
    pattern.hasSuffix("*") ? principal.hasPrefix(pattern.dropLast()) : principal == pattern
  }
}
