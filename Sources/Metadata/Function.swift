import SQLTypes

/// A function in the language SQL: a body that is read anew where it is called.
package struct FunctionDefinition: Sendable, Hashable {
  package enum Volatility: String, Sendable, Hashable { case immutable, stable, volatile }
  package struct Argument: Sendable, Hashable {
    /// Empty: it has none.
    package var name: String
    package var type: SQLType
    /// SQL text.
    package var defaultExpression: String?
    package init(name: String, type: SQLType, defaultExpression: String? = nil) {
      self.name = name
      self.type = type
      self.defaultExpression = defaultExpression
    }
  }
  package var id: ObjectID
  package var schemaID: ObjectID
  package var name: String
  package var ownerID: ObjectID
  package var arguments: [Argument]
  /// nil: void.
  package var result: SQLType?
  package var returnsSet: Bool
  package var volatility: Volatility
  /// Null where an argument is null.
  package var isStrict: Bool
  /// SQL text: one or several statements.
  package var body: String
  package init(
    id: ObjectID, schemaID: ObjectID, name: String, ownerID: ObjectID, arguments: [Argument], result: SQLType?,
    returnsSet: Bool = false, volatility: Volatility = .volatile, isStrict: Bool = false, body: String
  ) {
    self.id = id
    self.schemaID = schemaID
    self.name = name
    self.ownerID = ownerID
    self.arguments = arguments
    self.result = result
    self.returnsSet = returnsSet
    self.volatility = volatility
    self.isStrict = isStrict
    self.body = body
  }

  /// What tells functions of one name apart.
  package var key: FunctionKey { FunctionKey(schemaID: schemaID, name: name, argumentTypes: arguments.map(\.type.oid)) }

  /// `name(integer, text)`.
  package var signature: String { "\(name)(\(arguments.map(\.type.displayName).joined(separator: ", ")))" }
}

/// A function's name within its schema, with the types of its arguments.
package struct FunctionKey: Sendable, Hashable {
  package var schemaID: ObjectID
  package var name: String
  /// Oids.
  package var argumentTypes: [UInt32]
  package init(schemaID: ObjectID, name: String, argumentTypes: [UInt32]) {
    self.schemaID = schemaID
    self.name = name
    self.argumentTypes = argumentTypes
  }
}

/// What has happened to functions (function.proto). Since feature level 3.
package enum FunctionEvent: Sendable, Hashable {
  case created(FunctionDefinition)
  /// Whole new definition, of the same identity.
  case replaced(FunctionDefinition)
  case dropped(ObjectID)

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .created: "FunctionCreated"
    case .replaced: "FunctionReplaced"
    case .dropped: "FunctionDropped"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["FunctionCreated", "FunctionReplaced", "FunctionDropped"]
}

/// What is asked about functions (function.proto).
package enum FunctionCommand: Sendable, Hashable {
  /// The definition's id has no meaning: a new one is given, or that of the function that is replaced.
  case create(FunctionDefinition, orReplace: Bool)
  case drop([ObjectID])
}
