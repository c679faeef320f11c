import HashTreeCollections

/// A change of an object's definition that takes several steps. Never used twice.
package struct SchemaChangeID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// What a schema change is to do.
package struct SchemaChangePlan: Sendable, Hashable {
  package var id: SchemaChangeID
  package var objectID: ObjectID
  /// For people: the statement.
  package var text: String
  /// In order; what each means is for those who carry it out.
  package var steps: [String]
  package init(id: SchemaChangeID, objectID: ObjectID, text: String, steps: [String]) {
    self.id = id
    self.objectID = objectID
    self.text = text
    self.steps = steps
  }
}

/// What has happened in a schema change (schema_change.proto). Since feature level 3.
package enum SchemaChangeEvent: Sendable, Hashable {
  case planned(SchemaChangePlan)
  /// Steps count from 1.
  case stepDone(SchemaChangeID, step: Int)
  /// It has ended.
  case completed(SchemaChangeID)
  /// It has ended, and what was done is undone.
  case failed(SchemaChangeID, reason: String)

  package var changeID: SchemaChangeID {
    switch self {
    case .planned(let plan): plan.id
    case .stepDone(let id, _), .completed(let id), .failed(let id, _): id
    }
  }

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .planned: "SchemaChangePlanned"
    case .stepDone: "SchemaChangeStepDone"
    case .completed: "SchemaChangeCompleted"
    case .failed: "SchemaChangeFailed"
    }
  }

  /// The kinds that there are.
  package static let kinds = [
    "SchemaChangePlanned", "SchemaChangeStepDone", "SchemaChangeCompleted", "SchemaChangeFailed",
  ]
}

/// What is asked about schema changes (schema_change.proto).
package enum SchemaChangeCommand: Sendable, Hashable {
  case plan(ObjectID, text: String, steps: [String])
  /// Steps count from 1, and are done in order; the last one completes the change.
  case completeStep(SchemaChangeID, step: Int)
  case fail(SchemaChangeID, reason: String)
}

/// A schema change and how far it is.
package struct SchemaChange: Sendable, Hashable {
  package enum Outcome: String, Sendable, Hashable { case completed, failed }
  package var plan: SchemaChangePlan
  package var doneSteps = 0
  /// The record with the plan.
  package var startedIndex: UInt64
  /// The record with the last event about it.
  package var changedIndex: UInt64
  /// nil: under way.
  package var outcome: Outcome?
  /// Why it failed.
  package var reason = ""
  package init(plan: SchemaChangePlan, startedIndex: UInt64) {
    self.plan = plan
    self.startedIndex = startedIndex
    changedIndex = startedIndex
  }

  /// For people.
  package var text: String {
    "schema change \(plan.id) of object \(plan.objectID), "
      + (outcome?.rawValue ?? "\(doneSteps) of \(plan.steps.count) steps done")
  }
}

/// Schema changes that are under way, and the last ones that have ended.
package struct SchemaChangeTable: Sendable, Equatable {
  package static let maximumOpen = 1_024
  package static let maximumEnded = 256
  package static let maximumSteps = 64

  package private(set) var open: TreeDictionary<SchemaChangeID, SchemaChange> = [:]
  package private(set) var ended: TreeDictionary<SchemaChangeID, SchemaChange> = [:]
  package var nextID = SchemaChangeID(rawValue: 1)
  /// Derived from `open`.
  package private(set) var ofObject: TreeDictionary<ObjectID, SchemaChangeID> = [:]

  package init() {}

  /// One that an image holds.
  package mutating func add(_ change: SchemaChange) {
    nextID = max(nextID, SchemaChangeID(rawValue: change.plan.id.rawValue &+ 1))
    guard change.outcome == nil else {
      ended[change.plan.id] = change
      return
    }
    open[change.plan.id] = change
    ofObject[change.plan.objectID] = change.plan.id
  }

  mutating func apply(_ event: SchemaChangeEvent, at recordIndex: UInt64) {
    if case .planned(let plan) = event {
      guard open[plan.id] == nil, ended[plan.id] == nil, ofObject[plan.objectID] == nil else { return }
      return add(SchemaChange(plan: plan, startedIndex: recordIndex))
    }
    guard var change = open[event.changeID] else { return }
    change.changedIndex = recordIndex
    switch event {
    case .planned: break
    case .stepDone(_, let step): change.doneSteps = step
    case .completed: change.outcome = .completed
    case .failed(_, let reason):
      change.outcome = .failed
      change.reason = reason
    }
    guard change.outcome != nil else {
      open[change.plan.id] = change
      return
    }
    open[change.plan.id] = nil
    ofObject[change.plan.objectID] = nil
    ended[change.plan.id] = change
    if ended.count > SchemaChangeTable.maximumEnded,
      let oldest = ended.values.min(by: { ($0.changedIndex, $0.plan.id) < ($1.changedIndex, $1.plan.id) })
    {
      ended[oldest.plan.id] = nil
    }
  }
}
