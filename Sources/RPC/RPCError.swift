/// gRPC's status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
package enum RPCStatusCode: Int, Sendable, Hashable, CustomStringConvertible {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case internalError = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16

  /// The name that gRPC's documents use.
  package var description: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internalError: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }
}

/// How a call failed: what a server's handler throws, and what a client gets.
package struct RPCError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Never `.ok`.
  package var code: RPCStatusCode
  /// For people; travels to the client.
  package var message: String
  /// Trailing metadata, for programs.
  package var metadata: RPCMetadata

  /// An error; the message travels to the client, truncated to 4 KiB.
  package init(_ code: RPCStatusCode, _ message: String, metadata: RPCMetadata = []) {
    self.code = code
    self.message = message
    self.metadata = metadata
  }

  /// An error; the message travels to the client, truncated to 4 KiB.
  package init(code: RPCStatusCode, message: String, metadata: RPCMetadata = []) {
    self.init(code, message, metadata: metadata)
  }

  /// In words.
  package var description: String { message.isEmpty ? code.description : "\(code): \(message)" }

  /// What a client sees of any error that a handler throws.
  init(thrown error: any Error) {
    switch error {
    case let error as RPCError: self = error
    case is CancellationError: self.init(.cancelled, "cancelled")
    default: self.init(.unknown, "\(error)")
    }
  }
}
