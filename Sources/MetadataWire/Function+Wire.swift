import Metadata
import ProtocolMetadata
import SQLTypes

extension FunctionEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .created(let function): .functionCreated(function.wire)
    case .replaced(let function): .functionReplaced(function.wire)
    case .dropped(let id): .functionDropped(.with { $0.functionID = id.rawValue })
    }
  }

  /// nil: no event about functions.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) {
    switch wire {
    case .functionCreated(let function): self = .created(try FunctionDefinition(wire: function))
    case .functionReplaced(let function): self = .replaced(try FunctionDefinition(wire: function))
    case .functionDropped(let event): self = .dropped(ObjectID(rawValue: event.functionID))
    default: return nil
    }
  }
}

extension FunctionCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .create(let function, let orReplace):
      .createFunction(
        .with {
          $0.function = function.wire
          $0.orReplace = orReplace
        })
    case .drop(let ids): .dropFunctions(.with { $0.ids = ids.map(\.rawValue) })
    }
  }

  /// nil: no command about functions.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) {
    switch wire {
    case .createFunction(let command):
      self = .create(try FunctionDefinition(wire: command.function), orReplace: command.orReplace)
    case .dropFunctions(let command): self = .drop(command.ids.map(ObjectID.init))
    default: return nil
    }
  }
}

extension FunctionDefinition {
  var wire: Kunlog_Metadata_V1_Function {
    .with {
      $0.id = id.rawValue
      $0.schemaID = schemaID.rawValue
      $0.name = name
      $0.ownerID = ownerID.rawValue
      $0.arguments = arguments.map { argument in
        .with {
          $0.name = argument.name
          $0.type = argument.type.wire
          if let defaultExpression = argument.defaultExpression { $0.defaultExpression = defaultExpression }
        }
      }
      if let result { $0.result = result.wire }
      $0.returnsSet = returnsSet
      switch volatility {
      case .immutable: $0.volatility = .immutable
      case .stable: $0.volatility = .stable
      case .volatile: $0.volatility = .volatile
      }
      $0.strict = isStrict
      $0.body = body
    }
  }

  init(wire: Kunlog_Metadata_V1_Function) throws(WireError) {
    let volatility: Volatility
    switch wire.volatility {
    case .immutable: volatility = .immutable
    case .stable: volatility = .stable
    case .volatile: volatility = .volatile
    case .unspecified, .UNRECOGNIZED: throw .malformed("volatility \(wire.volatility.rawValue)")
    }
    self.init(
      id: ObjectID(rawValue: wire.id), schemaID: ObjectID(rawValue: wire.schemaID), name: wire.name,
      ownerID: ObjectID(rawValue: wire.ownerID),
      arguments: wire.arguments.map {
        Argument(
          name: $0.name, type: SQLType(wire: $0.type),
          defaultExpression: $0.hasDefaultExpression ? $0.defaultExpression : nil)
      }, result: wire.hasResult ? SQLType(wire: wire.result) : nil, returnsSet: wire.returnsSet,
      volatility: volatility, isStrict: wire.strict, body: wire.body)
  }
}
