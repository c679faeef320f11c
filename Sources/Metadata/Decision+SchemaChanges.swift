import SQLTypes

/// Schema changes that take several steps.
extension Decision {
  mutating func decide(_ command: SchemaChangeCommand) throws(Rejection) {
    switch command {
    case .plan(let object, let text, let steps): try planSchemaChange(object, text, steps)
    case .completeStep(let id, let step): try completeStep(id, step)
    case .fail(let id, let reason):
      if image.schemaChanges.ended[id]?.outcome == .failed { return }
      _ = try schemaChange(id)
      try checkRemark(reason)
      emit(.schemaChange(.failed(id, reason: reason)))
    }
  }

  private mutating func planSchemaChange(_ object: ObjectID, _ text: String, _ steps: [String]) throws(Rejection) {
    guard image.relation(object) != nil || image.schemas[object] != nil else {
      throw Rejection(.undefinedTable, "relation with OID \(object) does not exist")
    }
    guard (1...SchemaChangeTable.maximumSteps).contains(steps.count), text.utf8.count <= 65_536,
      steps.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 4_096 })
    else {
      throw Rejection(
        .invalidParameterValue,
        "a schema change has 1 to \(SchemaChangeTable.maximumSteps) steps of 1 to 4096 bytes, and a text of at most 65536"
      )
    }
    if let known = image.schemaChanges.ofObject[object].flatMap({ image.schemaChanges.open[$0] }) {
      throw Rejection(
        .objectInUse, "object \(object) is being changed", detail: "It is \(known.text).",
        hint: "Wait until that has ended, or let it fail.")
    }
    guard image.schemaChanges.open.count < SchemaChangeTable.maximumOpen else {
      throw Rejection(
        .configurationLimitExceeded, "there are \(SchemaChangeTable.maximumOpen) schema changes under way",
        hint: "Wait until some have ended.")
    }
    emit(
      .schemaChange(
        .planned(SchemaChangePlan(id: image.schemaChanges.nextID, objectID: object, text: text, steps: steps))))
  }

  private mutating func completeStep(_ id: SchemaChangeID, _ step: Int) throws(Rejection) {
    if let ended = image.schemaChanges.ended[id], ended.outcome == .completed, step == ended.plan.steps.count { return }
    let change = try schemaChange(id)
    // A new manager may report the last one once more.
    if step == change.doneSteps, step > 0 { return }
    guard step == change.doneSteps + 1, step <= change.plan.steps.count else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "step \(step) does not come next in schema change \(id), which has done \(change.doneSteps) of "
          + "\(change.plan.steps.count)", hint: "Read its state, and go on from there.")
    }
    emit(.schemaChange(.stepDone(id, step: step)))
    if step == change.plan.steps.count { emit(.schemaChange(.completed(id))) }
  }

  private func schemaChange(_ id: SchemaChangeID) throws(Rejection) -> SchemaChange {
    if let change = image.schemaChanges.open[id] { return change }
    if let ended = image.schemaChanges.ended[id], let outcome = ended.outcome {
      throw Rejection(
        .objectNotInPrerequisiteState, "schema change \(id) has ended: \(outcome.rawValue)",
        detail: "It ended with record \(ended.changedIndex).")
    }
    throw Rejection(
      .undefinedObject,
      id < image.schemaChanges.nextID ? "schema change \(id) has ended long ago" : "schema change \(id) does not exist")
  }

  /// Ends the change of an object that is about to be dropped.
  mutating func endSchemaChange(of object: ObjectID) {
    guard let id = image.schemaChanges.ofObject[object] else { return }
    emit(.schemaChange(.failed(id, reason: "the object was dropped")))
  }
}
