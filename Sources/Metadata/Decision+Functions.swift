import SQLTypes

/// CREATE FUNCTION and DROP FUNCTION.
extension Decision {
  private static var bodyLengthLimit: Int { 65_536 }

  mutating func decide(_ command: FunctionCommand) throws(Rejection) {
    switch command {
    case .create(let draft, let orReplace): try createFunction(draft, orReplace)
    case .drop(let ids):
      for id in ids {
        guard image.functions[id] != nil else {
          throw Rejection(.undefinedFunction, "function with OID \(id) does not exist")
        }
      }
      for id in Set(ids).sorted() { emit(.function(.dropped(id))) }
    }
  }

  private mutating func createFunction(_ draft: FunctionDefinition, _ orReplace: Bool) throws(Rejection) {
    try checkFunction(draft)
    var function = draft
    guard let known = image.functionNames[draft.key].flatMap({ image.functions[$0] }) else {
      function.id = nextID
      emit(.function(.created(function)))
      return
    }
    guard orReplace else {
      throw Rejection(
        .duplicateFunction, "function \"\(draft.name)\" already exists with same argument types")
    }
    guard known.result == draft.result, known.returnsSet == draft.returnsSet else {
      throw Rejection(
        .invalidFunctionDefinition, "cannot change return type of existing function",
        hint: "Use DROP FUNCTION \(known.signature) first.")
    }
    // The owner stays, as in PostgreSQL.
    function.id = known.id
    function.ownerID = known.ownerID
    if function != known { emit(.function(.replaced(function))) }
  }

  private func checkFunction(_ draft: FunctionDefinition) throws(Rejection) {
    try checkName(draft.name)
    try checkRole(draft.ownerID)
    guard let schema = image.schemas[draft.schemaID] else {
      throw Rejection(.undefinedObject, "schema with OID \(draft.schemaID) does not exist")
    }
    guard schema.id != WellKnown.catalogSchema else {
      throw Rejection(
        .insufficientPrivilege, "permission denied to create \"pg_catalog.\(draft.name)\"",
        detail: "System catalog modifications are currently disallowed.")
    }
    guard draft.arguments.count <= 100 else {
      throw Rejection(.tooManyArguments, "functions cannot have more than 100 arguments")
    }
    var names: Set<String> = []
    for argument in draft.arguments where !argument.name.isEmpty {
      guard names.insert(argument.name).inserted else {
        throw Rejection(
          .invalidFunctionDefinition, "parameter name \"\(argument.name)\" used more than once")
      }
    }
    guard draft.body.utf8.count <= Decision.bodyLengthLimit else {
      throw Rejection(
        .programLimitExceeded,
        "a function's body has at most \(Decision.bodyLengthLimit) bytes, not \(draft.body.utf8.count)")
    }
  }

  /// As PostgreSQL describes it.
  func description(_ function: FunctionDefinition) -> String { "function \(function.signature)" }
}
