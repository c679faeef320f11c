import Metadata
import ProtocolMetadata

extension SchemaChangeEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .planned(let plan): .schemaChangePlanned(plan.wire)
    case .stepDone(let id, let step):
      .schemaChangeStepDone(
        .with {
          $0.changeID = id.rawValue
          $0.step = UInt32(clamping: step)
        })
    case .completed(let id): .schemaChangeCompleted(.with { $0.changeID = id.rawValue })
    case .failed(let id, let reason):
      .schemaChangeFailed(
        .with {
          $0.changeID = id.rawValue
          $0.reason = reason
        })
    }
  }

  /// nil: no event about schema changes.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .schemaChangePlanned(let plan): self = .planned(SchemaChangePlan(wire: plan))
    case .schemaChangeStepDone(let event):
      self = .stepDone(SchemaChangeID(rawValue: event.changeID), step: Int(event.step))
    case .schemaChangeCompleted(let event): self = .completed(SchemaChangeID(rawValue: event.changeID))
    case .schemaChangeFailed(let event):
      self = .failed(SchemaChangeID(rawValue: event.changeID), reason: event.reason)
    default: return nil
    }
  }
}

extension SchemaChangeCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .plan(let object, let text, let steps):
      .planSchemaChange(
        .with {
          $0.objectID = object.rawValue
          $0.text = text
          $0.steps = steps
        })
    case .completeStep(let id, let step):
      .completeSchemaChangeStep(
        .with {
          $0.changeID = id.rawValue
          $0.step = UInt32(clamping: step)
        })
    case .fail(let id, let reason):
      .failSchemaChange(
        .with {
          $0.changeID = id.rawValue
          $0.reason = reason
        })
    }
  }

  /// nil: no command about schema changes.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) {
    switch wire {
    case .planSchemaChange(let command):
      self = .plan(ObjectID(rawValue: command.objectID), text: command.text, steps: command.steps)
    case .completeSchemaChangeStep(let command):
      self = .completeStep(SchemaChangeID(rawValue: command.changeID), step: Int(command.step))
    case .failSchemaChange(let command):
      self = .fail(SchemaChangeID(rawValue: command.changeID), reason: command.reason)
    default: return nil
    }
  }
}

extension SchemaChangePlan {
  var wire: Kunlog_Metadata_V1_SchemaChangePlanned {
    .with {
      $0.changeID = id.rawValue
      $0.objectID = objectID.rawValue
      $0.text = text
      $0.steps = steps
    }
  }

  init(wire: Kunlog_Metadata_V1_SchemaChangePlanned) {
    self.init(
      id: SchemaChangeID(rawValue: wire.changeID), objectID: ObjectID(rawValue: wire.objectID), text: wire.text,
      steps: wire.steps)
  }
}

extension SchemaChange {
  /// As an image holds it.
  var wire: Kunlog_Metadata_V1_ImageSchemaChanges.SchemaChange {
    .with {
      $0.plan = plan.wire
      $0.doneSteps = UInt32(clamping: doneSteps)
      $0.startedIndex = startedIndex
      $0.changedIndex = changedIndex
      switch outcome {
      case nil: $0.outcome = .open
      case .completed: $0.outcome = .completed
      case .failed: $0.outcome = .failed
      }
      $0.reason = reason
    }
  }

  /// From an image.
  init(wire: Kunlog_Metadata_V1_ImageSchemaChanges.SchemaChange) throws(WireError) {
    self.init(plan: SchemaChangePlan(wire: wire.plan), startedIndex: wire.startedIndex)
    doneSteps = Int(wire.doneSteps)
    changedIndex = wire.changedIndex
    reason = wire.reason
    switch wire.outcome {
    case .open: outcome = nil
    case .completed: outcome = .completed
    case .failed: outcome = .failed
    case .UNRECOGNIZED(let value): throw .malformed("outcome \(value) of a schema change")
    }
  }
}
