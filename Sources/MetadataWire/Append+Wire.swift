import Metadata
import ProtocolMetadata
import SQLTypes

extension AppendRequest {
  /// As the protocol has it.
  package func wire(clusterID: ClusterID?) -> Kunlog_Metadata_V1_AppendRequest {
    .with {
      $0.clusterID = .init(clusterID?.rawValue ?? [])
      $0.principal = principal
      if let requestID { $0.requestID = requestID.wire }
      $0.cause = cause ?? 0
      $0.preconditions = preconditions.map { precondition in
        .with {
          $0.objectID = precondition.objectID.rawValue
          $0.version = precondition.version
        }
      }
      $0.managerEpoch = managerEpoch ?? 0
      $0.commands = commands.map(\.wire)
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_AppendRequest) throws(WireError) {
    self.init(
      principal: wire.principal, requestID: wire.hasRequestID ? RequestID(wire: wire.requestID) : nil,
      cause: wire.cause == 0 ? nil : wire.cause,
      preconditions: wire.preconditions.map {
        Precondition(objectID: ObjectID(rawValue: $0.objectID), version: $0.version)
      },
      managerEpoch: wire.managerEpoch == 0 ? nil : wire.managerEpoch,
      commands: try mapped(wire.commands, Command.init(wire:)))
  }
}

extension Rejection {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Rejected {
    .with {
      $0.sqlState = sqlState.rawValue
      $0.message = message
      $0.detail = detail ?? ""
      $0.hint = hint ?? ""
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Rejected) {
    self.init(
      SQLState(rawValue: wire.sqlState), wire.message, detail: wire.detail.isEmpty ? nil : wire.detail,
      hint: wire.hint.isEmpty ? nil : wire.hint)
  }
}
